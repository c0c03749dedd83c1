#!/usr/bin/env bash
# Every lint rule fires on a file that breaks it, and none on files that keep it.
#
# ctest: labels=quick timeout=300
set -euo pipefail
lint=$HAKMEM_SOURCE_DIR/tool/lint/lint
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
declare -A fired

# tree: an empty tree with the base header and one header that others may include.
tree() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree"/{include,region,segment,front/policy,compat,bench,test,tool}
    cd "$work/tree"
    printf '#ifndef HAK_BASE_H\n#define HAK_BASE_H\n#include <stddef.h>\n#endif\n' \
        >include/hak_base.h
    printf '#ifndef HAK_REGION_H\n#define HAK_REGION_H\n#include "hak_base.h"\n#endif\n' \
        >region/region.h
    cp region/region.h segment/segment.h
    cp region/region.h front/heap.h
    sed -i 's/REGION/SEGMENT/' segment/segment.h
    sed -i 's/REGION/HEAP/' front/heap.h
}

problem() {
    printf '%s\n    %s\n' "$1" "${2//$'\n'/$'\n    '}"
    failures=$((failures + 1))
}

# bad RULE FILE:LINE PATTERN: standard input as FILE breaks RULE at LINE, with a reason that matches.
bad() {
    local rule=$1 file=${2%:*} output status=0
    tree
    cat >"$file"
    output=$("$lint" --root . "$rule") || status=$?
    fired[$rule]=1
    [[ $status == 1 ]] && grep -qE "^$2: \[$rule\] .*$3" <<<"$output" && return
    problem "$rule does not fire at $2 with '$3' (status $status):" "$output"
}

# good RULE FILE: standard input as FILE keeps RULE.
good() {
    local output
    tree
    cat >"$2"
    output=$("$lint" --root . "$1") || problem "$1 fires on a good $2:" "$output"
}

# lines COUNT TEXT
lines() {
    local i
    for ((i = 0; i < $1; i++)); do echo "$2"; done
}

bad layers region/a.c:2 'may not include segment/segment.h' <<'C'
#include "region/region.h"
#include "segment/segment.h"
C
bad layers segment/a.c:1 'may not include front/heap.h' <<<'#include "front/heap.h"'
bad layers segment/a.c:1 'may not include front/heap.h' <<<'#  include <front/heap.h>'
bad layers front/a.c:1 'may not include compat/layout.h' <<<'#include "compat/layout.h"'
bad layers front/a.c:1 'give the folder' <<<'#include "heap.h"'
bad layers front/a.c:1 'give the folder' <<<'#include "test/support.h"'
bad layers bench/a.c:1 'only tests know the inside' <<<'#include "front/heap.h"'
bad layers include/a.h:1 'only tests know the inside' <<<'#include "region/region.h"'
good layers front/a.c <<'C'
#include "front/heap.h"
#include "hak_base.h"
#include "region/region.h"
#include "segment/segment.h"
#include <sys/types.h>
/* #include "compat/layout.h" */
C
good layers test/a.c <<<'#include "front/heap.h"'

bad atomics front/a.c:4 'use the atomic_\*_explicit form' <<'C'
#include <stdatomic.h>
int get(_Atomic(int) *word)
{
    return atomic_load(word); /* acquire */
}
C
bad atomics front/a.c:2 '__sync_fetch_and_add' <<<$'/* why */\nint a(int *b) { return __sync_fetch_and_add(b, 1); }'
bad atomics region/a.c:2 'give the operation itself an order' <<<$'/* why */\nvoid a(void) { atomic_thread_fence(5); }'
bad atomics region/a.c:1 'no comment within' <<<'void a(void) { atomic_signal_fence(5); }'
bad atomics segment/a.c:5 'no comment within 3 lines' <<'C'
/* acquire: too far away */


int
get(_Atomic(int) *word) { return atomic_load_explicit(word, memory_order_acquire); }
C
bad atomics compat/a.h:1 'no comment within 3 lines' \
    <<<'#define GET(w) atomic_load_explicit(w, memory_order_relaxed) "/* no comment */"'
good atomics front/a.c <<'C'
/* acquire: pairs with the release in
 * set(). */

int get(_Atomic(int) *word)
{ return atomic_load_explicit(word, memory_order_acquire); }
void set(_Atomic(int) *word)
{
    atomic_init(word, 0);
    atomic_store_explicit(word, 1, memory_order_release); /* pairs with get() */
    /* atomic_load(word) */
}
C

for call in mmap munmap mprotect madvise mremap; do
    bad oscalls segment/arena.c:2 "$call\(\)" <<<$'#include <sys/mman.h>\nint a(void) { return '"$call (0); }"
    bad oscalls tool/a.c:1 "$call\(\)" <<<"int a(void) { return $call(0); }"
