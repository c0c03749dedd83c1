#!/usr/bin/env bash
# The misuse programs, by themselves and hardened: each ends as its head says, hardened as often as
# it is run. Prints how many are stopped by mode.
#
#   MISUSE_RUNS   runs of each program and size in a hardened process (default 3)
#
# ctest: labels=quick timeout=180
set -euo pipefail
export LC_ALL=C
unset LD_PRELOAD
ulimit -c 0
runs=${MISUSE_RUNS:-3}
programs=$HAKMEM_BUILD_DIR/test/misuse
sources=$HAKMEM_SOURCE_DIR/test/misuse
declare -A size_of=([small]=48 [medium]=20000 [large]=300000 [whole]=131072)
declare -A stopped=([default]=0 [hardened]=0)
cases=0
failures=0

# expected FILE MODE SIZE: the line of the head that fits best; whole pages are large, too. Ends that
# depend on the slot that was chosen have | between them.
expected() {
    { sed -n "s/^ \* $2 $3: //p" "$1" | grep .; } ||
        { [[ $3 == whole ]] && sed -n "s/^ \* $2 large: //p" "$1" | grep .; } ||
        sed -n "s/^ \* $2: //p" "$1"
}

# outcome COMMAND...: how it ends, in the words of the heads.
outcome() {
    local status=0 text
    text=$("$@" 2>&1 >/dev/null </dev/null) || status=$?
    case $status in
    0) echo "none$text" ;;
    134) echo "SIGABRT ${text%, or whose header was overwritten}" ;; # so the header mode
    139) echo "SIGSEGV$text" ;;
    *) echo "exit $status$text" ;;
    esac
}

# try MODE SIZE EXPECTED PROGRAM ENVIRONMENT...
try() {
    local mode=$1 size=$2 want=$3 name=$4 got
    shift 4
    # In a shell of its own, whose word about the signal is not the program's.
    got=$(outcome env LD_PRELOAD="$HAKMEM_LIB" "$@" "$programs/$name" "${size_of[$size]}" 2>/dev/null)
    [[ $got != SIG* && $got != "exit 1" ]] || stops=1
    [[ $want == any || " | $want | " == *" | $got | "* ]] && return
    echo "$name, $mode, $size: '$got', not '$want'" >&2
    failures=$((failures + 1))
}

for source in "$sources"/*.c "$sources"/*.cpp; do
    name=$(basename "${source%.*}")
    is_misuse=1
    ! grep -q '^ \* hardened: none' "$source" || is_misuse=0
    for size in small medium large whole; do
        cases=$((cases + is_misuse))
        for mode in default hardened; do
            stops=0
            want=$(expected "$source" "$mode" "$size")
            if [[ $mode == default ]]; then
                try "$mode" "$size" "$want" "$name" HAKMEM_HARDEN=0
            else
                for ((i = 0; i < runs; i++)); do
                    try "$mode" "$size" "$want" "$name" HAKMEM_HARDEN=1
                done
            fi
            stopped[$mode]=$((stopped[$mode] + stops * is_misuse))
        done
    done
done

echo "misuse programs: $cases by size; stopped: ${stopped[default]} by default," \
    "${stopped[hardened]} hardened, $runs runs each"
((failures == 0)) || exit 1
