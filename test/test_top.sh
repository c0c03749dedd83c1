#!/usr/bin/env bash
# `hakmem top` on running processes with a heap that is known: from their memory, from the live file
# of HAKMEM_LIVE=1, on a terminal and not; and the life of that file.
#
# ctest: labels=quick timeout=120
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/heap_sample.bash
. "$here/heap_sample.bash"
[[ -d /dev/shm && -w /dev/shm ]] || { echo "skipped: no /dev/shm"; exit 77; }

# top_json [--published]: one object.
top_json() { "$hakmem" top "$sample" --once --json "$@"; }

# check_more BEFORE AFTER SPARE: as many more blocks as were allocated, SPARE (0 or 1) says if there
# may be more, which are in magazines.
check_more() {
    python3 - "$@" <<'PY'
import json, sys
before, after = (json.loads(text) for text in sys.argv[1:3])
spare = int(sys.argv[3])
live = [{c["bytes"]: c["live"] for c in figures["classes"]} for figures in (before, after)]
for size, count, most in (64, 1000, 1023), (1536, 500, 127), (10240, 200, 63), (256, 700, 255):
    more = live[1].get(size, 0) - live[0].get(size, 0)
    if not count <= more <= count + most * spare:
        print(f"class {size}: {more} more, {count} were allocated")
if after["large_blocks"] - before["large_blocks"] != 3:
    print(f"large blocks: {before['large_blocks']}, then {after['large_blocks']}")
more = after["pages_bytes"] - before["pages_bytes"]
least = 1000 * 64 + 500 * 1536 + 200 * 10240 + 3 * 2**20 + 700 * 256
if not least <= more <= 2 * least:
    print(f"pages: {more} bytes more, at least {least} are needed")
if after["resident_bytes"] < 2**19 or after["heaps"] < 2 or after["hardened"]:
    print(f"not so: {after}")
PY
}

# --- from memory: exact
sample_start
before=$(top_json)
sample_ask a
after=$(top_json)
while read -r problem; do fail "memory: $problem"; done < <(check_more "$before" "$after" 0)
[[ $after == *'"source":"memory"'* ]] || fail "not read from memory: $after"
expect table 0 '^ +64 Tiny +1[0-9]{3} ' "$hakmem" top "$sample" --once
expect table_head 0 "^hakmem top: heap_sample \($sample\), read from its memory$" \
    "$hakmem" top "$sample" --once
! grep -q $'\033' <<<"$output" || fail "colours in a file"
expect not_published 5 'publishes nothing' "$hakmem" top "$sample" --once --published
# shellcheck disable=SC2016 # the inner shell expands it
expect full 1 '^hakmem: top: cannot write' \
    bash -c '"$0" top "$1" --once >/dev/full' "$hakmem" "$sample"
expect no_number 2 'this is no process id: x$' "$hakmem" top x

# --- again and again, with rates, while the process runs on
timeout 3.5 "$hakmem" top "$sample" --json >"$work/lines" &
follower=$!
for ((i = 0; i < 6; i++)); do
    grep -qE '^State:[[:space:]]+[SRD]' "/proc/$sample/status" || fail "the process was stopped"
    grep -qE '^TracerPid:[[:space:]]+0$' "/proc/$sample/status" || fail "the process was traced"
    was=$(cat "$work/counter")
    sample_ask s
    (($(cat "$work/counter") > was)) || fail "the process's counter stands still at $was"
done
wait "$follower" || true
python3 - "$work/lines" <<'PY' >"$work/problems"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
if not 2 <= len(lines) <= 4:
    print(f"{len(lines)} objects in 3.5 seconds")
if lines[0]["slow_paths_per_second"] != 0 or max(x["slow_paths_per_second"] for x in lines) < 100:
    print(f"rates: {[x['slow_paths_per_second'] for x in lines]}")
PY
while read -r problem; do fail "$problem"; done <"$work/problems"

# --- on a terminal: q and Ctrl-C leave it as it was; the end of the process too
python3 - "$hakmem" "$sample" <<'PY' >"$work/problems"
import os, pty, select, signal, subprocess, sys, termios, time
hakmem, process = sys.argv[1:]
def session(name, act, expected):
    parent, child = pty.openpty()
    before = termios.tcgetattr(child)
    top = subprocess.Popen([hakmem, "top", process], stdin=child, stdout=child, stderr=child,
                           start_new_session=True, preexec_fn=lambda: os.tcsetpgrp(0, os.getpgrp())
                           if __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0) == 0 else None)
    output = b""
    end = time.time() + 20
    acted = False
    while time.time() < end and (top.poll() is None or select.select([parent], [], [], 0)[0]):
        if select.select([parent], [], [], 0.1)[0]:
            output += os.read(parent, 65536)
        if not acted and output.count(b"\033[H") >= 2:
            raw = termios.tcgetattr(child)
            if raw[3] & termios.ECHO or raw[3] & termios.ICANON:
                print(f"{name}: keys are shown")
            act(parent, top)
            acted = True
    status = top.wait(10) if top.poll() is not None else (top.kill(), "hangs")[1]
    if status not in expected:
        print(f"{name}: status {status}")
    if termios.tcgetattr(child) != before:
        print(f"{name}: the terminal is not as it was")
    if not output.startswith(b"\033[?1049h") or b"\033[?25h\033[?1049l" not in output[-200:]:
        print(f"{name}: the screen was not taken and given back: {output[:40]} {output[-80:]}")
    if b"\033[7m" not in output or b"read from its memory" not in output:
        print(f"{name}: no table")
