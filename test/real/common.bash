# What the tests of real programs share; sourced by each of them, not a test itself.
#
# A test runs a program plainly and with the library under LD_PRELOAD, each variant in a
# directory of its own ($work/plain and $work/preload), and requires the same exit status,
# the same standard output, the same files, and no line on stderr that the plain run does
# not print. It ends with `finish`.
#
#   HAKMEM_LIB            the library (default: build/release/libhakmem.so)
#   HAKMEM_REAL_REQUIRED  1: a program that is not installed is a failure, not a skip
#   HAKMEM_REAL_KEEP      1: the working directory is kept and its name printed
#
# Exit status: 0 equal, 1 different or unable to tell, 77 program not installed.
# shellcheck shell=bash

set -Eeuo pipefail
export LC_ALL=C.UTF-8 TZ=UTC PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset LD_PRELOAD
umask 022
ulimit -f 1048576 # KiB: a program gone astray fills no disk

test_name=$(basename "$0" .sh)
real_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
problems=0
comparisons=0
finished=0
stop_status=0
running=() # process ids that this script started and has not yet waited for

# The script stops by itself shortly before CTest would stop it, so that it can say where it hung.
deadline_s=$(sed -n 's/^# ctest:.* timeout=\([0-9]*\).*/\1/p' "$0")
deadline_s=$((deadline_s - 15))

say() { printf '%s: %s\n' "$test_name" "$*"; }

# problem MESSAGE...: notes a difference and goes on.
problem() {
    say "FAILED: $*"
    problems=$((problems + 1))
}

# fail MESSAGE...: notes a problem that leaves nothing more to compare.
fail() {
    problem "$@"
    stop_status=1
    exit 1
}

finish() {
    finished=1
    ((problems == 0)) || exit 1
    say "passed: $comparisons comparisons in $SECONDS s"
    exit 0
}

leave() {
    local status=$? pid
    trap - EXIT ERR INT TERM HUP
    set +e
    for pid in "${running[@]}"; do
        kill -TERM "$pid" 2>/dev/null || continue
        for _ in {1..50}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        ! kill -0 "$pid" 2>/dev/null || kill -KILL "$pid"
        wait "$pid" 2>/dev/null
    done
    if [[ ${HAKMEM_REAL_KEEP:-0} == 1 ]]; then
        say "kept: $work"
    else
        rm -rf "$work"
    fi
    if ((!finished && !stop_status)); then
        say "FAILED: stopped early with status $status"
        status=1
    fi
    exit "$status"
}

# absent PACKAGE WHAT: ends the test, because part of a Debian package is not there.
absent() {
    local message="$2 is not installed (Debian package $1)"
    [[ ${HAKMEM_REAL_REQUIRED:-0} != 1 ]] || fail "$message"
    say "skipped: $message"
    stop_status=77
    exit 77
}

