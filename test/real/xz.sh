#!/bin/bash
# ctest: labels=real timeout=400
#
# xz with two threads: 64 MiB compressed and decompressed.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs xz-utils xz

# Neither noise nor one repeated line: a compressor has something to find.
awk 'BEGIN {
    for (i = state = 1; size < 64 * 1048576; i++) {
        state = (state * 16807) % 2147483647
        line = sprintf("%d %x %s %d", i, state, substr("the quick brown fox jumps", state % 20 + 1), state % 1000)
        size += length(line) + 1
        print line
    }
}' >"$work/data"

takes_malloc_from_library xz --version
both compress xz --threads=2 -2 --block-size=8MiB --stdout "$work/data"
exited_with 0 compress
cp "$work/compress.plain.out" "$work/data.xz"
both decompress xz --threads=2 --decompress --stdout "$work/data.xz"
exited_with 0 decompress
cmp "$work/data" "$work/decompress.preload.out" || problem "the data did not come back"
both list xz --list --robot --verbose --verbose "$work/data.xz"
finish
