#!/usr/bin/env bash
# Recording and replay: a known load comes back exactly, real programs do not notice, and no damage
# to a trace goes unnoticed.
#
# ctest: labels=quick timeout=60
set -euo pipefail
export LC_ALL=C
unset LD_PRELOAD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
hakmem=$HAKMEM_BIN
replay=$HAKMEM_BUILD_DIR/bench_replay
load=$HAKMEM_BUILD_DIR/test/trace_load
pairs=$HAKMEM_BUILD_DIR/bench_random_mixed
for file in "$hakmem" "$replay" "$load" "$pairs" "$HAKMEM_BUILD_DIR/librecordmalloc.so"; do
    [[ -e $file ]] || { echo "$file is not built" >&2; exit 1; }
done
failures=0

fail() {
    printf 'test_trace: %s\n' "$*" >&2
    failures=$((failures + 1))
}

# expect NAME STATUS PATTERN COMMAND...: exit status, and a line of output that matches.
expect() {
    local name=$1 status=$2 pattern=$3 got=0 output
    shift 3
    output=$("$@" 2>&1 </dev/null) || got=$?
    if [[ $got != "$status" ]] || ! grep -qE -- "$pattern" <<<"$output"; then
        fail "$name: status $got (expected $status), output: ${output:0:2000}"
    fi
}

# replays NAME TRACE: on libc and on the library, twice each.
replays() {
    expect "$1 on libc" 0 '"malloc":"[^"]*/libc[.]so' "$replay" "$2" 2
    expect "$1 on the library" 0 "\"malloc\":\"$HAKMEM_LIB\"" \
        env LD_PRELOAD="$HAKMEM_LIB" "$replay" "$2" 2
}

# totals FILTER: operations and peak bytes of a dump, of all blocks or of those that are `marked`.
totals() {
    awk -v filter="$1" '
        /^#/ { next }
        { mine = filter == "all" || $5 % 1024 == 333 || held[$4] }
        $3 == "free" { if (held[$4]) { count++; live -= size[$4] } held[$4] = 0; next }
        mine { count++; live += $5 - (held[$4] ? size[$4] : 0); held[$4] = 1; size[$4] = $5 }
        live > peak { peak = live }
        END { printf "operations %d peak_bytes %d\n", count, peak }'
}

# known NAME STATUS ARGUMENT [STATUS of the dump]: the load says what it did; so must its trace.
known() {
    local name=$1 status=$2 got=0 summary
    { "$hakmem" record -o known.trace -- "$load" "$3" >said 2>errors || got=$?; } 2>/dev/null
    [[ $got == "$status" && ! -s errors ]] || fail "$name: status $got: $(<errors)"
    got=0
    "$replay" --dump known.trace >dump 2>errors || got=$?
    [[ $got == "${4:-0}" ]] || fail "$name: the dump ends with $got: $(<errors)"
    [[ ${4:-0} == 0 ]] || return 0
    [[ $(totals marked <dump) == "$(<said)" ]] ||
        fail "$name: the program said $(<said), the trace $(totals marked <dump)"
    summary=$(tail -n 1 dump)
    [[ $(totals all <dump) == "$(awk '{ print $2, $3, $8, $9 }' <<<"$summary")" ]] ||
        fail "$name: the events are $(totals all <dump), the summary $summary"
    [[ $summary == *" threads ${threads:-301} "* ]] || fail "$name: threads, in $summary"
}

# calls: what a dump says of marked blocks, whoever did it and when.
calls() { awk '!/^#/ && $5 % 1024 == 333 { print $3, $5, $6 }' | sort | uniq -c; }

# table_kb: how large a replay's table is for a dump: 16 bytes an event, a wait where a thread begins
# or has ended, and a slot. A thread takes new slots by fours if it has freed none.
table_kb() {
    awk '
        /^#/ { next }
        { waits += !($2 in last); thread[++events] = $2; last[$2] = events; mine = $2 % 256 }
        $3 == "free" { freed[mine]++ }
        $3 != "free" && $3 != "realloc" && freed[mine]-- < 1 { freed[mine] = 0; slots[mine]++ }
        END {
            begun[thread[1]]
            for (i = 2; i <= events; i++) {
                waits += thread[i] in begun && last[thread[i - 1]] == i - 1
                begun[thread[i]]
            }
            for (i in slots)
                lines += int((slots[i] + 3) / 4)
            print int((events + waits + 4 * lines) * 16 / 1024)
        }'
}

# counted DUMP REPORT: the third line of a replay gives the size of its table.
counted() {
    local wanted
    wanted=$(table_kb <"$1")
    grep -q "; table: $wanted KiB; " "$2" || fail "a table of $wanted KiB: $(tail -n 1 "$2")"
}

