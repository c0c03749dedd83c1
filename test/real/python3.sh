#!/bin/bash
# ctest: labels=real timeout=600
#
# Debian's python3 runs its own tests of json, threading and subprocess with every object on
# malloc. What passes plainly passes with the library; what fails plainly is not held against it.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
python=/usr/bin/python3
needs python3 "$python"
needs libpython3.11-testsuite /usr/lib/python3.11/test/test_json

export PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1

# results VARIANT: one line a test, "name outcome", from the report of that run.
results() {
    "$python" - "$work/$1/report.xml" <<'SCRIPT'
import sys
import xml.etree.ElementTree as tree

worst = ("passed", "skipped", "failure", "error")
outcomes = {}
for case in tree.parse(sys.argv[1]).iter("testcase"):
    name = case.get("name")
    outcome = max([child.tag for child in case if child.tag in worst], key=worst.index, default="passed")
    outcomes[name] = max(outcomes.get(name, "passed"), outcome, key=worst.index)
for name, outcome in sorted(outcomes.items()):
    print(name, outcome)
SCRIPT
}

takes_malloc_from_library "$python" -c pass
for variant in plain preload; do
    run "$variant" tests "$python" -m test --junit-xml report.xml test_json test_threading test_subprocess
    if [[ ! -s $work/$variant/report.xml ]]; then
        show "$work/tests.$variant".{out,err}
        fail "the tests did not come to their end ($variant): status $(<"$work/tests.$variant.status")"
    fi
    results "$variant" >"$work/$variant/results"
done
for module in test_json test_threading test_subprocess; do
    passed=$(grep -c "^test\.$module\..* passed\$" "$work/plain/results" || true)
    ((passed >= 50)) || fail "only $passed tests of $module pass plainly"
done
comparisons=$((comparisons + 1))
worse=$(comm -23 <(grep -E ' (passed|skipped)$' "$work/plain/results") "$work/preload/results")
if [[ -n $worse ]]; then
    problem "these end otherwise with the library:"
    printf '%s\n' "$worse" | sed 's/^/    /'
    show "$work/tests.preload.out"
fi
if [[ $(<"$work/tests.plain.status") == 0 ]]; then
    same_status tests
fi
no_new_stderr tests
finish
