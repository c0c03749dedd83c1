# Sourced by the tests of `hakmem map` and `hakmem top`: runs prog/heap_sample and talks to it.
# shellcheck shell=bash
export LC_ALL=C
build=${HAKMEM_BUILD_DIR:?}
library=${HAKMEM_LIB:?}
hakmem=${HAKMEM_BIN:?}
command -v python3 >/dev/null || { echo "skipped: no python3 to read the JSON with"; exit 77; }
unset LD_PRELOAD NO_COLOR
while IFS='=' read -r name _; do
    case $name in
    HAKMEM_BUILD_DIR | HAKMEM_LIB | HAKMEM_BIN | HAKMEM_SOURCE_DIR) ;;
    HAKMEM_*) unset "$name" ;;
    esac
done < <(env)
work=$(mktemp -d)
chmod 755 "$work"
failures=0
sample=

fail() {
    printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
    failures=$((failures + 1))
}

# sample_start SETTING... [-- PROGRAM]: sets `sample` to the process; it is ready.
# shellcheck disable=SC2120 # arguments are optional
sample_start() {
    local settings=() program=("$build/test/heap_sample")
    while (($# > 0)) && [[ $1 != -- ]]; do settings+=("$1"); shift; done
    (($# == 0)) || program=("${@:2}")
    mkfifo "$work/in.$$" "$work/out.$$"
    # In the background its process is the program itself.
    (exec env LD_PRELOAD="$library" "${settings[@]}" "${program[@]}" "$work/counter" \
        <"$work/in.$$" >"$work/out.$$") &
    sample=$!
    exec {to}>"$work/in.$$" {from}<"$work/out.$$"
    rm "$work/in.$$" "$work/out.$$"
    answer=
    read -r -t 60 -u "$from" answer || true
    [[ $answer == ready ]] || { fail "the sample did not start: $answer"; exit 1; }
}

# sample_ask LETTER: sets `answer`.
sample_ask() {
    printf '%s' "$1" >&"$to"
    read -r -t 60 -u "$from" answer || fail "no answer to $1"
}

sample_end() {
    exec {to}>&- {from}<&-
    wait "$sample" 2>/dev/null || true
    sample=
}

clean_up() {
    [[ -z $sample ]] || kill -9 "$sample" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

# expect NAME STATUS PATTERN COMMAND...: exit status, and a line of output that matches.
expect() {
    local name=$1 status=$2 pattern=$3 got=0
    shift 3
    output=$("$@" 2>&1 </dev/null) || got=$?
    if [[ $got != "$status" ]] || ! grep -qE -- "$pattern" <<<"$output"; then
        fail "$name: status $got (expected $status), not '$pattern': $output"
    fi
}

# as_nobody VERB: the same by a user who is not root, of root's process, of one of its own without the
# library, of one with it, and of one that is none.
as_nobody() {
    local verb=$1 nobody own scope=0 status=0 says='^hakmem'
    nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
    cp "$hakmem" "$work/hakmem"
    cp "$library" "$work/nobody.so"
    chmod 755 "$work/hakmem" "$work/nobody.so"
    # shellcheck disable=SC2119
    sample_start HAKMEM_LIVE=1
    expect no_rights 4 "^hakmem: $verb: no right to read .* process: $sample: " \
        "${nobody[@]}" "$work/hakmem" "$verb" "$sample"
    sample_end
    expect dead_to_nobody 3 "^hakmem: $verb: there is no such process: 99999999$" \
        "${nobody[@]}" "$work/hakmem" "$verb" 99999999
    [[ ! -e /proc/sys/kernel/yama/ptrace_scope ]] || scope=$(cat /proc/sys/kernel/yama/ptrace_scope)
    ((scope == 0)) || status=4 says="^hakmem: $verb: no right to read .*ptrace_scope"
    for own in '' "$work/nobody.so"; do
        if [[ ! $own && $scope == 0 ]]; then
            status=5 says="^hakmem: $verb: the library is not in process: "
        elif [[ $scope == 0 ]]; then
            status=0 says="^hakmem $verb: sleep "
        fi
        # shellcheck disable=SC2016 # the inner shell expands it
        expect "nobody's own, $own" "$status" "$says" "${nobody[@]}" bash -c 'LD_PRELOAD=$1 sleep 60 &
            for ((i = 0; i < 100; i++)); do
                [[ $(cat /proc/$!/comm) != sleep ]] || break
                sleep 0.1
            done
            sleep 0.2
            status=0
            "$2" "$3" $! $4 || status=$?
            kill $!
            exit $status' _ "$own" "$work/hakmem" "$verb" "$([[ $verb != top ]] || echo --once)"
    done
}

# The same sentences of both commands, for all that they cannot read.
expect_refusals() {
    local verb=$1 dead other
    expect no_process 2 "^hakmem: $verb: no process" "$hakmem" "$verb"
    expect wrong_option 2 "^hakmem: $verb: unknown option .*: --no$" "$hakmem" "$verb" --no 1
    sleep 0 &
    dead=$!
    wait "$dead"
    expect dead 3 "^hakmem: $verb: there is no such process: $dead$" "$hakmem" "$verb" "$dead"
    sleep 60 &
    other=$!
    expect no_library 5 "^hakmem: $verb: the library is not in process: $other$" \
        "$hakmem" "$verb" "$other"
    kill "$other"
    wait "$other" 2>/dev/null || true
    if ((EUID != 0)); then
        expect no_rights 4 "^hakmem: $verb: no right to read .* process: 1: " "$hakmem" "$verb" 1
    elif command -v setpriv >/dev/null; then
        as_nobody "$verb"
    fi
    # A library whose view says that it is of version 99.
    python3 - "$library" "$work/other.so" <<'PY'
import re, sys
data = bytearray(open(sys.argv[1], "rb").read())
data[re.search(rb"hakview\0.\0\0\0", data, re.S).start() + 8] = 99
open(sys.argv[2], "wb").write(data)
PY
    # shellcheck disable=SC2119
    library=$work/other.so sample_start
    expect other_version 6 "^hakmem: $verb: .*another version.*: 99, and this command reads" \
        "$hakmem" "$verb" "$sample"
    sample_end
}