session("q", lambda parent, top: os.write(parent, b"xq"), (0,))
session("Ctrl-C", lambda parent, top: os.write(parent, b"\x03"), (0,))
session("SIGTERM", lambda parent, top: top.send_signal(signal.SIGTERM), (0,))
session("end", lambda parent, top: os.kill(int(process), signal.SIGKILL), (0,))
PY
while read -r problem; do fail "terminal: $problem"; done <"$work/problems"
sample_end

# --- from the live file
live_file() { printf '/dev/shm/hakmem.%d.%d' "$EUID" "$1"; }
sample_start HAKMEM_LIVE=1
[[ $(stat -c '%a %u' "$(live_file "$sample")") == "600 $EUID" ]] || fail "not a file of one's own"
before=$(top_json --published)
sample_ask a
sample_ask s
after=$(top_json --published)
while read -r problem; do fail "live file: $problem"; done < <(check_more "$before" "$after" 1)
[[ $after == *'"source":"live file"'* && $after == *'"cached":null'* ]] || fail "not so: $after"
expect published 0 'published [0-9.]+ s ago' "$hakmem" top "$sample" --once --published
[[ $(top_json) == *'"source":"memory"'* ]] || fail "memory is not preferred"

# A child has a file of its own, once it goes through a slow path.
sample_ask f
child=$answer
[[ -e $(live_file "$child") && -e $(live_file "$sample") ]] || fail "no file of the child's"
expect child 0 'published' "$hakmem" top "$child" --once --published
printf e >&"$to"
for ((i = 0; i < 100; i++)); do
    [[ -e $(live_file "$child") ]] || break
    printf e >&"$to" # the parent may have read the first
    sleep 0.1
done
[[ ! -e $(live_file "$child") ]] || fail "the child's file stayed"
[[ -e $(live_file "$sample") ]] || fail "the parent's file went with the child"

# A version that this command does not know.
cp "$(live_file "$sample")" "$work/kept"
printf '\143' | dd of="$(live_file "$sample")" bs=1 seek=8 conv=notrunc status=none
expect other_version 6 'version: 99, and this command reads version 1$' \
    "$hakmem" top "$sample" --once --published
dd if="$work/kept" of="$(live_file "$sample")" conv=notrunc status=none
# Another program under the same number did not write it.
sample_ask x
for ((i = 0; i < 100; i++)); do
    [[ $(cat "/proc/$sample/comm") == sleep ]] && break
    sleep 0.1
done
expect executed 5 'publishes nothing' "$hakmem" top "$sample" --once --published
[[ ! -e $(live_file "$sample") ]] || fail "the file of the program before stayed"
kill "$sample"
sample_end

# What ends at once leaves its file; the next top removes it. What ends by exit() does not.
sample_start HAKMEM_LIVE=1
file=$(live_file "$sample")
[[ -e $file ]] || fail "no live file"
sample_end
[[ ! -e $file ]] || fail "the file stayed after exit()"
sample_start HAKMEM_LIVE=1
file=$(live_file "$sample")
kill -9 "$sample"
sample_end
[[ -e $file ]] || fail "who removed the file of a killed process?"
expect sweep 3 'no such process' "$hakmem" top "$(basename "$file" | cut -d. -f3)"
[[ ! -e $file ]] || fail "the file of a killed process stayed"

# A file that stands in the way is replaced; a link is not followed.
sample_start HAKMEM_LIVE=1 HAKMEM_HARDEN=1
sample_ask a
sample_ask s
after=$(top_json --published)
[[ $after == *'"hardened":true'* ]] || fail "hardened: $after"
sample_end
touch "$work/target"
# shellcheck disable=SC2016 # the inner shell expands it
expect link 0 '^regular file 600$' bash -c 'ln -s "$2" "/dev/shm/hakmem.$EUID.$$"
    exec env LD_PRELOAD="$1" HAKMEM_LIVE=1 stat -c "%F %a" "/dev/shm/hakmem.$EUID.$$"' _ "$library" "$work/target"
[[ ! -s $work/target ]] || fail "a link was followed"
# What cannot be replaced is said, and the program goes on.
# shellcheck disable=SC2016
expect in_the_way 0 '^hakmem: HAKMEM_LIVE=1 cannot be had: no file can be made in /dev/shm$' \
    bash -c 'mkdir "/dev/shm/hakmem.$EUID.$$"
    exec env LD_PRELOAD="$1" HAKMEM_LIVE=1 rmdir "/dev/shm/hakmem.$EUID.$$"' _ "$library"

# --- a top whose process ends; one that cannot see it
sample_start
timeout 20 "$hakmem" top "$sample" >/dev/null 2>"$work/errors" &
follower=$!
sleep 0.5
kill -9 "$sample"
sample_end
wait "$follower" || fail "status $? when the process ended"
grep -q '^hakmem: top: process .* has ended$' "$work/errors" || fail "$(cat "$work/errors")"
expect_refusals top
((failures == 0)) || exit 1
echo "all cases as expected"
