#!/usr/bin/env bash
# Every USDT probe is in the built library, once at least, with as many arguments as it is documented
# with; each is a nop, and none stands in malloc or free.
#
# ctest: labels=quick timeout=60
set -euo pipefail
library=${HAKMEM_LIB:?}
source_dir=${HAKMEM_SOURCE_DIR:?}
export LC_ALL=C
failures=0

fail() {
    printf 'test_probes: %s\n' "$*" >&2
    failures=$((failures + 1))
}

echo '#include <sys/sdt.h>' | "${CC:-cc}" -E -x c - >/dev/null 2>&1 ||
    { echo "skipped: no <sys/sdt.h> (systemtap-sdt-dev): the probes were compiled to nothing"; exit 77; }

# "NAME ARGUMENTS": of the notes, of the table in the document, of the sources.
notes=$(readelf -nW "$library" | awk '
    /Provider: / { provider = $NF }
    /Name: / { name = $NF }
    /Location: / { location = $2; sub(/,/, "", location) }
    /Arguments:/ { if (provider == "hakmem") print name, NF - 1, location }')
built=$(awk '{ print $1, $2 }' <<<"$notes" | sort -u)
documented=$(awk -F ' *[|] *' '$2 ~ /^`[a-z_]+`$/ { gsub(/`/, "", $2); print $2, gsub(/`/, "", $3) / 2 }' \
    "$source_dir/design/probes.md" | sort -u)
written=$(cd "$source_dir" && cat region/*.[ch] segment/*.[ch] front/*.[ch] front/*/*.[ch] |
    grep -oE 'HAK_PROBE[0-9]\([a-z_]+' | sed -E 's/HAK_PROBE([0-9])\(([a-z_]+)/\2 \1/' | sort -u)
diff <(echo "$built") <(echo "$documented") >&2 || fail "< in the library, > in design/probes.md"
diff <(echo "$built") <(echo "$written") >&2 || fail "< in the library, > in the sources"
for name in refill flush page_claim page_retire segment_claim segment_release large_alloc \
    large_free remote policy_change; do
    grep -q "^$name [0-9]" <<<"$built" || fail "no probe $name"
done

# Each argument is something that a tracer can read: SIZE@PLACE.
bad=$(readelf -nW "$library" | awk '/Provider: hakmem/ { on = 1 }
    on && /Arguments:/ { for (i = 2; i <= NF; i++) if ($i !~ /^-?[1248]@/) print $i; on = 0 }')
[[ -z $bad ]] || fail "arguments that say no size: $bad"

# A nop each; a listing from the place on, for other bytes might be read otherwise.
if [[ $(uname -m) == x86_64 ]]; then
    while read -r name _ location; do
        objdump -d --no-show-raw-insn --start-address="$location" \
            --stop-address=$((location + 1)) "$library" | grep -qE '[[:space:]]nop$' ||
            fail "$name at $location is no nop"
    done <<<"$notes"
fi

# Not in the functions that are the fast paths.
while read -r start size name; do
    while read -r probe _ location; do
        ((location < start || location >= start + size)) || fail "$probe stands in $name"
    done <<<"$notes"
done < <(nm -S "$library" | awk '$4 == "hak_malloc" || $4 == "hak_free" { print "0x" $1, "0x" $2, $4 }')

((failures == 0)) || exit 1
echo "$(wc -l <<<"$notes") places of $(wc -l <<<"$built") probes"
