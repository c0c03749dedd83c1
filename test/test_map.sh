#!/usr/bin/env bash
# `hakmem map` on running processes with a heap that is known, on saved maps, and on what is neither.
#
# ctest: labels=quick timeout=120
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/heap_sample.bash
. "$here/heap_sample.bash"

# map_json FILE: what a saved map says: {"large": [pages], "SLOT_BYTES": used slots, ...}
map_sums() {
    python3 - "$1" <<'PY'
import collections, json, sys
classes, sums, large, owners = {}, collections.Counter(), [], collections.defaultdict(set)
for line in open(sys.argv[1]):
    word, *values = line.split()
    if word == "class":
        classes[values[0]] = values[1]
    elif word == "slots":
        sums[classes[values[1]]] += int(values[3])
        owners[classes[values[1]]].add(values[2])
    elif word == "large":
        large.append(int(values[1]))
print(json.dumps({**sums, "large": sorted(large), "owners": {k: sorted(v) for k, v in owners.items()}}))
PY
}

# check_sums BEFORE AFTER: as many more as the sample has allocated; magazines count as used.
check_sums() {
    python3 - "$1" "$2" <<'PY'
import json, sys
before, after = map(json.loads, sys.argv[1:])
for size, count, most in ("64", 1000, 1023), ("1536", 500, 127), ("10240", 200, 63), ("256", 700, 255):
    more = after.get(size, 0) - before.get(size, 0)
    if not count <= more <= count + most:
        print(f"class {size}: {more} more, {count} were allocated")
blocks = [pages for pages in after["large"] if 16 <= pages <= 20]
if len(after["large"]) - len(before["large"]) != 3 or len(blocks) != 3:
    print(f"large blocks: {before['large']}, then {after['large']}")
if after["owners"]["64"] == after["owners"]["256"] or "0" in after["owners"]["64"]:
    print(f"owners: {after['owners']}")
PY
}

counter_of() { cat "$work/counter"; }

# --- figures
sample_start
"$hakmem" map "$sample" --save "$work/before"
sample_ask a
was=$(counter_of)
"$hakmem" map "$sample" --save "$work/after"
while read -r problem; do fail "$problem"; done \
    < <(check_sums "$(map_sums "$work/before")" "$(map_sums "$work/after")")

# --- the process runs on: it is neither traced nor stopped at any time
for ((i = 0; i < 30; i++)); do
    "$hakmem" map "$sample" >/dev/null
    grep -qE '^State:[[:space:]]+[SRD]' "/proc/$sample/status" || fail "the process was stopped"
    grep -qE '^TracerPid:[[:space:]]+0$' "/proc/$sample/status" || fail "the process was traced"
done
sleep 0.1
(($(counter_of) > was)) || fail "the process's counter stands still at $was"

# --- the text
expect text 0 "^hakmem map: heap_sample \($sample\): segments [0-9]+, in use [0-9.]+M" \
    "$hakmem" map "$sample"
rows=$(grep -cE '^ +[0-9]+  (free|Tiny|Small-Mid|Mid|Large) +ordinary  [0-8.oL=?]{32}$' <<<"$output")
[[ $rows == "$(grep -c '^segment ' "$work/after")" ]] || fail "the text has $rows rows: $output"
[[ $(grep -E '^ +[0-9]+  ' <<<"$output" | grep -o L= | wc -l) -ge 3 ]] || fail "no three large blocks"
! grep -q $'\033' <<<"$output" || fail "colours in a file"
# on_terminal COMMAND...: what it writes to one.
on_terminal() { python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)' "$@" </dev/null; }
[[ $(on_terminal "$hakmem" map "$sample") == *$'\033[38;5;'* ]] || fail "no colours on a terminal"
[[ $(on_terminal env NO_COLOR= "$hakmem" map "$sample") == *$'\033['* ]] || fail "an empty NO_COLOR counts"
[[ $(on_terminal env NO_COLOR=1 "$hakmem" map "$sample") != *$'\033'* ]] || fail "colours with NO_COLOR=1"
[[ $(on_terminal "$hakmem" map "$sample" --json) != *$'\033'* ]] || fail "colours in JSON"
expect text_by_class 0 '^[0-9a-zA-Z] class of 1536 bytes$' "$hakmem" map "$sample" --show class
expect text_by_owner 0 '^2 heap 2, in use, [0-9]+ pages and spans$' \
    "$hakmem" map "$sample" --show owner
