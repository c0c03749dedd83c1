#!/usr/bin/env bash
# Programs on the library whose threads allocate at their very end, and which open and close
# libraries that use malloc: memory is flat over 5000 threads and 400 openings.
#
# ctest: labels=quick timeout=120
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${HAKMEM_BUILD_DIR:-$here/../build/release}
library=$(realpath -ms "${HAKMEM_LIB:-$build/libhakmem.so}")
host=$build/test/plugin_host
unset LD_PRELOAD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for file in "$library" "$host"; do
    [[ -e $file ]] || { echo "$file is not built" >&2; exit 1; }
done
: "${CXX:=c++}"
command -v "$CXX" >/dev/null || { echo "test_thread_ends: skipped: no C++ compiler"; exit 77; }
failures=0

# flat NAME COMMAND...: the program says that memory is flat, and nothing else.
flat() {
    local name=$1 status=0 output
    shift
    output=$(timeout -k 5 100 "$@" 2>&1 </dev/null) || status=$?
    if [[ $status != 0 || $output != flat ]]; then
        echo "test_thread_ends: $name: status $status: $output" >&2
        failures=$((failures + 1))
    fi
}

$CXX -std=c++17 -O1 -fno-builtin -o "$work/late_exit" "$here/prog/late_exit.cpp" -pthread
flat '5000 threads' env LD_PRELOAD="$library" "$work/late_exit"

$CXX -std=c++17 -O1 -fPIC -shared -o "$work/plugin.so" "$here/prog/plugin.cpp"
flat 'library opened 400 times, preloaded' env LD_PRELOAD="$library" \
    "$host" "$work/plugin.so" 400
# The program does not know of the allocator: it comes with the library, and stays.
$CXX -std=c++17 -O1 -fPIC -shared -o "$work/linked.so" "$here/prog/plugin.cpp" \
    "$library" -Wl,-rpath,"$(dirname "$library")"
flat 'library linked with the allocator, opened 400 times' "$host" "$work/linked.so" 400

((failures == 0)) || exit 1