done
good oscalls segment/os_linux.c <<<'int a(void) { return munmap(0, 0); }'
good oscalls test/a.c <<<'int a(void) { return munmap(0, 0); }'
good oscalls front/a.c <<<$'/* munmap(0) */\nint a(void) { return hak_os_munmap(0) + "mmap("[0]; }'

bad conditionals front/a.c:1 'a variant is another file' <<<$'#if HAK_DEBUG\n#endif'
bad conditionals front/a.h:3 'a variant is another file' <<<$'#ifndef A_H\n#define A_H\n#ifdef X\n#endif\n#endif'
good conditionals front/libc_symbols.c <<<$'#ifdef X\n#endif'
good conditionals segment/os_linux.c <<<$'#ifdef X\n#endif'
good conditionals front/a.h <<<$'#ifndef A_H\n#define A_H\n/*\n#if no\n*/\n#endif'

bad sizes front/a.c:601 '601 lines, 600 at most' < <(lines 601 'int a;')
bad sizes test/a.h:201 '201 lines, 200 at most' < <(lines 201 'int a;')
good sizes front/a.c < <(lines 600 'int a;')
good sizes front/a.h < <(lines 200 'int a;')
# total FOLDER COUNT: so many files of 600 lines in the folder.
total() {
    local i
    tree
    for ((i = 0; i < $2; i++)); do lines 600 'int a;' >"$1/$i.c"; done
}
total front 10
"$lint" --root . sizes >out || problem "sizes fires on 6000 lines" "$(<out)"
echo 'int a;' >region/a.c
! "$lint" --root . sizes >out || problem "sizes does not fire on 6001 lines" "$(<out)"
grep -q ': \[sizes\] .* 6001 lines together, 6000 at most' out || problem "sizes: reason" "$(<out)"
total front/policy 7
! "$lint" --root . sizes >out || problem "sizes does not fire on 4200 lines" "$(<out)"
grep -q ': \[sizes\] .* 4200 lines together, 4000 at most' out || problem "sizes: reason" "$(<out)"

body() { printf 'static int f(int a,\n             int b)\n{\n' && lines "$1" '    a += b;' && printf '}\n'; }
bad functions region/a.c:3 'f\(\) has 61 lines, 60 at most' < <(printf 'enum { A = 1 };\n/* f */\n' && body 57)
good functions front/a.c < <(body 56 && body 56)
good functions segment/a.c < <(printf 'int table[] = {\n' && lines 90 '    1,' && printf '};\n')
good functions front/a.h < <(printf 'struct a {\n' && lines 90 '    int x;' && printf '};\n')

bad headers front/a.h:1 "unknown type name 'size_t'" <<<'size_t a(void);'
bad headers front/a.h:1 'redefinition' <<<'struct a { int b; };'
bad headers include/a.h:5 'expected' <<<$'#ifndef A\n#define A\n#ifdef __cplusplus\n#endif\nint class;\n#endif'
good headers front/a.h <<<$'#ifndef A\n#define A\n#include "front/heap.h"\nsize_t a(void);\n#endif'

bad format front/a.c:1 'clang-formatted' <<<'int  a;'
good format front/a.c <<'C'
void f(void *p)
{
    if (p) {
        f(p);
    }
}
C

bad tidy front/a.c:2 'bugprone-' <<'C'
#include <string.h>
void f(char *a) { memset(a, sizeof(a), 0); }
C
bad tidy segment/a.c:1 'implicit-seq-cst' <<<'int f(_Atomic(int) *word) { return *word; }'
bad tidy region/a.c:1 'unused-parameter' <<<'int f(int a) { return 1; }'
good tidy front/a.c <<'C'
#include <stddef.h>
#include <stdint.h>
char *f(uintptr_t base, size_t page_idx);
char *f(uintptr_t base, size_t page_idx) { return (char *)(base + (page_idx << 16)); }
C

bad shell test/a.sh:2 'SC2086' <<<$'#!/bin/bash\nls $1'
bad shell dev:2 'SC2086' <<<$'#!/usr/bin/env bash\nls $1'
good shell dev <<<$'#!/usr/bin/env bash\nls "$1"'

tree
"$lint" --root . >out || problem "a good tree does not pass" "$(<out)"
mapfile -t rules < <("$lint" --list | cut -d ' ' -f 1)
for rule in "${rules[@]}"; do
    [[ -n ${fired[$rule]:-} ]] || problem "no bad example of the rule $rule" ""
done
((failures == 0)) || exit 1
echo "all ${#rules[@]} rules fire where they should, and nowhere else"
