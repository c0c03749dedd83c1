#!/usr/bin/env bash
# The library of the preset aarch64 under programs, by qemu: preloaded, linked, static, hardened. Run
# by `./dev aarch64` only.
#
# ctest: labels=aarch64 timeout=120
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
read -ra emulator <<<"${HAKMEM_EMULATOR:-}"
((${#emulator[@]} > 0)) || skip "this is no cross build"
header_library=$(dirname "$library")/libhakmem-header.so
built "$library" "$header_library" "$archive" "$build/test/use_tiers" "$build/test/misuse/double_free_immediate"
work_begin
options_clear
cc=aarch64-linux-gnu-gcc
cxx=aarch64-linux-gnu-g++

# expect_run NAME [NAME=VALUE]... PROGRAM: ends with 0 and says nothing.
expect_run() {
    local name=$1 status=0 output variables=()
    shift
    while [[ $1 == *=* ]]; do
        variables+=(-E "$1")
        shift
    done
    output=$("${emulator[@]}" "${variables[@]}" "$@" 2>&1 </dev/null) || status=$?
    [[ $status == 0 && -z $output ]] || fail "$name: status $status: $output"
}

# ---- the files
for file in "$library" "$header_library"; do
    readelf -hW "$file" | grep -q 'Machine: *AArch64' || fail "$file is not of AArch64"
    # A kernel may have pages of 64 KiB: 0x10000.
    readelf -lW "$file" | awk '$1 == "LOAD" && length($NF) < 7 { bad = 1 } END { exit bad }' ||
        fail "$file cannot be mapped on kernel pages of 64 KiB"
    readelf -rW "$file" | grep -q 'R_AARCH64_TLSDESC' && fail "$file: TLS is not initial-exec"
    readelf -dW "$file" | grep -q 'TEXTREL' && fail "$file has text relocations"
done

# ---- programs
for file in "$library" "$header_library"; do
    expect_run "preloaded $(basename "$file")" LD_PRELOAD="$file" "$build/test/use_tiers"
done
expect_run 'hardened' HAKMEM_HARDEN=1 LD_PRELOAD="$library" "$build/test/use_tiers"
"$cc" -O1 -o "$work/linked" "$here/prog/use_tiers.c" -pthread \
    "$library" -Wl,-rpath,"$(dirname "$library")"
expect_run 'linked' "$work/linked"
"$cc" -O1 -static -o "$work/static" "$here/prog/use_tiers.c" "$archive" -pthread
expect_run 'linked statically' "$work/static"
"$cxx" -std=c++17 -O1 -fno-builtin -o "$work/new" "$here/prog/use_new.cpp" -pthread
expect_run 'C++, preloaded' LD_PRELOAD="$library" "$work/new"

# ---- misuse
output=$("${emulator[@]}" -E HAKMEM_HARDEN=1 -E LD_PRELOAD="$library" \
    "$build/test/misuse/double_free_immediate" 48 2>&1 </dev/null) && fail 'hardened: a second free goes on'
grep -q '^hakmem: .*free' <<<"$output" || fail "hardened: a second free says: $output"

# ---- the command
"${emulator[@]}" "$HAKMEM_BIN" options --markdown >"$work/options"
grep -q HAKMEM_HARDEN "$work/options" || fail 'hakmem options does not list the options'
finish "preloaded, linked and static programs run"
