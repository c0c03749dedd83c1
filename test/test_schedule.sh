#!/usr/bin/env bash
# Small cases of threads in every order of their steps, as many orders as fit into a minute; see
# schedule/schedule.h.
#
# ctest: labels=quick timeout=120
set -euo pipefail
exec "$HAKMEM_BUILD_DIR/test/schedule_cases"
