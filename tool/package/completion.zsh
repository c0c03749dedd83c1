#compdef hakmem
# Completion of hakmem(1) for zsh.
_hakmem() {
    if (( CURRENT == 2 )); then
        local -a verbs=(
            'run:run a program on the library'
            'record:write down what a program asks of its malloc'
            'ab:compare a program on several allocators'
            'doctor:say what the system has of huge pages'
            'options:list the environment variables'
            'map:draw the heap of a running process'
            'top:show what a process has of each size'
            'prof:show a profile of the heap'
        )
        _describe verb verbs
        return
    fi
    case $words[2] in
    run) shift 1 words; (( CURRENT-- )); _normal ;;
    record) _arguments '-o[trace]:file:_files' '*::program:_normal' ;;
    ab) _arguments '--rounds=[runs of each]:number' '--quick[shorter]' '--out=[where to write]:dir:_files -/' \
        '--variant=[another malloc]:name=library' '--json=[file, or -]:file:_files' '*::program:_normal' ;;
    doctor) _arguments '--json[one object]' '--root[read below]:dir:_files -/' ;;
    options) _arguments '--json' '--markdown' '--man' ;;
    map) _arguments '1:pid or file:_pids' '--json' '--show[what signs tell]:what:(fill class owner)' \
        '--svg[picture]:file:_files' '--save[for later]:file:_files' ;;
    top) _arguments '1:pid:_pids' '--once' '--json' '--published' ;;
    prof) _arguments '1:profile:_files' '-o[where to]:file:_files' '--svg[flame graph]' '--table[functions]' \
        '--collapsed[a line a stack]' '--pprof[for go tool pprof]' '--leaks[what was not freed]' \
        '--allocated[all, not what lives]' '--objects[numbers of blocks]' ;;
    esac
}
_hakmem "$@"
