#!/usr/bin/env bash
# The statistics as programs see them: every form is well-formed and says the same known figures, what
# is documented is there and the other way round, lock statistics are near zero, and the old names of
# the switches work. test_stats.c has the figures of each situation.
#
# ctest: labels=quick timeout=120
# shellcheck disable=SC2016 # backticks are Markdown's
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
known=$build/test/known_heap
document=$source_dir/design/statistics.md
full_required=${HAKMEM_FULL_REQUIRED:-}
built "$library" "$known"
options_clear
work_begin

# has TOOL REQUIRED: whether it is there. Where all packages must be, it must.
has() {
    command -v "$1" >/dev/null && return
    [[ ! $2 ]] || fail "$1 is not installed"
    echo "test_stats_forms: no $1, so its checks are left out" >&2
    return 1
}

# figures FILE SETTING... -- COMMAND...: what the command wrote to standard error.
figures() {
    local file=$work/$1 settings=()
    shift
    while [[ $1 != -- ]]; do
        settings+=("$1")
        shift
    done
    shift
    env "${settings[@]}" LD_PRELOAD="$library" "$@" 2>"$file" >"$file.out" </dev/null ||
        fail "${settings[*]} $*: ended with $?: $(head -c 500 "$file")"
}

# json FILE FILTER WHAT: the filter is true of the file.
json() {
    jq -e "$2" "$work/$1" >"$work/answer" 2>&1 ||
        fail "$1: $3: $(head -c 300 "$work/answer"): $(head -c 2000 "$work/$1")"
}

# --- JSON
agree='def sum(f): [f] | add // 0;
  .memory.used_bytes == .memory.large_bytes + sum(.classes[] | .live * .slot_bytes)
  and .memory.free_slots == sum(.classes[] | .slots - .live - .resting)
  and .memory.resting_bytes == sum(.classes[] | .resting * .slot_bytes)
  and ([.classes[] | .slots == .live + .free + .cached + .returning + .resting] | all)
  and ([.classes[].slot_bytes] | . == (unique))
  and sum(.taken_pages[]) * 65536 ==
    .memory.page_bytes + .memory.large_bytes + .memory.retired_bytes
  and (.mode == "hardened" or .memory.resting_bytes + .memory.retired_bytes == 0)
  and .memory.committed_bytes == sum(.backed_bytes[])'
slot_bytes=48
[[ $library != *header* ]] || slot_bytes=64 # a byte of each is the header's
if has jq "${HAKMEM_REAL_REQUIRED:-}"; then
    figures plain.json HAKMEM_STATS=json -- "$known"
    json plain.json '.schema == "hakmem" and .version == 1 and .mode == "default"' 'the head'
    for mode in 0 1; do
        for command in '' threads forks; do
            # shellcheck disable=SC2086 # no word is no argument
            figures agree.json HAKMEM_STATS=json HAKMEM_HARDEN=$mode -- "$known" $command
            if [[ $command == forks ]]; then # the child's, then the parent's
                jq -s '.[0]' "$work/agree.json" >"$work/child.json" 2>/dev/null || true
                jq -s '.[1]' "$work/agree.json" >"$work/parent.json" 2>/dev/null || true
                mv "$work/parent.json" "$work/agree.json"
                json child.json "$agree" "figures of a child disagree, HAKMEM_HARDEN=$mode"
            fi
            json agree.json "$agree" "figures disagree, HAKMEM_HARDEN=$mode, $command"
            mv "$work/agree.json" "$work/$mode$command.json"
            [[ $command != forks ]] || mv "$work/child.json" "$work/${mode}child.json"
        done
    done
    live() { jq ".classes[] | select(.slot_bytes == $slot_bytes) | .live" "$work/$1.json"; }
    large() { jq '.memory.large_blocks' "$work/$1.json"; }
    base=$(live 0)
    ((base >= 1000 && base < 1100)) || fail "$base live blocks of 48 bytes, not 1000 and some"
    [[ $(large 0) == 3 ]] || fail "$(large 0) large blocks, not 3"
    [[ $(live 0threads) -ge $((base + 1000)) && $(live 0threads) -le $((base + 1010)) ]] ||
        fail "$(live 0threads) blocks after threads, not $base and 1000 and some"
    [[ $(live 0child) -ge $((base + 500)) && $(live 0child) -le $((base + 510)) ]] ||
        fail "$(live 0child) blocks in a child, not $base and 500"
    [[ $(live 0forks) == "$base" ]] || fail "$(live 0forks) blocks after a child, not $base"
    hardened=$(jq '.classes[] | select(.slot_bytes == 64) | .live' "$work/1.json") # 48, and canary
    [[ $hardened == 1000 || $hardened == 1001 ]] || fail "hardened: $hardened live blocks, not 1000"
    json 1.json '.mode == "hardened" and .locks.pen_locks >= 1000 and .locks.fence_locks >= 3
        and ([.classes[] | .taken + .given + .refills + .cached] | add) == 0' 'a hardened process'
    json 0.json '.locks.pen_locks == 0 and .locks.fence_locks == 0' 'a process that is not hardened'
    [[ $(jq '[.classes[].live] | add' "$work/1child.json") -ge 1500 ]] ||
        fail "less than 1500 blocks in a hardened child"
    figures rest.json HAKMEM_STATS=json HAKMEM_HARDEN=1 -- "$build/test/use_tiers"
    json rest.json "$agree and .memory.resting_bytes > 0 and .memory.retired_bytes > 0" 'a hardened process that freed blocks'

    # what is in the code is documented, and what is documented is in the code
    jq -r '(.memory, .heaps, .segments, .backed_bytes, .events, .locks, .calls, .classes[0] | keys[]),
        "heaps", "segments", "taken_pages", "backed_bytes"' "$work/0.json" | sort -u >"$work/names"
    grep -oE '`[a-z0-9_]+`' "$document" | tr -d '`' | sort -u >"$work/words"
    missing=$(comm -23 "$work/names" "$work/words" | tr '\n' ' ')
    [[ -z $missing ]] || fail "$document does not tell of: $missing"
    grep -oE '^[|] `[a-z0-9_]+` ' "$document" | tr -d '|` ' | sort -u >"$work/rows"
    missing=$(comm -13 "$work/names" "$work/rows" | tr '\n' ' ')
    [[ -z $missing ]] || fail "$document tells of what is not there: $missing"
