#!/usr/bin/env bash
# No setting of the tiers' boundaries costs a size of 128 to 1024 bytes more than 5 % of its
# instructions, by bench/boundaries.py; which says so by its exit status if one does.
#
# ctest: labels=quick timeout=240
set -euo pipefail
library=${HAKMEM_LIB:?}
build=${HAKMEM_BUILD_DIR:?}
script=${HAKMEM_SOURCE_DIR:?}/bench/boundaries.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for tool in valgrind python3; do
    command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
[[ ${library##*/} != libhakmem-header* ]] || { echo "skipped: of the library as it is shipped"; exit 77; }

fail() {
    printf 'test_boundaries: %s\n' "$*" >&2
    cat "$work/said" >&2
    exit 1
}

PYTHONDONTWRITEBYTECODE=1 python3 "$script" --quick "$build" >"$work/said" 2>&1 || fail "status $?"
[[ $(grep -cE '^\| [0-9]+ \| [a-z]+ \| [1-9][0-9]+ ' "$work/said") == 12 ]] || fail "not 12 rows"
[[ $(tail -n 1 "$work/said") == 'Worst: '*' % (the goal is +5% at most).' ]] || fail "no verdict"

# A library that is slow without the tier is found: this one is nothing but slow.
mkdir "$work/slow"
ln -s "$build"/bench_* "$work/slow/"
cat >"$work/slow.c" <<'END'
#include <stdlib.h>
__attribute__((constructor)) static void spin(void)
{
    const char *setting = getenv("HAKMEM_SMALLMID_ENABLE");
    for (volatile long i = 0; setting != NULL && *setting == '0' && i < 1000000; i++) {
    }
}
END
"${CC:-cc}" -O1 -shared -fPIC -o "$work/slow/libhakmem.so" "$work/slow.c"
status=0
PYTHONDONTWRITEBYTECODE=1 python3 "$script" --quick --size 128 "$work/slow" >"$work/said" 2>&1 || status=$?
[[ $status == 1 ]] || fail "status $status with a slow library, not 1"
grep -qE '^Worst: [+][1-9][0-9]' "$work/said" || fail "no verdict on a slow library"
