#!/usr/bin/env bash
# The built libraries: what they export and import, their TLS, and programs linked with them.
#
# ctest: labels=quick timeout=180
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
built "$library" "$build/test/use_tiers"
work_begin

# expect_run NAME COMMAND...: ends with 0 and says nothing.
expect_run() {
    local name=$1 status=0 output
    shift
    output=$("$@" 2>&1 </dev/null) || status=$?
    [[ $status == 0 && -z $output ]] || fail "$name: status $status: $output"
}

family='malloc free calloc realloc aligned_alloc memalign posix_memalign valloc pvalloc
malloc_usable_size reallocarray free_sized free_aligned_sized cfree mallinfo mallinfo2 malloc_trim
malloc_info malloc_stats mallopt'
static_family='__libc_malloc __libc_free __libc_calloc __libc_realloc __libc_memalign __libc_valloc
__libc_pvalloc __posix_memalign'
operators='_Znwm _Znam _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t _ZnwmSt11align_val_t
_ZnamSt11align_val_t _ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t
_ZdlPv _ZdaPv _ZdlPvm _ZdaPvm _ZdlPvRKSt9nothrow_t _ZdaPvRKSt9nothrow_t _ZdlPvSt11align_val_t
_ZdaPvSt11align_val_t _ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t
_ZdlPvSt11align_val_tRKSt9nothrow_t _ZdaPvSt11align_val_tRKSt9nothrow_t'
# Of these, the shared library has those that are no nothrow forms.
shared_operators=$(tr -s ' ' '\n' <<<"$operators" | grep -v nothrow | tr '\n' ' ')

# defined FILE [-D], undefined FILE [-D]: names, one a line, without versions.
defined() {
    nm "${@:2}" --defined-only "$1" | awk 'NF >= 3 { sub(/@.*/, "", $NF); print $NF }' | sort -u
}
undefined() {
    nm "${@:2}" --undefined-only "$1" | awk 'NF >= 2 { sub(/@.*/, "", $NF); print $NF }' | sort -u
}
words() { tr ' ' '\n' <<<"$*" | sed '/^$/d' | sort -u; }

# --- names
[[ $(words "$operators" | wc -l) == 20 ]] || fail "this test does not list 20 operators"
defined "$library" -D >"$work/exported"
undefined "$library" -D >"$work/imported"
hak_family=$(words "$family" | sed 's/^/hak_/')
# what libc does not have
own='hak_heap_visit hak_policy_get hak_policy_learnt hak_policy_set hak_stats_json hak_stats_prometheus'
for name in $family $hak_family $own $shared_operators; do
    grep -qx "$name" "$work/exported" || fail "$(basename "$library") does not export $name"
done
for name in $family $static_family; do
    if grep -qx "$name" "$work/imported"; then
        fail "$(basename "$library") calls the $name of libc"
    fi
done
stray=$(comm -23 "$work/exported" \
    <(words "$family" "$hak_family" "$own" "$shared_operators" "$static_family") | tr '\n' ' ')
[[ -z $stray ]] || fail "exported beyond the list: $stray"
defined "$archive" -g 2>/dev/null >"$work/archived"
for name in $family $hak_family $own $shared_operators $static_family; do
    grep -qx "$name" "$work/archived" || fail "$(basename "$archive") does not define $name"
done
cxx_archive=$(dirname "$archive")/libhakmem-cxx.a
defined "$cxx_archive" -g 2>/dev/null >"$work/cxx_archived"
for name in $operators; do
    grep -qx "$name" "$work/cxx_archived" || fail "$(basename "$cxx_archive") does not define $name"
done

# --- dynamic section, TLS
readelf -dW "$library" >"$work/dynamic"
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic")
for name in $needed; do
    case $name in
    libc.so.6 | ld-linux*.so.*) ;;
    *) fail "needs $name" ;;
    esac
done
grep -q 'FLAGS_1.*NODELETE' "$work/dynamic" || fail "not linked with -z nodelete"
if grep -q TEXTREL "$work/dynamic"; then
    fail "has text relocations"
fi
tls_bytes=$(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }')
((${tls_bytes:-0} <= 64)) || fail "static TLS of $((tls_bytes)) bytes, at most 64 are meant"
if grep -qx __tls_get_addr "$work/imported"; then
    fail "TLS is not initial-exec: it calls __tls_get_addr"
fi

