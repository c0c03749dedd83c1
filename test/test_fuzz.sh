#!/usr/bin/env bash
# A short run of each fuzz target under libFuzzer, with AddressSanitizer and
# UndefinedBehaviorSanitizer, in the mode of the library under test: first the corpus, then some
# seconds of mutations. The operations run once for each of some sets of options.
# `./dev fuzz` runs longer and keeps what it finds new; the tests fuzz_* replay the corpus without
# libFuzzer.
#
# ctest: labels=quick timeout=300
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
work_begin
seconds=${HAKMEM_FUZZ_SECONDS:-3}
header=OFF build=$build/fuzz
[[ $library != *-header.so ]] || header=ON

# As option bytes: the plain ones, all others of tiers and time, huge pages, a limit; hardened, with
# others, with a limit.
option_sets=(0 15 16 32 56 64 79 128 139 192)

printf '#include <stdint.h>\n#include <stddef.h>\nint LLVMFuzzerTestOneInput(const uint8_t *, size_t);\n' >"$work/a.c"
printf 'int LLVMFuzzerTestOneInput(const uint8_t *a, size_t b) { return a == 0 && b == 1; }\n' >>"$work/a.c"
clang -fsanitize=fuzzer,address,undefined "$work/a.c" -o "$work/a" 2>/dev/null || {
    skip "clang's fuzzer is not here (clang, libclang-rt-14-dev)"
}

# fuzz TARGET SECONDS: what it finds is left in the build directory.
fuzz() {
    local launcher=() corpus=$source_dir/test/fuzz/corpus/${1#fuzz_}
    ! setarch -R true 2>/dev/null || launcher=(setarch -R) # see run_tests in dev
    local grown=${HAKMEM_FUZZ_CORPUS:-$work}/$1
    mkdir -p "$build/found/$1" "$grown"
    "${launcher[@]}" "$build/test/$1" -max_total_time="$2" -seed=1 -max_len=6001 -timeout=60 -rss_limit_mb=4096 \
        -close_fd_mask=1 -print_final_stats=1 -artifact_prefix="$build/found/$1/" \
        "$grown" "$corpus" >"$work/log" 2>&1 || {
        cat "$work/log"
        echo "test_fuzz: $1 with HAKMEM_FUZZ_OPTIONS=${HAKMEM_FUZZ_OPTIONS:-} failed; the input is in $build/found/$1"
        exit 1
    }
    echo "$1 ${HAKMEM_FUZZ_OPTIONS:-}: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log") inputs," \
        "$(grep -oE 'cov: [0-9]+' "$work/log" | tail -n 1)"
}

if [[ ! -e $build/build.ninja ]]; then
    cmake -S "$source_dir" -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_C_FLAGS_DEBUG='-O1 -g -DHAK_DEBUG=1' -DHAK_SANITIZE=address,undefined -DHAK_FUZZER=ON \
        -DHAK_HEADER=$header >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
fi
cmake --build "$build" --target fuzz_operations fuzz_options fuzz_policy fuzz_trace >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
export ASAN_OPTIONS=detect_leaks=0
fuzz fuzz_options "$seconds"
fuzz fuzz_policy "$seconds"
fuzz fuzz_trace "$seconds"
for set in "${option_sets[@]}"; do
    HAKMEM_FUZZ_OPTIONS=$set fuzz fuzz_operations "$(((seconds + 2) / 3))"
done
