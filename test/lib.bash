# What the test scripts share; sourced, not a test itself.
#
#   # shellcheck source-path=SCRIPTDIR source=lib.bash
#   source "$(dirname "$0")/lib.bash"
#
# Sets `here` (test/), `source_dir`, `build`, `library` and `archive`: what CTest says is to be
# tested, else the release build. Messages of programs are in English, and nothing is preloaded.
# Failures are counted; `finish` ends the test with 1 if there were any.
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables are the scripts'

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
test_name=$(basename "$0" .sh)
source_dir=${HAKMEM_SOURCE_DIR:-$(dirname "$here")}
build=${HAKMEM_BUILD_DIR:-$source_dir/build/release}
library=$(realpath -ms "${HAKMEM_LIB:-$build/libhakmem.so}")
archive=${library%.so}.a
failures=0
work=
export LC_ALL=C
unset LD_PRELOAD

# fail WORDS...: the test goes on.
fail() {
    printf '%s: %s\n' "$test_name" "$*" >&2
    failures=$((failures + 1))
}

# skip WORDS...: the rest of the test cannot be run here.
skip() {
    ((failures == 0)) || exit 1
    echo "$test_name: skipped: $*"
    exit 77
}

# finish WORDS...: the end of the test, and what is said if all went well.
finish() {
    if ((failures > 0)); then
        echo "$test_name: $failures failed" >&2
        exit 1
    fi
    echo "$*"
}

# built FILE...: what the test needs of the build.
built() {
    local file
    for file; do
        [[ -e $file ]] || { echo "$file is not built" >&2; exit 1; }
    done
}

# work_begin: sets `work`, a directory that is removed when the test ends.
work_begin() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
}

# options_clear: no option of the library is set but those that the test sets.
options_clear() {
    local name
    while IFS='=' read -r name _; do
        case $name in
        HAKMEM_BUILD_DIR | HAKMEM_LIB | HAKMEM_BIN | HAKMEM_SOURCE_DIR) ;;
        HAKMEM_POOL_LOCK | HAKMEM_REAL_REQUIRED) ;;
        HAKMEM_*) unset "$name" ;;
        esac
    done < <(env)
}