fi

# --- text
for value in 1 text; do
    figures text HAKMEM_STATS=$value -- "$known"
    grep -qE '^hakmem: memory: used_bytes [0-9]+, large_bytes 3145728, large_blocks 3,' "$work/text" ||
        fail "HAKMEM_STATS=$value: $(head -n 2 "$work/text")"
    ! grep -qvE '^hakmem: ([a-z_]+|class of [0-9]+ bytes \([a-z]+\)):( -|( [a-z0-9_]+ [0-9]+,?)+)$' \
        "$work/text" || fail "HAKMEM_STATS=$value: a line of another form: $(cat "$work/text")"
done
figures stats HAKMEM_STATS=off -- "$known" stats
diff <(sed 's/[0-9][0-9]*/N/g' "$work/stats" | grep -v calls) \
    <(sed 's/[0-9][0-9]*/N/g' "$work/text" | grep -v calls) >&2 || fail "malloc_stats differs from HAKMEM_STATS=1"
figures none -- "$known"
[[ ! -s $work/none ]] || fail "it speaks unasked: $(head -n 3 "$work/none")"

# --- the learner, if there is one: test_learner.c has more
for learner in on observe; do
    figures learner HAKMEM_STATS=1 HAKMEM_LEARNER=$learner HAKMEM_LEARNER_INTERVAL=1 -- "$build/test/use_tiers"
    sed -n '/^hakmem: learner:/,$p' "$work/learner" >"$work/judged"
    [[ $(head -n 1 "$work/judged") == "hakmem: learner: $learner" ]] ||
        fail "HAKMEM_LEARNER=$learner: no line of it: $(tail -n 3 "$work/learner")"
    said='(# )?class [0-9]+ route (ULTRA|MID|LARGE) capacity [0-9]+ # [0-9]+ times; [0-9]+ pages [0-9]+ % full, '
    said+='[0-9]+ % freed by their thread, [0-9]+ blocks by [0-9]+ refills in [0-9]+ slow paths'
    (($(grep -cE "^hakmem: learner: $said$" "$work/judged") >= 1 &&
        $(grep -cvE "^hakmem: learner: ($learner|$said)$" "$work/judged") == 0)) ||
        fail "HAKMEM_LEARNER=$learner: other lines: $(cat "$work/judged")"
    figures locks HAKMEM_LOCK_STATS=1 HAKMEM_LEARNER=$learner -- "$known"
    figures hardened HAKMEM_STATS=1 HAKMEM_LEARNER=$learner HAKMEM_HARDEN=1 -- "$known"
    ! grep learner "$work/text" "$work/locks" "$work/hardened" >&2 || fail "a learner where there is none"
done

