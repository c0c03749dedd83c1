#!/bin/bash
# The instructions of a malloc hit and of a free hit: how many at most, that none is a call or a
# push, and, for the compiler that the golden files are of, each of them. After a wanted change:
#
#   for name in libhakmem libhakmem-header; do
#       bench/count_instructions.sh build/release/$name.so > test/golden/$name.gcc12.txt
#   done
#
# ctest: labels=quick
set -u -o pipefail

name=$(basename "$HAKMEM_LIB" .so)
case $name in
libhakmem) malloc_max=15 free_max=20 ;;
libhakmem-header) malloc_max=19 free_max=23 ;; # what the header costs
esac

golden=$HAKMEM_SOURCE_DIR/test/golden/$name.gcc12.txt
[ "$(uname -m)" = x86_64 ] || { echo "the bounds are of x86-64"; exit 77; }
grep -qx 'CMAKE_BUILD_TYPE:STRING=RelWithDebInfo' "$HAKMEM_BUILD_DIR/CMakeCache.txt" ||
    { echo "the bounds are of an optimised build"; exit 77; }

found=$("$HAKMEM_SOURCE_DIR/bench/count_instructions.sh" "$HAKMEM_LIB" malloc free) || {
    echo "$found"
    exit 1
}

# instructions FUNCTION
instructions() { sed -n "s/^$1: \([0-9]*\) instructions\$/\1/p" <<<"$found"; }

status=0
# check FUNCTION MAX
check() {
    local count
    count=$(instructions "$1")
    if [ -z "$count" ] || [ "$count" -gt "$2" ]; then
        echo "$1: ${count:-no} instructions, at most $2 are wanted"
        status=1
    fi
}
check malloc "$malloc_max"
check free "$free_max"

if readelf -p .comment "$HAKMEM_LIB" | grep -q 'GCC: .* 12\.'; then
    diff -u "$golden" - <<<"$found" || {
        echo "the fast paths are not those of $golden"
        status=1
    }
else
    echo "not built by gcc 12: the listing is not compared"
fi
echo "malloc $(instructions malloc), free $(instructions free)"
exit $status
