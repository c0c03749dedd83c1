#!/bin/sh
# test_stress for a minute instead of seconds. Argument-less; HAKMEM_BUILD_DIR names the build.
#
# ctest: labels=full timeout=600
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${HAKMEM_BUILD_DIR:-$here/../build/release}
for program in "$build/test/test_stress" "$build/test_stress"; do
    if [ -x "$program" ]; then
        HAKMEM_TEST_SECONDS=${HAKMEM_TEST_SECONDS:-60} exec "$program"
    fi
done
echo "test_stress_full: no test_stress in $build" >&2
exit 1