# needs PACKAGE PROGRAM...: these programs (or files, given by absolute names) of a Debian package.
needs() {
    local package=$1 program
    shift
    for program; do
        command -v "$program" >/dev/null || [[ $program == /* && -e $program ]] ||
            absent "$package" "$program"
    done
}

# forget PID: takes a process that has been waited for off the list.
forget() {
    local pid left=()
    for pid in "${running[@]}"; do
        [[ $pid == "$1" ]] || left+=("$pid")
    done
    running=("${left[@]}")
}

# launch VARIANT NAME COMMAND...: starts the command in its variant's directory. Standard input
# is $work/NAME.in if that file exists. The kernel stops the command if this script is killed.
# Result: $launched, the command's process id.
launch() {
    local variant=$1 name=$2 input=/dev/null
    local -a environment=(env)
    shift 2
    [[ $variant == plain ]] || environment+=("LD_PRELOAD=$library")
    [[ ! -e $work/$name.in ]] || input=$work/$name.in
    (cd "$work/$variant" &&
        exec setpriv --pdeathsig TERM "${identity[@]}" "${limit[@]}" "${environment[@]}" "$@") \
        <"$input" >"$work/$name.$variant.out" 2>"$work/$name.$variant.err" &
    launched=$!
    running+=("$launched")
}
identity=() # options of setpriv: another user
limit=()    # a command that ends what runs too long

# run VARIANT NAME COMMAND...: runs the command to its end.
# Result: $work/NAME.VARIANT.{out,err,status}.
run() {
    local variant=$1 name=$2 left_s=$((deadline_s - SECONDS)) status=0
    ((left_s > 0)) || fail "no time left for '$name' ($variant)"
    limit=(timeout --kill-after=5 "$left_s")
    launch "$@"
    limit=()
    wait "$launched" 2>/dev/null || status=$?
    forget "$launched"
    echo "$status" >"$work/$name.$variant.status"
    if ((status == 124 || status == 137)) && ((SECONDS >= deadline_s)); then
        show "$work/$name.$variant.out" "$work/$name.$variant.err"
        fail "'$name' ($variant) did not end within $left_s s"
    fi
}

# both NAME COMMAND...: runs the command in both variants and compares everything.
both() {
    run plain "$@"
    run preload "$@"
    compare_run "$1"
}

# normalise NAME: a filter that a test replaces when its output holds times or process ids.
normalise() { cat; }

compare_run() {
    same_status "$1"
    same_text "standard output of '$1'" "$work/$1.plain.out" "$work/$1.preload.out" "$1"
    no_new_stderr "$1"
}

show() {
    local file
    for file; do
        [[ ! -s $file ]] || tail -n 12 "$file" | sed "s|^|    ${file##*/}: |"
    done
}

same_status() {
    local plain preload
    plain=$(<"$work/$1.plain.status")
    preload=$(<"$work/$1.preload.status")
    comparisons=$((comparisons + 1))
    [[ $plain == "$preload" ]] && return
    problem "exit status of '$1': $plain plainly, $preload with the library"
    show "$work/$1.preload.out"
}

# exited_with STATUS NAME [VARIANT...]: the runs ended with this status; if not, going on is idle.
exited_with() {
    local expected=$1 name=$2 variant
    shift 2
    (($# > 0)) || set -- plain preload
    for variant; do
        [[ $(<"$work/$name.$variant.status") == "$expected" ]] && continue
        show "$work/$name.$variant.out" "$work/$name.$variant.err"
        fail "exit status of '$name' ($variant): $(<"$work/$name.$variant.status"), not $expected"
    done
}

# same_text LABEL PLAIN PRELOAD [NAME]: equal once normalised.
same_text() {
    local difference
    comparisons=$((comparisons + 1))
    difference=$(diff -u --label plain --label preload \
        <(normalise "${4:-}" <"$2") <(normalise "${4:-}" <"$3")) && return
    problem "$1 differs:"
    printf '%s\n' "$difference" | cut -c 1-200 | sed -n '1,40s/^/    /p'
}

# same_bytes FILE...: relative to the variants' directories.
same_bytes() {
    local file difference
    for file; do
        comparisons=$((comparisons + 1))
        difference=$(cmp "$work/plain/$file" "$work/preload/$file" 2>&1) ||
            problem "file $file differs: $difference"
    done
}

# no_new_stderr NAME: the library adds no line, whatever the order of the others.
no_new_stderr() {
    local added
    comparisons=$((comparisons + 1))
    added=$(normalise "$1" <"$work/$1.preload.err" |
        grep -vxF -f <(normalise "$1" <"$work/$1.plain.err")) || return 0
    problem "only with the library, '$1' prints on stderr:"
    printf '%s\n' "$added" | cut -c 1-200 | sed -n '1,40s/^/    /p'
}

# takes_malloc_from_library PROGRAM ARGUMENT...: a short run in which the dynamic linker reports
# where malloc and its family come from. A program that is not on the library proves nothing.
# (An executable at a fixed address may bind `free` to itself: that is its own jump to the library.)
takes_malloc_from_library() {
    local names='malloc|calloc|realloc|free|posix_memalign|aligned_alloc|memalign|valloc|pvalloc'
    local elsewhere status=0
    names="symbol .($names|malloc_usable_size)'"
    { env LD_PRELOAD="$library" LD_DEBUG=bindings LD_BIND_NOW=1 LD_DEBUG_OUTPUT="$work/bindings" \
        timeout 60 "$@" </dev/null >/dev/null 2>&1 || status=$?; } 2>/dev/null
    ((status != 124)) || fail "$* does not end with the library"
    comparisons=$((comparisons + 1))
    cat "$work"/bindings.* 2>/dev/null | grep -E "$names" >"$work/family" || true
    rm -f "$work"/bindings.*
    grep -F "symbol \`malloc'" "$work/family" >"$work/malloc" || true
    grep -qF " to $library [" "$work/malloc" ||
        fail "$1 does not take malloc from the library"
    elsewhere=$(grep -vF -e " to $library [" -e " to $1 [" "$work/family") || return 0
    problem "$1 takes part of malloc from elsewhere:"
    printf '%s\n' "$elsewhere" | sed -n '1,10s/^/    /p'
}

# loopback_port: a port of 127.0.0.1 on which nothing listens now.
loopback_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# start_server VARIANT NAME COMMAND...: a server that runs until stop_server.
start_server() {
    server_variant=$1
    server_name=$2
    launch "$@"
    server_pid=$launched
}

# wait_for_server COMMAND...: until the command succeeds, as long as the server lives.
wait_for_server() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        ! "$@" >/dev/null 2>&1 || return 0
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    show "$work/$server_name.$server_variant".{out,err}
    fail "'$server_name' ($server_variant) does not answer"
}

# server_is_on_library PID...: the library is mapped in these processes, in that variant only.
server_is_on_library() {
    local pid expected=0 found
    [[ $server_variant == plain ]] || expected=1
    for pid; do
        found=0
        [[ -r /proc/$pid/maps ]] || fail "process $pid of '$server_name' ($server_variant) is gone"
        ! grep -qF "$library" "/proc/$pid/maps" || found=1
        comparisons=$((comparisons + 1))
        ((found == expected)) || fail "process $pid of '$server_name' ($server_variant): library" \
            "mapped $found, expected $expected"
    done
}

# stop_server SIGNAL COMMAND...: by its own id, or by the command if one is given.
stop_server() {
    local signal=$1 status=0 tries
    shift
    if (($# > 0)); then
        "$@" >/dev/null || problem "'$server_name' ($server_variant) cannot be stopped by $1"
    else
        kill -s "$signal" "$server_pid" 2>/dev/null || true
    fi
    for ((tries = 0; tries < 300; tries++)); do
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    ((tries < 300)) || fail "'$server_name' ($server_variant) does not stop"
    wait "$server_pid" 2>/dev/null || status=$?
    forget "$server_pid"
    echo "$status" >"$work/$server_name.$server_variant.status"
}

trap 'say "line $LINENO: $BASH_COMMAND" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM HUP
work=$(mktemp -d "${TMPDIR:-/tmp}/hakmem-real-$test_name.XXXXXX")
trap leave EXIT
chmod 711 "$work" # servers that drop root reach their own directory below
mkdir "$work/plain" "$work/preload" "$work/home"
export HOME=$work/home TMPDIR=$work

# A copy: readable by every user, of a name that LD_PRELOAD can hold, unchanged by a build.
library=$(realpath -m "${HAKMEM_LIB:-$real_dir/../../build/release/libhakmem.so}")
[[ -r $library ]] || fail "no library at $library: build it, or set HAKMEM_LIB"
cp -L "$library" "$work/libhakmem.so"
library=$work/libhakmem.so
LD_PRELOAD=$library grep -qF "$library" /proc/self/maps 2>"$work/loaded.err" ||
    fail "the library is not loaded: $(<"$work/loaded.err")"
