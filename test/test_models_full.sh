#!/usr/bin/env bash
# The models in all their scenes, with all their mutations; see test_models.sh.
#
# ctest: labels=full timeout=1800
exec bash "$(dirname "$0")/test_models.sh" full
