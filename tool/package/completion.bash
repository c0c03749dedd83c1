# Completion of hakmem(1) for bash.
_hakmem() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]:-} options=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "run record ab doctor options map top prof --help --version" -- "$word")
        return
    fi
    case $verb in
    run) options=-- ;;
    record) options='-o --' ;;
    ab) options='--rounds --quick --variant --variants --out --json= --threshold --pin --help --' ;;
    doctor) options='--json --root' ;;
    options) options='--json --markdown --man' ;;
    map) options='--json --show --svg --save' ;;
    top) options='--once --json --published' ;;
    prof) options='-o --svg --table --collapsed --pprof --leaks --allocated --objects' ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    elif [[ $verb == run || $verb == record || $verb == ab ]] && declare -F _command_offset >/dev/null; then
        local at
        for ((at = 2; at < COMP_CWORD; at++)); do
            if [[ ${COMP_WORDS[at]} == -o ]]; then
                at=$((at + 1))
            elif [[ ${COMP_WORDS[at]} != -* ]]; then
                break
            fi
        done
        _command_offset "$at"
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -F _hakmem hakmem
