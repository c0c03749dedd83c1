#!/bin/bash
# ctest: labels=real timeout=300
#
# ls, find, tar, awk and sort: pipelines all of whose programs are on the library.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs coreutils ls sort
needs findutils find
needs tar tar

# listing NAME COMMAND...: reads a tree that others may change. What counts is a run with the
# library between two plain runs that agree.
listing() {
    for _ in 1 2 3; do
        run plain "$@"
        cp "$work/$1.plain.out" "$work/$1.before"
        run preload "$@"
        run plain "$@"
        ! cmp -s "$work/$1.before" "$work/$1.plain.out" || break
    done
    compare_run "$1"
}

awk 'BEGIN {
    for (i = state = 1; size < 50 * 1048576; i++) {
        state = (state * 16807) % 2147483647
        line = sprintf("%08x %s %d", state, substr("abcdefghijklmnopqrstuvwxyz", state % 20 + 1), i)
        size += length(line) + 1
        print line
    }
}' >"$work/lines"
mkdir "$work/tree"
head -n 2000 "$work/lines" >"$work/some"
for i in {1..40}; do
    mkdir "$work/tree/d$i"
    split --suffix-length=3 --number=l/40 "$work/some" "$work/tree/d$i/part"
done
for program in ls find tar awk sort; do
    takes_malloc_from_library "$program" --version
done

listing ls bash -c 'ls -lR /usr | head -n 20000'
listing find bash -c "find /usr -xdev -name '*.so*' -printf '%s %p %l\n' | sort"
both find-tree bash -c 'find ../tree -type f -size +1k -print0 | xargs -0 cksum | sort -k 3'
both tar tar --create --sort=name --file=tree.tar --directory="$work" tree
exited_with 0 tar
same_bytes tree.tar
both untar tar --extract --file=tree.tar
both compare diff -r tree "$work/tree"
exited_with 0 compare
# shellcheck disable=SC2016 # the dollars are awk's
both awk awk '{ count[substr($1, 1, 3) $2]++; length_of[$2] += $3 } END { for (k in count) print k, count[k] | "sort"; for (k in length_of) print k, length_of[k] | "sort" }' "$work/lines"
exited_with 0 awk
both sort sort --parallel=2 --buffer-size=24M "$work/lines"
exited_with 0 sort
both sort-numbers sort --parallel=2 --key=2,2r --key=3,3n --output=sorted "$work/lines"
exited_with 0 sort-numbers
same_bytes sorted
finish
