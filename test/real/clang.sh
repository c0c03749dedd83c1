#!/bin/bash
# ctest: labels=real timeout=600
#
# clang++ -O2 on a large file of templates: object file and executable are equal byte for byte.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs clang clang++
needs g++ g++ ld # its C++ library and linker

awk -v blocks=60 -f "$real_dir/templates.awk" >"$work/templates.cc"

takes_malloc_from_library clang++ --version
takes_malloc_from_library ld --version
both compile clang++ -std=c++17 -O2 -Wall -c "$work/templates.cc" -o templates.o
exited_with 0 compile
same_bytes templates.o
both link clang++ -o templates templates.o
exited_with 0 link
same_bytes templates
both run ./templates
exited_with 0 run

# Thousands of lines of diagnostics.
sed 's/tally(table)/tally(shapes)/' "$work/templates.cc" >"$work/wrong.cc"
both diagnose clang++ -std=c++17 -fsyntax-only -ferror-limit=0 "$work/wrong.cc"
exited_with 1 diagnose
same_text "diagnostics" "$work/diagnose.plain.err" "$work/diagnose.preload.err"
finish
