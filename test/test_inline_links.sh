#!/usr/bin/env bash
# hakmem_inline.h: C and C++ of every optimisation without a warning; no call on a hit; it links with
# libhakmem.a and with nothing else that has another inside; without it (HAKMEM_INLINE_OFF) with any.
#
# ctest: labels=quick timeout=180
set -euo pipefail
include=$HAKMEM_SOURCE_DIR/include
header=$include/hakmem_inline.h
archive=${HAKMEM_LIB%.so}.a
export LC_ALL=C
unset LD_PRELOAD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    printf 'test_inline_links: %s\n' "$*" >&2
    failures=$((failures + 1))
}

cat >"$work/use.c" <<'C'
#include "hakmem_inline.h"

void *take(void);
void give(void *block);
void give_sized(void *block);

void *take(void) { return hak_inline_malloc(64); }
void give(void *block) { hak_inline_free(block); }
void give_sized(void *block) { hak_inline_free_sized(block, 64); }

int main(void)
{
    unsigned char *blocks[5000];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5000; i++) {
            blocks[i] = (unsigned char *)take();
            if (blocks[i] == NULL || ((uintptr_t)blocks[i] & 15) != 0)
                return 1;
            blocks[i][0] = blocks[i][63] = (unsigned char)i;
        }
        for (int i = 0; i < 5000; i++)
            if (blocks[i][0] != (unsigned char)i || blocks[i][63] != (unsigned char)i)
                return 2;
        for (int i = 0; i < 5000; i += 2)
            give(blocks[i]);
        for (int i = 1; i < 5000; i += 2)
            give_sized(blocks[i]);
    }
    return 0;
}
C
cp "$work/use.c" "$work/use.cpp"

# build OUT COMPILER ARGUMENT...: in $work/log what it said.
build() { "$2" -I "$include" -Wall -Wextra -Wpedantic -Werror "${@:3}" -o "$1" >"$work/log" 2>&1; }

# --- every compiler that there is
for compiler in gcc clang; do
    command -v "$compiler" >/dev/null || continue
    for how in -O0 -O1 -O2 '-O3 -fPIC' '-O2 -fPIE' '-O2 -fno-pie' -Os '-O2 -DHAKMEM_INLINE_OFF'; do
        # shellcheck disable=SC2086 # several words
        build "$work/use.o" "$compiler" -std=c11 $how -c "$work/use.c" ||
            fail "$compiler -std=c11 $how: $(head -n 3 "$work/log")"
        # shellcheck disable=SC2086
        build "$work/use.o" "$compiler" -x c++ -std=c++17 $how -c "$work/use.cpp" ||
            fail "$compiler -std=c++17 $how: $(head -n 3 "$work/log")"
    done
done

: "${CC:=gcc}" "${CXX:=g++}"
# --- links with anything when it is off
build "$work/off" "$CC" -O2 -DHAKMEM_INLINE_OFF "$work/use.c" "$archive" -pthread ||
    fail "off, static: $(head -n 3 "$work/log")"
build "$work/off-so" "$CC" -O2 -DHAKMEM_INLINE_OFF "$work/use.c" "$HAKMEM_LIB" ||
    fail "off, shared: $(head -n 3 "$work/log")"
for program in off off-so; do
    LD_LIBRARY_PATH=${HAKMEM_LIB%/*} "$work/$program" || fail "$program ends with $?"
done

# refused NAME LIBRARY: does not link, and says why.
refused() {
    if build "$work/refused" "$CC" -O2 "${3:-$work/use.c}" "$2" -pthread; then
        fail "$1: it links"
    elif ! grep -q 'undefined reference to .hak_inline_abi_[0-9]*_malloc' "$work/log"; then
        fail "$1: it does not link, but says: $(head -n 3 "$work/log")"
    fi
}
refused shared "$HAKMEM_LIB"

if [[ ${archive##*/} == libhakmem-header.a ]]; then
    refused header "$archive"
    exit $((failures != 0))
fi

# --- in line: as a program, a library's part, and C++
for how in '-no-pie -fno-pie' '-pie -fPIE' '-pie -fPIC'; do
    # shellcheck disable=SC2086
    build "$work/on" "$CC" -O2 $how "$work/use.c" "$archive" -pthread ||
        fail "$how: $(head -n 3 "$work/log")"
    "$work/on" || fail "$how: ends with $?"
    HAKMEM_HARDEN=1 "$work/on" || fail "$how, hardened: ends with $?"
done
build "$work/on" "$CXX" -O2 "$work/use.cpp" "$archive" -pthread || fail "C++: $(head -n 3 "$work/log")"
"$work/on" || fail "C++: ends with $?"

# --- another form does not link
mkdir "$work/next"
sed 's/abi_1_/abi_2_/g' "$header" >"$work/next/hakmem_inline.h"
cp "$include/hakmem.h" "$work/next"
sed "s,\"hakmem_inline.h\",\"$work/next/hakmem_inline.h\"," "$work/use.c" >"$work/use-next.c"
refused next "$archive" "$work/use-next.c"
header_archive=${archive%.a}-header.a
[[ ! -e $header_archive ]] || refused header "$header_archive"

# --- a hit calls nothing, and is that long at most, in a program on x86-64
hit() {
    objdump -d --no-show-raw-insn "$work/use.o" | awk -v name="<$1>:" '
        index($0, name) { on = 1; next }
        on && /call/ { print "calls"; exit }
        on && /[0-9a-f]+:/ && !/nop/ { count++ }
        on && /ret/ { print count; exit }'
}
if [[ $(uname -m) == x86_64 && $(gcc -dumpversion) == 12 ]]; then
    build "$work/use.o" gcc -O2 -fno-pie -fcf-protection=none -c "$work/use.c"
    for row in take:10 give:19 give_sized:19; do
        got=$(hit "${row%:*}")
        [[ $got == "${row#*:}" ]] || fail "${row%:*}: $got instructions, not ${row#*:}"
    done
fi
exit $((failures != 0))
