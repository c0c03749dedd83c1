#!/bin/bash
# ctest: labels=real timeout=300
#
# valgrind starts programs on the library, and finds no error, in three ways: as a mere emulator;
# memcheck on the library's own code; memcheck with its usual replacement of the malloc family,
# which must not leave a function of the family behind on the library's heap.
# shellcheck source-path=SCRIPTDIR source=common.bash
# shellcheck disable=SC2016 # the dollars are awk's and the inner shell's
source "$(dirname "$0")/common.bash"
needs valgrind valgrind
needs xz-utils xz

normalise() { sed -E 's/^==[0-9]+==/==/; s/^--[0-9]+--/--/'; }

seq 1 20000 | awk '{ print $1 * 7919 % 20011, "row", $1 }' >"$work/data"
takes_malloc_from_library sort --version
for way in none own-code replaced; do
    valgrind=(valgrind --quiet --error-exitcode=9 --trace-children=yes)
    case $way in
    none) valgrind+=(--tool=none) ;;
    own-code) valgrind+=(--tool=memcheck --soname-synonyms=somalloc=nouserintercepts) ;;
    replaced) valgrind+=(--tool=memcheck) ;;
    esac
    run preload "$way-maps" "${valgrind[@]}" grep -F "$library" /proc/self/maps
    [[ -s $work/$way-maps.preload.out ]] || problem "under valgrind ($way) the library is not mapped"
    both "$way-awk" "${valgrind[@]}" awk '{ seen[$1 % 500] = seen[$1 % 500] " " $3 } END { for (i = 0; i < 500; i++) print i, seen[i] }' "$work/data"
    both "$way-sort" "${valgrind[@]}" sort --parallel=2 -n "$work/data"
    both "$way-xz" "${valgrind[@]}" xz --threads=2 -0 --block-size=64KiB --stdout "$work/data"
    both "$way-bash" "${valgrind[@]}" bash -c 'for i in 1 2 3; do echo "$(echo $i)"; done | wc -l'
    for name in awk sort xz bash; do
        exited_with 0 "$way-$name"
    done
done
finish