# --- opened at run time
expect_run 'dlopen from main' "$build/test/open_library" "$library"
expect_run 'dlopen from a thread' "$build/test/open_library" "$library" thread

# --- under programs
expect_run 'preloaded' env LD_PRELOAD="$library" "$build/test/use_tiers"
for mode in RTLD_NOW RTLD_LAZY; do
    value=
    [[ $mode == RTLD_LAZY ]] || value=1
    expect_run "preloaded, $mode" env LD_BIND_NOW=$value LD_PRELOAD="$library" "$build/test/use_tiers"
done
: "${CC:=cc}" "${CXX:=c++}"
$CC -O1 -o "$work/linked" "$here/prog/use_tiers.c" -pthread \
    "$library" -Wl,-rpath,"$(dirname "$library")"
expect_run 'linked' "$work/linked"
$CC -O1 -static -o "$work/static" "$here/prog/use_tiers.c" "$archive" -pthread
expect_run 'linked statically' "$work/static"
cat >"$work/forker.c" <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *wait_for_end(void *block) { pause(); return block; }
int main(void)
{
    int status = 1;
    pthread_t thread;
    free(malloc(100));
    if (pthread_create(&thread, NULL, wait_for_end, NULL) != 0)
        return 2;
    pid_t child = fork(); /* of a process with threads: libc asks for its allocator's locks */
    if (child == 0) {
        free(malloc(100));
        _exit(0);
    }
    return waitpid(child, &status, 0) != child || status != 0;
}
C
$CC -O1 -fno-builtin -static -o "$work/forker" "$work/forker.c" "$archive" -pthread
expect_run 'linked statically, forks beside a thread' "$work/forker"
nm "$work/static" >"$work/static_names"
for name in _int_malloc _int_free ptmalloc_init sysmalloc; do
    if grep -qw "$name" "$work/static_names"; then
        fail "the static program holds the $name of libc"
    fi
done
grep -qw hak_malloc "$work/static_names" || fail "the static program is not on the library"

# Operators of C++ in a program without its library: nobody can throw.
cat >"$work/thrower.c" <<'C'
#include <stddef.h>
#include <stdint.h>
void *_Znwm(size_t size);
int main(void) { return _Znwm(PTRDIFF_MAX) != 0; }
C
$CC -O1 -o "$work/thrower" "$work/thrower.c" "$library" -Wl,-rpath,"$(dirname "$library")"
status=0
output=$("$work/thrower" 2>&1) || status=$?
[[ $status == 134 && $output == *'hakmem: operator new without memory and without libstdc++'* ]] ||
    fail "operator new without libstdc++: status $status: $output"

if command -v "$CXX" >/dev/null; then
    $CXX -std=c++17 -O1 -fno-builtin -o "$work/new" "$here/prog/use_new.cpp" -pthread
    expect_run 'C++, plain' "$work/new"
    expect_run 'C++, preloaded' env LD_PRELOAD="$library" "$work/new"
    for harden in 0 1; do
        expect_run 'C++, a new-handler that makes room' env LD_PRELOAD="$library" HAKMEM_LIMIT=64M \
            HAKMEM_HARDEN=$harden "$work/new"
    done
    $CXX -std=c++17 -O1 -fno-builtin -static -o "$work/new_static" "$here/prog/use_new.cpp" \
        "$cxx_archive" "$archive" -pthread
    expect_run 'C++, linked statically' "$work/new_static"
    core=$(dirname "$archive")/$(basename "${archive%.a}")_core.a
    for flags in '-std=c++17 -fno-rtti' '-std=c++20 -O2 -Wall -Wextra -Wpedantic -Werror'; do
        # shellcheck disable=SC2086 # several words
        $CXX $flags -I "$source_dir/include" -o "$work/pmr" "$here/prog/use_pmr.cpp" "$cxx_archive" "$core" \
            -pthread
        expect_run "C++, std::pmr beside libc's malloc, $flags" "$work/pmr"
        expect_run "C++, the same hardened, $flags" env HAKMEM_HARDEN=1 "$work/pmr"
    done
    $CXX -std=c++17 -O1 -fno-builtin -o "$work/replaced" "$here/prog/use_own_new.cpp"
    expect_run 'C++ with operators of its own, preloaded' env LD_PRELOAD="$library" \
        "$work/replaced"
else
    echo "test_library: no C++ compiler, so no C++ program was tried" >&2
fi
finish "names, sections and programs are as they should be"
