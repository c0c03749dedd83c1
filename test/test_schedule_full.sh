#!/usr/bin/env bash
# The same cases as test_schedule.sh, in more orders.
#
# ctest: labels=full timeout=1800
set -euo pipefail
exec "$HAKMEM_BUILD_DIR/test/schedule_cases" --full