if LC_ALL=C.UTF-8 locale charmap 2>/dev/null | grep -q UTF-8; then
    expect text_utf8 0 '^ +[0-9]+  Tiny .*[▁▂▃▄▅▆▇█]' env LC_ALL=C.UTF-8 "$hakmem" map "$sample"
fi

# --- the picture
"$hakmem" map "$sample" --svg "$work/map.svg"
python3 - "$work/map.svg" "$work/after" <<'PY' >"$work/problems" || fail "the picture is no XML"
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
space = "{http://www.w3.org/2000/svg}"
texts = ["".join(item.itertext()) for item in root.iter(space + "text")]
titles = [item.text for item in root.iter(space + "title")]
if not any(text.startswith("Heap of heap_sample, process") for text in texts):
    print("the picture has no title")
for word in "Tiny", "Small-Mid", "Mid", "Large", "free, without memory", "free, with memory":
    if word not in texts:
        print(f"the legend does not say {word}")
slots = sum(line.startswith("slots ") for line in open(sys.argv[2]))
boxes = sum("slots in use" in title for title in titles)
if boxes != slots:
    print(f"{boxes} boxes for {slots} pages and spans")
if not any("class of 64 bytes" in title and "heap" in title for title in titles):
    print("no box says its class and its heap")
width, height = float(root.get("width")), float(root.get("height"))
for item in root.iter(space + "rect"):
    x, y = float(item.get("x", 0)), float(item.get("y", 0))
    if x + float(item.get("width")) > width or y + float(item.get("height")) > height:
        print("a box lies outside of the picture")
        break
PY
while read -r problem; do fail "$problem"; done <"$work/problems"

# --- a saved map is the same map
"$hakmem" map "$work/after" --save "$work/again"
cmp "$work/after" "$work/again" || fail "a saved map that was read and saved is another one"
for show in fill class owner; do
    expect "saved_$show" 0 '^hakmem map: heap_sample' "$hakmem" map "$work/after" --show $show
done
"$hakmem" map "$work/after" --svg "$work/saved.svg"

# --- a small map, known to the last page: what backs each segment, what is free with memory and without
cat >"$work/small" <<'MAP'
hakmem-map 1
process 7 0 0 7f0000000000 65536 small
count 2 4 1
class 1 64 1024 1 1 0
owner 1 7f1000000000 0 0 4
segment 0 00000001 00000006 1 0
segment 1 00000001 00000000 1 1
segment 2 00000001 00000000 1 2
segment 3 00000001 80000000 1 3
slots 0 1 1 512
slots 32 1 1 0
slots 64 1 1 1024
slots 96 1 1 1
end
MAP
expect small 0 '^     0  Tiny       ordinary  4oo\.{29}$' "$hakmem" map "$work/small"
for row in '1  Tiny       THP       0\.{31}' '2  Tiny       hugetlb   8\.{31}' '3  Tiny       1 GiB     1\.{30}o'; do
    grep -qE "^     $row$" <<<"$output" || fail "small: no row '$row': $output"
done
"$hakmem" map "$work/small" --svg "$work/small.svg"
for mark in THP:1 huge:1 1G:1; do
    [[ $(grep -cF ">${mark%:*}</text>" "$work/small.svg") == "${mark#*:}" ]] || fail "small: no mark ${mark%:*}"
done
# Striped bars, black ones, dotted boxes, of which one is the legend's.
for fill in 'url(#thp)' '#000' 'url(#dirty)'; do
    printf '%s %d\n' "$fill" "$(grep -cF "fill=\"$fill\"" "$work/small.svg")"
