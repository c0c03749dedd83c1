#!/usr/bin/env bash
# A setuid program takes no orders from its caller's environment: options that name a file, publish,
# dump or end the program are ignored under AT_SECURE, and nothing is said of them. The same program
# without the bit obeys them. Linked with the library and with the archive.
#
# Each option of front/options.h stands in one of the two lists below; one that stands in none fails
# this test, so that whoever adds it decides.
#
# ctest: labels=quick timeout=60
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
built "$library" "$archive"
options_clear

# --- every option is judged
refused='HAKMEM_HUGETLBFS HAKMEM_HUGE_REQUIRE HAKMEM_HARDEN HAKMEM_LIVE'
# These write what is none of a caller's business, end the program, or call what it would not.
refused+=' HAKMEM_STATS HAKMEM_LOCK_STATS HAKMEM_SHARED_POOL_LOCK_STATS HAKMEM_GUARD
HAKMEM_GUARD_REPORT HAKMEM_GUARD_STATS HAKMEM_EXTERNAL_GUARD_STATS HAKMEM_GUARD_LOG
HAKMEM_EXTERNAL_GUARD_LOG HAKMEM_PROF HAKMEM_PROF_BYTES HAKMEM_PROF_SIGNAL HAKMEM_PROF_LEAKS
HAKMEM_PROF_STACKS HAKMEM_PROF_FILE HAKMEM_PROF_WHEN'
# They choose sizes and times, and protect: a caller can do no harm by them.
obeyed='HAKMEM_ARENA_GIB HAKMEM_ARENA_MB_INIT HAKMEM_ARENA_MB_MAX HAKMEM_ARENA_GROWTH_LEVELS
HAKMEM_POOL_TLS_ARENA_MB_INIT HAKMEM_POOL_TLS_ARENA_MB_MAX HAKMEM_POOL_TLS_ARENA_GROWTH_LEVELS
HAKMEM_TINY_MAX_CLASS HAKMEM_SMALLMID_ENABLE HAKMEM_PREWARM HAKMEM_PURGE_DECAY_MS
HAKMEM_PURGE_THREAD HAKMEM_HUGE HAKMEM_HUGE_THRESHOLD_MB HAKMEM_HUGE_RESERVE HAKMEM_HUGE_FORK
HAKMEM_LIMIT HAKMEM_LEARNER HAKMEM_LEARNER_INTERVAL HAKMEM_POLICY'
while read -r name; do
    grep -qw "$name" <<<"$refused $obeyed" ||
        fail "$name: is a privileged program to obey it? Say so in this test"
done < <(cat "$source_dir"/front/options.[ch] | grep -o '"HAKMEM_[A-Z_]*"' | tr -d '"' | sort -u)

# --- a program that another user than its owner runs
((EUID == 0)) || skip "not root, so no setuid program can be made"
command -v setpriv >/dev/null || skip "no setpriv (util-linux)"
owner=65533 caller=65534 # neither is root: nothing here has root's rights
work=
trap 'rm -rf "$work"' EXIT
: "${CC:=cc}"

as_caller() {
    setpriv --reuid="$caller" --regid="$caller" --clear-groups --inh-caps=-all "$@" </dev/null
}

# set_up DIRECTORY: builds the programs in a new directory there; false if the bit has no effect.
set_up() {
    work=$(mktemp -d "$1/hakmem-privilege.XXXXXX") || return 1
    chmod 755 "$work"
    cp -L "$library" "$work/"
    ln -s "${library##*/}" "$work/$(readlink "$library")" # by its soname
    $CC -O1 -o "$work/shared" "$here/prog/privileged.c" "$work/${library##*/}" -Wl,-rpath,"$work" &&
        $CC -O1 -static -o "$work/static" "$here/prog/privileged.c" "$archive" -pthread ||
        return 1
    local program
    for program in shared static; do
        cp "$work/$program" "$work/$program.setuid"
        chown "$owner" "$work/$program.setuid"
        chmod 4755 "$work/$program.setuid"
    done
    [[ $(as_caller "$work/static.setuid" 2>/dev/null) == secure* ]]
}

found=
for directory in "${TMPDIR:-/tmp}" "$build" /var/tmp /root; do
    if set_up "$directory" 2>/dev/null; then
        found=1
        break
    fi
    rm -rf "$work"
    work=
done
[[ $found ]] || skip "no directory was found where the setuid bit has an effect (nosuid?)"
mkdir -m 777 "$work/mount"

