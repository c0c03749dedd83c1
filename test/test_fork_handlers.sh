#!/usr/bin/env bash
# No fork waits for ever, nor does its child: handlers of libraries that allocate, streams that do,
# threads that a handler starts (prog/fork_handlers.c). By default and hardened, preloaded and linked
# statically.
#
#   FORKS   of each, hardened (default 200); by default, where no lock is, a quarter of that
#
# ctest: labels=quick timeout=240
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${HAKMEM_BUILD_DIR:-$here/../build/release}
library=$(realpath -ms "${HAKMEM_LIB:-$build/libhakmem.so}")
program=$build/test/fork_handlers
forks=${FORKS:-200}
unset LD_PRELOAD
ulimit -c 0
for file in "$library" "$program"; do
    [[ -e $file ]] || { echo "$file is not built" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
cases=0

# quiet NAME COMMAND...: ends with 0 and says nothing.
quiet() {
    local name=$1 status=0 output
    shift
    output=$("$@" 2>&1 </dev/null) || status=$?
    cases=$((cases + 1))
    if [[ $status != 0 || -n $output ]]; then
        echo "test_fork_handlers: $name: status $status: $output" >&2
        failures=$((failures + 1))
    fi
}

${CC:-cc} -O1 -D_GNU_SOURCE -fno-builtin -static -o "$work/linked" "$here/prog/fork_handlers.c" \
    "${library%.so}.a" -pthread
for harden in 0 1; do
    count=$((harden == 1 ? forks : (forks + 3) / 4))
    for way in lock thread stream; do
        for when in early late; do
            [[ $way != stream || $when == late ]] || continue # it has no handlers
            quiet "$way, $when, harden $harden, preloaded" \
                env HAKMEM_HARDEN=$harden LD_PRELOAD="$library" "$program" "$way" "$when" "$count"
            quiet "$way, $when, harden $harden, static" \
                env HAKMEM_HARDEN=$harden "$work/linked" "$way" "$when" "$count"
        done
    done
done
echo "$cases cases, hardened $forks forks each"
((failures == 0)) || exit 1