# --- a load whose calls are known: on libc, on the library behind the recorder, left by _exit
known an_exit 7 7
replays known known.trace
"$replay" known.trace >report
counted dump report
# A replay makes the recorded calls, each once a round: its own recording says so.
calls <dump >wanted
"$hakmem" record -o again.trace -- "$replay" known.trace >/dev/null
"$replay" --dump again.trace | calls >got
[[ $(wc -l <wanted) -gt 100 ]] || fail "only $(wc -l <wanted) sorts of calls in the trace"
cmp -s wanted got || fail "the replay made other calls: $(diff wanted got | head -n 20)"
# Threads that were joined one by one hold their blocks one by one in the replay too.
threads=21 known joined 0 joined
"$hakmem" record -o again.trace -- "$replay" known.trace >/dev/null
"$replay" --dump again.trace >dump
[[ $(totals marked <dump) == "$(<said)" ]] ||
    fail "joined: the program said $(<said), its replay did $(totals marked <dump)"
# They wait for their begin and end without a look at the clock: asleep, each once or twice.
"$replay" --dump known.trace >dump
"$replay" known.trace >report
counted dump report
sleeps=$(sed -nE 's/.*; waits: ([0-9]+) sleeps, [0-9]+ wakes$/\1/p' report)
[[ $sleeps && $sleeps -ge 20 && $sleeps -le 100 ]] || fail "joined: $(tail -n 1 report)"
strace=
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
    strace=yes
    strace -f -o naps -e trace=nanosleep,clock_nanosleep "$replay" known.trace >/dev/null
    # The main thread asks every 100 us whether the last one has ended.
    [[ $(awk '/nanosleep\(/ { print $1 }' naps | sort -u | wc -l) -le 1 ]] ||
        fail "joined: threads nap: $(grep -c nanosleep naps) times"
else
    echo "test_trace: no strace, so naps were not looked for" >&2
fi
known leaves 5 leave
known 'leaves quickly' 5 quick
known 'an exec by descriptor' 0 exec
known 'calls after the end' 0 late
LD_PRELOAD=$HAKMEM_LIB known 'on the library' 0 0

# --- peak memory is that of the replay: loading maps the trace, which is larger than these blocks
"$hakmem" record -o pairs.trace -- "$pairs" 500000 100 42 >/dev/null
"$replay" --dump pairs.trace >dump
"$replay" pairs.trace >report
counted dump report
peak_kb=$(sed -nE 's/.*"peak_rss_kb":([0-9]+).*/\1/p' report)
after_kb=$(sed -nE 's/.*"after_rss_kb":([0-9]+).*/\1/p' report)
trace_kb=$(($(stat -c %s pairs.trace) / 1024))
if grep -q 'peak memory' report; then
    echo "test_trace: this kernel does not count peak memory anew" >&2
elif ((trace_kb < 1000 || peak_kb - after_kb > trace_kb / 4)); then
    fail "pairs: peak $peak_kb KiB, after it $after_kb KiB, trace $trace_kb KiB"
fi
[[ ! $strace ]] || expect 'no new count' 0 ' wakes; peak memory is at least that of loading' \
    strace -o /dev/null -P /proc/self/clear_refs -e inject=openat:error=EACCES "$replay" pairs.trace

# --- operators of C++: the same calls on libc and on a library that has some of them itself
: "${CXX:=c++}"
if command -v "$CXX" >/dev/null; then
    $CXX -std=c++17 -O1 -fno-builtin -o new_load "$HAKMEM_SOURCE_DIR/test/prog/new_load.cpp"
    for on in '' "$HAKMEM_LIB"; do
        LD_PRELOAD=$on "$hakmem" record -o new.trace -- ./new_load ||
            fail "C++ on ${on:-libc}: status $?"
        "$replay" --dump new.trace >dump
        # Those that align have their sizes rounded up by libstdc++.
        { calls <dump && awk '$6 == 1024 { print $3, $5 }' dump | sort | uniq -c; } \
            >"new${on:+_library}.calls"
    done
    [[ $(awk '{ sum += $1 } END { print sum }' new.calls) == 14004 ]] ||
        fail "C++: not 6002 blocks and their frees, and 2000 aligned: $(<new.calls)"
    cmp -s new.calls new_library.calls ||
        fail "C++: other calls on the library: $(diff new.calls new_library.calls | head -n 20)"
else
    echo "test_trace: no C++ compiler, so no C++ program was recorded" >&2
fi

# --- killed: what stands in the file is a whole history, and is used when asked for
known killed 137 kill 2
expect 'killed, whole' 2 'known.trace: byte [0-9]+: the file has no end' "$replay" known.trace
expect 'killed, partial' 0 '^recorded: [0-9]{5,} operations, [0-9]{3} threads' \
    "$replay" --partial known.trace

