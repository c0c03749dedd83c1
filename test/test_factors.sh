#!/usr/bin/env bash
# The single-factor variants (compat/factor/) are whole allocators: programs run on each, and the
# factor is there, by the instructions of the fast paths and by what a block of 16 bytes may hold.
#
# ctest: labels=quick timeout=120
set -euo pipefail
build=$HAKMEM_BUILD_DIR
[[ -e $build/libfactor-header-space.so ]] || { echo "no factors in this build"; exit 77; }
failures=0
fail() {
    echo "$*"
    failures=$((failures + 1))
}

shopt -s nullglob
for header in "$HAKMEM_SOURCE_DIR"/compat/factor/*.h; do
    name=$(basename "$header" .h)
    library=$build/libfactor-$name.so
    grep -qE '^ [*] .*remove by 20[0-9]{2}-[0-9]{2}-[0-9]{2}' "$header" || fail "$name: no date"
    [[ -e $library ]] || { fail "$name: not built"; continue; }
    for run in "random_mixed 400000 2000 42" "mid_large_mt 3 20000 100 42" "xthread 2 2 0.1 16 9000" \
        "larson 0.1 8 1000 500 5 42 4" "bulk 20 3000 64"; do
        output=$(LD_PRELOAD=$library bash -c "exec $build/bench_$run" 2>&1) || fail "$name: $run: $output"
        grep -q "libfactor-$name.so" <<<"$output" || fail "$name: $run was not served by it"
    done
    LD_PRELOAD=$library PYTHONMALLOC=malloc /usr/bin/python3 -c '
import json
data = [{str(i): list(range(i % 50))} for i in range(20000)]
assert json.loads(json.dumps(data)) == data' || fail "$name: python3"
done

# usable NAME: what malloc_usable_size says of a block of 16 bytes
usable() {
    LD_PRELOAD=$build/$1 /usr/bin/python3 -c '
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc_usable_size.argtypes = [ctypes.c_void_p]
print(libc.malloc_usable_size(libc.malloc(16)))'
}
# hits NAME: instructions of a malloc and of a free hit
hits() {
    "$HAKMEM_SOURCE_DIR/bench/count_instructions.sh" "$build/$1" |
        sed -n 's/^[a-z]*: \([0-9]*\) instructions$/\1/p' | paste -sd' '
}
# is WHAT FOUND WANTED
is() { [[ $2 == "$3" ]] || fail "$1: $2, not $3"; }
is "header-less, usable" "$(usable libhakmem.so)" 16
is "header, usable" "$(usable libhakmem-header.so)" 31
is "space, usable" "$(usable libfactor-header-space.so)" 31
is "no owner test, usable" "$(usable libfactor-no-owner-test.so)" 16
if [[ $(uname -m) == x86_64 ]] && grep -qx 'CMAKE_BUILD_TYPE:STRING=RelWithDebInfo' "$build/CMakeCache.txt"; then
    read -r malloc free < <(hits libhakmem.so)
    read -r space_malloc space_free < <(hits libfactor-header-space.so)
    read -r written_malloc written_free < <(hits libfactor-header-written.so)
    read -r read_malloc read_free < <(hits libfactor-header-read.so)
    is "space costs instructions" "$space_malloc $space_free" "$malloc $free"
    ((written_malloc > malloc)) || fail "nothing is written: $written_malloc instructions"
    is "written is not read" "$written_free" "$free"
    is "read is not written" "$read_malloc" "$malloc"
    ((read_free > free)) || fail "nothing is read: $read_free instructions"
fi
exit $((failures > 0))