# --- Prometheus
figures hardened HAKMEM_STATS=prometheus HAKMEM_HARDEN=1 -- "$known" threads
figures prometheus HAKMEM_STATS=prometheus -- "$known"
grep -qx 'hakmem_memory_large_bytes 3145728' "$work/prometheus" || fail "Prometheus: no large blocks"
# A family is declared before its figures, once.
awk '/^# TYPE / { if (declared[$3]++ || ($4 != "gauge" && $4 != "counter")) exit 1; next }
     /^# HELP / { if (NF < 4) exit 1; next }
     { name = $1; sub(/[{].*/, "", name); if (!declared[name] || NF != 2 || $2 !~ /^[0-9]+$/) exit 1 }' \
    "$work/prometheus" || fail "Prometheus: a figure without its family, or a bad one"
if has promtool "$full_required"; then
    for mode in prometheus hardened; do
        promtool check metrics <"$work/$mode" >"$work/answer" 2>&1 ||
            fail "promtool, $mode: $(head -c 1000 "$work/answer")"
    done
    sed 's/^# TYPE hakmem_heaps gauge$/# TYPE hakmem_heaps thing/' "$work/prometheus" >"$work/wrong"
    ! promtool check metrics <"$work/wrong" >"$work/answer" 2>&1 || fail "promtool takes anything"
fi

# --- malloc_info
figures info -- "$known" info
cat >"$work/malloc.xsd" <<'XSD'
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:complexType name="total">
    <xs:attribute name="type" use="required"/>
    <xs:attribute name="count" type="xs:unsignedLong"/>
    <xs:attribute name="size" type="xs:unsignedLong" use="required"/>
  </xs:complexType>
  <xs:complexType name="size">
    <xs:attribute name="from" type="xs:unsignedLong" use="required"/>
    <xs:attribute name="to" type="xs:unsignedLong" use="required"/>
    <xs:attribute name="total" type="xs:unsignedLong" use="required"/>
    <xs:attribute name="count" type="xs:unsignedLong" use="required"/>
    <xs:attribute name="live" type="xs:unsignedLong" use="required"/>
  </xs:complexType>
  <xs:element name="malloc"><xs:complexType><xs:sequence>
    <xs:element name="heap"><xs:complexType><xs:sequence>
      <xs:element name="sizes"><xs:complexType><xs:sequence>
        <xs:element name="size" type="size" maxOccurs="unbounded"/>
      </xs:sequence></xs:complexType></xs:element>
      <xs:element name="total" type="total" maxOccurs="unbounded"/>
      <xs:element name="system" type="total"/>
    </xs:sequence><xs:attribute name="nr" type="xs:unsignedInt"/></xs:complexType></xs:element>
    <xs:element name="total" type="total"/>
    <xs:element name="aspace" type="total" maxOccurs="unbounded"/>
  </xs:sequence><xs:attribute name="version" fixed="1"/></xs:complexType></xs:element>
</xs:schema>
XSD
if has xmllint "${HAKMEM_REAL_REQUIRED:-}"; then
    xmllint --noout --schema "$work/malloc.xsd" "$work/info.out" 2>"$work/answer" ||
        fail "malloc_info: $(head -c 1000 "$work/answer")"
    number() { xmllint --xpath "string(($1)[1])" "$work/info.out"; }
    [[ $(number '//total[@type="mmap"]/@count') == 3 ]] || fail "malloc_info: not 3 large blocks"
    live=$(number "//size[@from <= $slot_bytes and @to >= $slot_bytes]/@live")
    ((live >= 1000)) || fail "malloc_info: $live blocks of 48 bytes"
    [[ $(number 'count(//size[@from > @to])') == 0 ]] || fail "malloc_info: sizes the wrong way round"
fi

# --- lock statistics: near zero where there is no lock
if [[ -x $build/bench_mid_large_mt ]]; then
    for name in HAKMEM_LOCK_STATS HAKMEM_SHARED_POOL_LOCK_STATS; do
        figures locks $name=1 -- "$build/bench_mid_large_mt" 8 5000 2048 42
        line=$(cat "$work/locks")
        [[ $line =~ ^'hakmem: locks: stage1_claims '[0-9]+', stage'[^$'\n']*$ ]] || fail "$name: $line"
        claims=0 waits=0
        for figure in stage{1,2,3}_claims; do
            [[ ! $line =~ $figure' '([0-9]+) ]] || claims=$((claims + BASH_REMATCH[1]))
        done
        for figure in retries turns turn_waits heap_waits pen_locks fence_locks; do
            [[ ! $line =~ ' '$figure' '([0-9]+) ]] || waits=$((waits + BASH_REMATCH[1]))
        done
        echo "bench_mid_large_mt 8 5000 2048 42: $claims claims, $waits retries, waits and locks"
        ((claims > 100 && waits * 50 <= claims)) || fail "$name: more than 2 % of the claims: $line"
    done
else
    echo "test_stats_forms: bench_mid_large_mt is not built, so lock statistics were not looked at" >&2
fi

finish "every form says the same, and is documented"
