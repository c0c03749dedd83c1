#!/bin/bash
# ctest: labels=real timeout=240
#
# stress-ng's malloc stressor, verified; once more with threads that share blocks.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs stress-ng stress-ng

normalise() { sed -E 's/\[[0-9]+\]/[pid]/; s/[0-9]+\.[0-9]+s/Ns/; s/[0-9]+\.[0-9]+ (secs?|mins?)/N secs/'; }

takes_malloc_from_library stress-ng --version
both malloc stress-ng --malloc 2 --verify --timeout 10
exited_with 0 malloc
both threads stress-ng --malloc 2 --malloc-pthreads 2 --malloc-touch --malloc-bytes 1m --malloc-max 20000 --verify --timeout 5
exited_with 0 threads
finish
