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
        )
        _describe verb verbs
        return
    fi
    case $words[2] in
    run) shift 1 words; (( CURRENT-- )); _normal ;;
    record) _arguments '-o[trace]:file:_files' '*::program:_normal' ;;
    ab) _arguments '--rounds=[runs of each]:number' '--quick[shorter]' '--out=[where to write]:dir:_files -/' \
        '--variant=[another malloc]:name=library' '*::program:_normal' ;;
    doctor) _arguments '--json[one object]' '--root[read below]:dir:_files -/' ;;
    options) _arguments '--json' '--markdown' '--man' ;;
    esac
}
_hakmem "$@"