# expect PROGRAM WORD STATUS OUTPUT SETTING...
expect() {
    local program=$1 word=$2 expected=$3 pattern=$4 status=0 output
    shift 4
    output=$(as_caller env "$@" "$work/$program" 2>&1) || status=$?
    [[ $status == "$expected" ]] || fail "$program, $*: status $status, not $expected: $output"
    # shellcheck disable=SC2053 # a pattern
    [[ $output == $pattern ]] || fail "$program, $*: it said: $output"
    [[ -z $word || $output == *"$word"* ]] || fail "$program, $*: not $word: $output"
}

whole_secure=$'secure\nwhole'
whole_plain=$'plain\nwhole'
pool=$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages 2>/dev/null || echo 0)
require=(HAKMEM_HUGE=hugetlb HAKMEM_HUGE_RESERVE=$((pool + 1)) HAKMEM_HUGE_REQUIRE=1)
mount=(HAKMEM_HUGE=hugetlb HAKMEM_HUGETLBFS="$work/mount")
for program in shared static; do
    expect $program plain 0 "$whole_plain" HAKMEM_PREWARM=1
    expect $program.setuid secure 0 "$whole_secure" HAKMEM_PREWARM=1

    # The end of the program, if the reserve cannot be had.
    if ((pool < 100)); then
        expect $program '' 1 'hakmem: HAKMEM_HUGE_RESERVE=*' "${require[@]}"
        expect $program.setuid secure 0 "*$whole_secure" "${require[@]}"
    fi
    # The end of the program, if it misuses its heap.
    expect $program '' 0 $'plain\nhardened\nwhole' HAKMEM_HARDEN=1
    expect $program.setuid '' 0 "$whole_secure" HAKMEM_HARDEN=1
    expect $program 'HAKMEM_HARDEN=2 is out of range' 0 "*$whole_plain" HAKMEM_HARDEN=2
    expect $program.setuid '' 0 "$whole_secure" HAKMEM_HARDEN=2
    # Statistics.
    for setting in HAKMEM_STATS=1 HAKMEM_STATS=json HAKMEM_STATS=prometheus HAKMEM_LOCK_STATS=1 \
        HAKMEM_SHARED_POOL_LOCK_STATS=1; do
        expect $program '' 0 "?*"$'\n'"$whole_plain" $setting
        expect $program.setuid secure 0 "$whole_secure" $setting
    done
    # Foreign pointers: not told of, and not the end.
    foreign=(HAKMEM_GUARD=abort HAKMEM_GUARD_REPORT=1 HAKMEM_GUARD_STATS=1 HAKMEM_GUARD_LOG=1
        HAKMEM_EXTERNAL_GUARD_STATS=1 HAKMEM_EXTERNAL_GUARD_LOG=1)
    expect $program '(HAKMEM_GUARD)' 134 'hakmem: guard: free(0x*' "${foreign[@]}" FOREIGN=1
    expect $program.setuid secure 0 "$whole_secure" "${foreign[@]}" FOREIGN=1
    # A file: the caller's directory is not even looked at.
    expect $program 'is no hugetlbfs' 0 "*$whole_plain" "${mount[@]}"
    expect $program.setuid secure 0 "$whole_secure" "${mount[@]}"
    expect $program.setuid secure 0 "$whole_secure" "${mount[@]}" HAKMEM_HUGE_REQUIRE=1
    expect $program.setuid secure 0 "$whole_secure" HAKMEM_HUGETLBFS="$work/mount/none"
    # A policy as a file is not read; as a text it is.
    expect $program 'the file cannot be read' 0 "*$whole_plain" HAKMEM_POLICY="$work/mount/none"
    expect $program.setuid secure 0 "$whole_secure" HAKMEM_POLICY="$work/mount/none"
    expect $program.setuid secure 0 "$whole_secure" HAKMEM_POLICY=low-memory
    expect $program.setuid 'line 1: unknown key wrong' 0 "*$whole_secure" HAKMEM_POLICY=wrong
    # A profile, and its file.
    expect $program 'HAKMEM_PROF=2 is out of range' 0 "*$whole_plain" HAKMEM_PROF=2
    profile=(HAKMEM_PROF_BYTES=4096 HAKMEM_PROF_FILE="$work/mount/p" HAKMEM_PROF_LEAKS=1)
    expect $program.setuid secure 0 "$whole_secure" HAKMEM_PROF=1 "${profile[@]}"
    expect $program.setuid secure 0 "$whole_secure" HAKMEM_PROF=2 HAKMEM_PROF_SIGNAL=65
    # Figures of the heap.
    if [[ -d /dev/shm ]]; then
        expect $program published 0 $'plain\npublished\nwhole' HAKMEM_LIVE=1
        expect $program.setuid secure 0 "$whole_secure" HAKMEM_LIVE=1
    fi
done
[[ -z $(ls -A "$work/mount") ]] || fail "there is a file in the directory that was named"

finish "setuid programs in ${work%/*} ignore $refused and policies in files"