done >"$work/fills"
[[ $(cat "$work/fills") == 'url(#thp) 1
#000 2
url(#dirty) 3' ]] || fail "small: $(cat "$work/fills")"

# --- files that are none
expect no_file 1 "^hakmem: map: $work/none: No such file" "$hakmem" map "$work/none"
expect no_map 1 '^hakmem: map: neither a process id nor a saved map: ' "$hakmem" map "$0"
head -n 100 "$work/after" >"$work/cut"
expect cut_off 1 'the file was cut off$' "$hakmem" map "$work/cut"
sed 's/^hakmem-map 1/hakmem-map 2/' "$work/after" >"$work/newer"
expect newer 6 'version: 2, and this command reads version 1$' "$hakmem" map "$work/newer"
awk '{ print } /^slots / && !done++ { print }' "$work/after" >"$work/twice"
expect twice 1 'line [0-9]+ is not one of a saved map$' "$hakmem" map "$work/twice"
expect unwritable 1 'No such file' "$hakmem" map "$work/after" --svg "$work/none/map.svg"
expect full 1 '^hakmem: map: cannot write' "$hakmem" map "$work/after" --svg /dev/full
# shellcheck disable=SC2016 # the inner shell expands it
expect full_text 1 '^hakmem: map: cannot write' \
    bash -c '"$0" map "$1" >/dev/full' "$hakmem" "$work/after"
expect no_value 2 'nothing after an option.*: --svg$' "$hakmem" map "$sample" --svg
expect bad_show 2 'takes fill, class or owner, not: size$' "$hakmem" map "$sample" --show size
expect two 2 'one process or file at a time' "$hakmem" map "$sample" "$sample"
# Any line may be spoilt: it is named, or the map is drawn; nothing else happens.
python3 - "$hakmem" "$work" <<'PY' >"$work/problems"
import random, subprocess, sys
lines = open(sys.argv[2] + "/after").read().splitlines(True)
seed = random.Random(7)
named = 0
for turn in range(60):
    spoilt = list(lines)
    at = seed.randrange(1, len(spoilt) - 1)
    words = spoilt[at].split()
    words[seed.randrange(len(words))] = seed.choice(
        ["4294967295", "99999999999999999999", "-1", "x", "", "0", "255", "65536", "count 2 9 9"])
    spoilt[at] = " ".join(words) + "\n"
    open(sys.argv[2] + "/spoilt", "w").write("".join(spoilt))
    for arguments in [], ["--show", "owner"], ["--svg", "/dev/null"]:
        done = subprocess.run([sys.argv[1], "map", sys.argv[2] + "/spoilt", *arguments],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        named += f"line {at + 1} is not one of a saved map" in done.stderr
        if done.returncode not in (0, 1) or done.returncode == 1 and "hakmem: map: " not in done.stderr:
            print(f"line {at + 1} as '{spoilt[at].strip()}': status {done.returncode}, {done.stderr}")
if named < 40:
    print(f"only {named} spoilt lines were named")
PY
while read -r problem; do fail "$problem"; done <"$work/problems"
sample_end

# --- a process with most of the classes: each has a sign of its own, and none is that of another thing
coproc python { LD_PRELOAD=$library exec python3 -c 'import json, re; print("ready", flush=True); input()'; }
busy=$! # python_PID is gone when it has ended
read -r -t 60 -u "${python[0]}" answer || fail "python3 did not start"
for locale in C C.UTF-8; do
    expect many_classes 0 '^1 class of (16|32) bytes$' env LC_ALL=$locale "$hakmem" map "$busy" --show class
    signs=$(sed -nE 's/^(.) class of [0-9]+ bytes$/\1/p' <<<"$output")
    (($(wc -l <<<"$signs") >= 30)) || fail "few classes: $output"
    [[ -z $(sort <<<"$signs" | uniq -d) ]] || fail "classes with one sign: $output"
    ! grep -E '[L=.o?*-]' <<<"$signs" >&2 || fail "a class has the sign of another thing: $output"
done
kill "$busy"
wait "$busy" 2>/dev/null || true

# --- wherever the library is: its file gone, in the program itself and stripped, hardened
cp "$library" "$work/gone.so"
library=$work/gone.so sample_start
rm "$work/gone.so"
expect library_gone 0 '^hakmem map: heap_sample' "$hakmem" map "$sample"
sample_end
: "${CC:=cc}"
if $CC -static -O1 -D_GNU_SOURCE -fno-builtin -o "$work/static_sample" "$here/prog/heap_sample.c" \
    "${library%.so}.a" -pthread && strip "$work/static_sample"; then
    library='' sample_start -- "$work/static_sample"
    sample_ask a
    "$hakmem" map "$sample" --save "$work/static"
    [[ $(grep -c '^large ' "$work/static") -ge 3 ]] || fail "static: no three large blocks"
    sample_end
else
    fail "no static program could be built"
fi
sample_start HAKMEM_HARDEN=1
sample_ask a
expect hardened 0 ", hardened: segments" "$hakmem" map "$sample"
"$hakmem" map "$sample" --save "$work/hardened"
[[ $(map_sums "$work/hardened") == *'"64": 1'[0-9][0-9][0-9],* ]] ||
    fail "hardened: not about 1000 blocks: $(map_sums "$work/hardened")"
sample_end

expect_refusals map
((failures == 0)) || exit 1
echo "all cases as expected"
