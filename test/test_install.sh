#!/usr/bin/env bash
# What `cmake --install` puts into an empty folder serves every way of use: the examples are built against
# it and run; the command finds its libraries there; manual pages, table of options and completion agree
# with the code.
#
# ctest: labels=quick timeout=180
# shellcheck disable=SC2016 # the inner shell expands it
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
work_begin

# expect NAME PATTERN COMMAND...: ends with 0, and a line of its output matches.
expect() {
    local name=$1 pattern=$2 output
    shift 2
    output=$("$@" 2>&1 </dev/null) || fail "$name: status $?: $output"
    grep -qE -- "$pattern" <<<"$output" || fail "$name: no line like '$pattern': $output"
}

[[ -e $build/libhakmem.so ]] || skip "this build has no libhakmem.so to install"
prefix=$work/installed
cmake --install "$build" --prefix "$prefix" >"$work/list"
hakmem=$prefix/bin/hakmem
libdir=$(dirname "$(find "$prefix" -name libhakmem.a)")

# --- the libraries
for name in hakmem hakmem-header; do
    soname=$(readelf -dW "$libdir/lib$name.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
    [[ $soname == "lib$name.so".[0-9]* ]] || fail "lib$name.so has the soname '$soname'"
    [[ -e $libdir/$soname ]] || fail "there is no $soname"
done

# --- the examples
cp -r "$source_dir/example" "$work/example"
cd "$work/example"
: "${CC:=cc}" "${CXX:=c++}"
export PKG_CONFIG_PATH=$libdir/pkgconfig
printf 'b a\nb c\n' >"$work/words"
"$CC" -o preload/words preload/words.c
expect preload '^4 words, 3 different$' "$hakmem" run -- preload/words "$work/words"
# shellcheck disable=SC2046 # several words
"$CC" -o shared/trim shared/trim.c $(pkg-config --cflags --libs hakmem)
expect shared 'or more: yes; memory was given back: yes$' \
    env LD_LIBRARY_PATH="$libdir" shared/trim
make -s -C static PREFIX="$prefix"
expect static '^b c$' bash -c 'static/sort <"$1"' _ "$work/words"
for folder in cmake prefixed inline cxx; do
    cmake -S $folder -B $folder/build -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 ||
        fail "$folder: $(<"$work/log")"
    cmake --build $folder/build >"$work/log" 2>&1 || fail "$folder: $(<"$work/log")"
done
for way in hakmem static header; do
    expect "cmake, $way" '^WORD$' cmake/build/upper-$way word
done
expect prefixed '^usable: 100 or more and not ours$' prefixed/build/beside
expect inline '^sum of 200000 entries: 10000100000$' inline/build/queue
expect cxx '^1000 blocks, aligned; 1000 names$' cxx/build/shapes
if command -v rustc >/dev/null; then
    rustc -O -L "$libdir" -l hakmem -o rust/main rust/main.rs
    expect rust '^10000 squares, of 1234 1522756; on hakmem: true$' \
        env LD_LIBRARY_PATH="$libdir" rust/main
elif [[ ${HAKMEM_REAL_REQUIRED:-} ]]; then # as in `./dev test`, which installs it
    fail "there is no rustc for example/rust"
else
    echo "test_install: there is no rustc, so that example was not built" >&2
fi

# --- the command
expect run "^$libdir/libhakmem.so" "$hakmem" run -- printenv LD_PRELOAD
expect record '^HAKTRACE' bash -c '"$1" record -o "$2" -- true && head -c 8 "$2"' _ "$hakmem" "$work/t"
if [[ -e $libdir/hakmem/bench_runner ]]; then
    expect ab '^throughput, glibc = 1 ' "$hakmem" ab --rounds=2 --out="$work/ab" -- true
    [[ -s $work/ab/report.html ]] || fail "hakmem ab wrote no report"
fi

# --- options: code, manual page and README
grep -rhoE 'getenv\("HAKMEM_[A-Z_]+"\)|"HAKMEM_[A-Z_]+"' "$source_dir"/{front,segment,region} |
    grep -oE 'HAKMEM_[A-Z_]+' | sort -u >"$work/in_code"
{ "$hakmem" options --markdown | grep -oE '`HAKMEM_[A-Z_]+`' | tr -d '`'; } | sort -u >"$work/in_table"
diff "$work/in_code" "$work/in_table" >"$work/diff" || fail "options of the code (<) and of the table (>): $(<"$work/diff")"
"$hakmem" options --markdown >"$work/table"
grep -vxFf "$source_dir/README.md" "$work/table" >"$work/missing" &&
    fail "README.md lacks lines of 'hakmem options --markdown': $(<"$work/missing")"
for option in $(<"$work/in_code"); do
    grep -q -- "$option" "$prefix"/share/man/man7/hakmem-options.7 || fail "hakmem-options(7) lacks $option"
done

# --- manual pages and completion
for name in $(grep HAK_PUBLIC "$prefix/include/hakmem.h" | grep -oE '\bhak_[a-z0-9_]+\(' | tr -d '(' | sort -u); do
    grep -qE -- "^\.Fn $name( |\$)" "$prefix/share/man/man3/hakmem.3" || fail "hakmem(3) lacks $name()"
done
for page in "$prefix"/share/man/man*/hakmem*; do
    mandoc -Tlint -Wwarning "$page" >"$work/lint" || fail "$(basename "$page"): $(<"$work/lint")"
done
verbs=$("$hakmem" --help | sed -nE 's/^(Usage:|      ) hakmem ([a-z]+) .*/\2/p' | sort -u)
for verb in $verbs; do
    for file in man/man1/hakmem.1 bash-completion/completions/hakmem zsh/vendor-completions/_hakmem; do
        grep -qw -- "$verb" "$prefix/share/$file" || fail "$file does not know $verb"
    done
done
completed=$(bash -c 'source "$1"; COMP_WORDS=(hakmem do); COMP_CWORD=1; _hakmem; echo "${COMPREPLY[*]}"' _ \
    "$prefix/share/bash-completion/completions/hakmem")
[[ $completed == doctor ]] || fail "completion of 'hakmem do' is '$completed'"

finish "every example runs on what was installed"