# --- real programs: same output, same status, and a trace
# same NAME COMMAND...
same() {
    local name=$1 got=0 wanted=0
    shift
    "$@" >wanted 2>&1 </dev/null || wanted=$?
    "$hakmem" record -o real.trace -- "$@" >got 2>&1 </dev/null || got=$?
    [[ $got == "$wanted" ]] || fail "$name: status $got, $wanted without recording"
    cmp -s wanted got || fail "$name: recording changed the output"
    replays "$name" real.trace
}
same ls ls -lR /usr/include
same sh sh -c 'echo | cat; env | grep -E "LD_PRELOAD|HAKMEM"; exit 3'
same 'an exec' sh -c 'exec env printf "%s\n" done'
[[ ! -x /usr/bin/python3 ]] || same python3 /usr/bin/python3 -c '
import json, threading
def work(): json.loads(json.dumps({str(i): list(range(i)) for i in range(200)}))
threads = [threading.Thread(target=work) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]; print("done")'

# --- a program that fails to exec goes on; one that takes the descriptor keeps its own file
# shellcheck disable=SC2016 # the inner shell expands it
same 'an exec that fails' bash -c 'shopt -s execfail; exec ./no-such; a=$(seq 9); echo "$a"; exit 4'
known 'descriptors taken' 0 close
[[ $(<taken) == mine ]] || fail "the trace was written into the program's file"

# --- files that are no trace, or not all of one
: >empty
head -c 5000 "$load" >program
"$hakmem" record -o small.trace -- ls -d / >/dev/null
expect empty 2 'empty: byte 0: empty' "$replay" empty
expect program 2 'program: byte 0: this is no trace' "$replay" program
expect folder 2 'byte 0: not a regular file' "$replay" /
expect missing 2 'byte 0: No such file' "$replay" no-such.trace
head -c 16 small.trace >header
expect pipe 2 'byte 0: not a regular file' "$replay" <(:)
expect 'no event' 2 'no event to replay' "$replay" --partial header
expect usage 2 '^usage: ' "$replay" --dump
expect 'no option' 2 '^usage: ' "$replay" --no-such small.trace
bytes=$(stat -c %s small.trace)
printf '\x02' | dd of=small.trace bs=1 seek=12 conv=notrunc status=none
expect version 2 'byte 12: a trace of another version' "$replay" small.trace
printf '\x01' | dd of=small.trace bs=1 seek=12 conv=notrunc status=none
expect repaired 0 '^bench_replay ' "$replay" small.trace

# Every cut and every damaged byte is found; what is said about it names a byte inside the file.
for ((at = 0; at < bytes; at += at < 100 || at > bytes - 100 ? 1 : 7)); do
    head -c "$at" small.trace >./cut
    cp small.trace flipped
    byte=$(od -An -tu1 -j "$at" -N 1 small.trace)
    # shellcheck disable=SC2059 # the escape is the point
    printf "\\x$(printf %x $((byte ^ 0x10)))" | dd of=flipped bs=1 seek="$at" conv=notrunc status=none
    for damaged in cut flipped; do
        status=0
        message=$("$replay" "$damaged" 2>&1 >/dev/null) || status=$?
        where=$(sed -nE "s/^bench_replay: $damaged: byte ([0-9]+): .*/\\1/p" <<<"$message")
        if ((status != 2)) || [[ ! $where ]] || ((where > at)); then
            fail "$damaged at $at: status $status: $message"
        fi
    done
done

# --- a trace that cannot be written: said before the program starts, or without hurting it
expect 'no folder' 125 '^hakmem: no-such/file: No such file' "$hakmem" record -o no-such/file -- true
status=0
"$hakmem" record -o /dev/full -- "$load" 6 >said 2>errors || status=$?
[[ $status == 6 && $(<said) == 'operations '* ]] || fail "a full disk: status $status"
[[ $(wc -l <errors) == 1 && $(<errors) == 'hakmem record: cannot write /dev/full: No space left'* ]] ||
    fail "a full disk: $(<errors)"
# What it starts is not recorded either.
status=0
"$hakmem" record -o /dev/full -- sh -c 'env | grep -E "LD_PRELOAD|HAKMEM_RECORD"; exit 3' >said 2>errors ||
    status=$?
[[ $status == 3 && ! -s said && $(wc -l <errors) == 1 ]] ||
    fail "a full disk and a child: status $status: $(<said) $(<errors)"
# Neither a limit for files nor a pipe that nobody reads kills the program.
status=0
(ulimit -f 1 && exec "$hakmem" record -o limited.trace -- "$load" 6) >said 2>errors || status=$?
[[ $status == 6 && $(<said) == 'operations '* && $(wc -l <errors) == 1 &&
    $(<errors) == *': File too large; the recording stops here' ]] ||
    fail "a limit for files: status $status: $(<errors)"
mkfifo pipe
head -c 16 pipe >/dev/null &
status=0
timeout 20 env LD_PRELOAD="$HAKMEM_BUILD_DIR/librecordmalloc.so" HAKMEM_RECORD_FILE="$work/pipe" \
    "$load" 6 >said 2>errors || status=$?
wait
[[ $status == 6 && $(<said) == 'operations '* && $(wc -l <errors) == 1 &&
    $(<errors) == *': Broken pipe; the recording stops here' ]] ||
    fail "a pipe that nobody reads: status $status: $(<errors)"

((failures == 0)) || exit 1
echo "all cases as expected"
