#!/usr/bin/env bash
# The command `hakmem`: what it sets, what it passes on, and how it fails.
#
# ctest: labels=quick timeout=60
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
unset LD_PRELOAD
mkdir -p "$work/bin" "$work/lib" "$work/a b"
cp "$HAKMEM_BIN" "$work/bin/hakmem"
cp "$HAKMEM_LIB" "$work/lib/libhakmem.so"
cp "$HAKMEM_BUILD_DIR/librecordmalloc.so" "$work/lib/"
hakmem=$work/bin/hakmem

# expect NAME STATUS PATTERN COMMAND...: exit status, and a line of output that matches.
expect() {
    local name=$1 status=$2 pattern=$3 got=0 output
    shift 3
    output=$("$@" 2>&1 </dev/null) || got=$?
    if [[ $got != "$status" ]] || ! grep -qE -- "$pattern" <<<"$output"; then
        printf '%s: status %s (expected %s), output:\n%s\n' "$name" "$got" "$status" "$output"
        failures=$((failures + 1))
    fi
}

expect help 0 '^Usage: hakmem run ' "$hakmem" --help
expect version 0 '^hakmem [0-9]+[.][0-9]+[.][0-9]+$' "$hakmem" --version
expect no_command 125 '^hakmem: no command' "$hakmem"
expect unknown_command 125 '^hakmem: unknown command.*: walk$' "$hakmem" walk
expect unknown_option 125 '^hakmem: unknown option.*: -x$' "$hakmem" run -x true
expect no_program 125 '^hakmem: run: no program' "$hakmem" run --
for verb in run record doctor options map top prof; do
    expect "help_of_$verb" 0 '^Usage: hakmem run ' "$hakmem" "$verb" --help
done
expect help_record 0 '^       hakmem record ' "$hakmem" --help
expect record_unknown_option 125 '^hakmem: unknown option of record.*: -x$' "$hakmem" record -x true
expect record_no_program 125 '^hakmem: record: no program' "$hakmem" record -o "$work/t" --
expect record_no_file 125 '^hakmem: record: no file after -o' "$hakmem" record -o
expect options_wrong 125 '^hakmem: options takes --json, --markdown or --man' "$hakmem" options --xml
# shellcheck disable=SC2016 # the inner shell expands it
expect options_full 125 '^hakmem: cannot write' bash -c '"$0" options >/dev/full' "$hakmem"
expect no_runner 125 '^hakmem: neither beside .*: bench_runner$' "$hakmem" ab -- true
# shellcheck disable=SC2016 # the inner shell expands it
expect full_output 125 '^hakmem: cannot write' bash -c '"$0" --help >/dev/full' "$hakmem"

expect library_in_lib 0 "^$work/lib/libhakmem.so\$" \
    "$hakmem" run -- printenv LD_PRELOAD
expect earlier_preload 0 "^$work/lib/libhakmem.so:libc.so.6 libm.so.6\$" \
    env LD_PRELOAD='libc.so.6 libm.so.6' "$hakmem" run -- printenv LD_PRELOAD
expect without_dashes 0 '^one  two$' "$hakmem" run printf '%s\n' 'one  two'
expect program_dashes 0 '^-- -x$' "$hakmem" run -- echo -- -x
expect exit_status 7 '^$' "$hakmem" run -- bash -c 'exit 7'
expect library_is_mapped 0 "$work/lib/libhakmem.so" "$hakmem" run -- cat /proc/self/maps
expect by_path_search 0 "^$work/lib/libhakmem.so\$" \
    env PATH="$work/bin:$PATH" hakmem run -- printenv LD_PRELOAD
ln -s "$hakmem" "$work/a b/hakmem"
expect by_symbolic_link 0 "^$work/lib/libhakmem.so\$" \
    "$work/a b/hakmem" run -- printenv LD_PRELOAD

# What is recorded does not see it: neither the library nor the name of the file.
expect record_hides_itself 0 '^libc.so.6 none$' env LD_PRELOAD=libc.so.6 "$hakmem" record \
    -o "$work/t" sh -c "echo \$LD_PRELOAD \${HAKMEM_RECORD_FILE-none}"
expect record_hides_preload 0 '^none$' "$hakmem" record -o "$work/t" -- \
    sh -c "echo \${LD_PRELOAD-none}"
# shellcheck disable=SC2016 # the inner shell expands it
expect record_in_folder 0 '^HAKTRACE' bash -c \
    'cd "$2" && "$1" record -- true && head -c 8 hakmem.trace' _ "$hakmem" "$work"
expect record_exit_status 7 '^$' "$hakmem" record -o "$work/t" -- bash -c 'exit 7'
expect record_missing_program 127 '^hakmem: ./no-such-program: No such file' \
    "$hakmem" record -o "$work/t" -- ./no-such-program
expect record_unwritable 125 "^hakmem: $work/no/t: No such file" \
    "$hakmem" record -o "$work/no/t" -- true
expect record_to_folder 125 "^hakmem: $work: Is a directory" "$hakmem" record -o "$work" -- true

expect missing_program 127 '^hakmem: ./no-such-program: No such file' \
    "$hakmem" run -- ./no-such-program
touch "$work/not-executable"
expect not_executable 126 'Permission denied$' "$hakmem" run -- "$work/not-executable"

cp "$HAKMEM_LIB" "$work/bin/libhakmem.so"
expect library_beside 0 "^$work/bin/libhakmem.so\$" "$hakmem" run -- printenv LD_PRELOAD
cp "$work/bin/libhakmem.so" "$work/a b/libhakmem.so"
rm "$work/a b/hakmem"
cp "$hakmem" "$work/a b/hakmem"
expect path_with_space 125 'cannot hold a path with a space' "$work/a b/hakmem" run -- true
rm "$work/bin/libhakmem.so" "$work/lib/libhakmem.so"
rm "$work/lib/librecordmalloc.so"
expect no_recorder 125 '^hakmem: neither beside .*: librecordmalloc.so$' \
    "$hakmem" record -o "$work/t" -- true
expect no_library 125 '^hakmem: neither beside this command nor in ../lib: libhakmem.so$' "$hakmem" run -- true

# The manual names every status that the commands end with; what ends so is tested here and in the
# tests of doctor, map, top and the runner.
statuses=$(sed -n '/^[.]Sh EXIT STATUS/,/^[.]Sh EXAMPLES/p' "${HAKMEM_SOURCE_DIR:?}/tool/package/hakmem.1")
for status in 0 1 2 3 4 5 6 125 126 127 130; do
    grep -qw -- "$status" <<<"$statuses" || { echo "hakmem.1 lacks the exit status $status"; failures=$((failures + 1)); }
done

((failures == 0)) || exit 1
echo "all cases as expected"
