#!/bin/bash
# count_instructions.sh LIB.so [FUNCTION...]: instructions of a function's hit path (malloc, free).
#
# Disassembles each function and follows the path that a hit takes: the next instruction, and at a
# conditional branch the side that stays in the function; where falling through leaves it by a tail
# jump (a slow exit), the branch is taken instead. A path ends at `ret`. Prints for each function
#     malloc: 15 instructions
# and below it the listing, without addresses, so that it can be kept and compared.
# Exit status 1 and a message if a call or a push lies on the path, or if there is no path.
# Needs nm and objdump (binutils).
set -u -o pipefail

if [ $# -lt 1 ]; then
    echo "usage: ${0##*/} LIB.so [FUNCTION...]" >&2
    exit 2
fi
lib=$1
shift
[ $# -gt 0 ] || set -- malloc free
for tool in nm objdump; do
    command -v "$tool" >/dev/null || { echo "${0##*/}: $tool is not installed" >&2; exit 2; }
done

# Prints start and end of a symbol that the library exports, in hex.
symbol_range() {
    nm -D -S --defined-only "$lib" | awk -v name="$1" '
        { sub(/@.*/, "", $4) }
        $4 == name && $3 ~ /^[TtWwi]$/ { print $1, $2; exit }'
}

path_of() {
    awk -v name="$1" '
    # A line of objdump: "  1130:<tab>mov    0x2ef9(%rip),%rax        # 4030 <used>"
    /^ *[0-9a-f]+:\t/ {
        split($0, part, "\t")
        sub(/^ */, "", part[1]); sub(/:.*/, "", part[1])
        text = part[2]
        sub(/ +$/, "", text)
        count++
        at[part[1]] = count
        line[count] = text
    }
    function opcode(i,    word, n, j) {
        n = split(line[i], word, " ")
        for (j = 1; j < n && word[j] ~ /^(bnd|notrack|rep[nz]*|lock|data16|cs|ds)$/; j++)
            ;
        return word[j]
    }
    # Index of the instruction that the jump at i leads to; 0: outside the function or not known.
    function target(i,    hex) {
        if (!match(line[i], / [0-9a-f]+ </))
            return 0
        hex = substr(line[i], RSTART + 1, RLENGTH - 3)
        return (hex in at) ? at[hex] : 0
    }
    # Follows the path from i, `depth` instructions in. "": found; else the reason it is none.
    function follow(i, depth,    op, reason) {
        if (i == 0 || i > count) return "leaves the function"
        if (i in on_path) return "is a loop"
        on_path[i] = 1
        path[++depth] = i
        op = opcode(i)
        if (op ~ /^ret/) { path_length = depth; reason = "" }
        else if (op ~ /^call/) reason = "calls: " plain(i)
        else if (op ~ /^push/) reason = "pushes: " plain(i)
        else if (op ~ /^(ud2|hlt|int3)/) reason = "leaves the function"
        else if (op ~ /^jmp/) reason = follow(target(i), depth)
        else if (op ~ /^j/) {
            reason = follow(i + 1, depth)
            if (reason == "leaves the function" || reason == "is a loop")
                reason = follow(target(i), depth)
        }
        else reason = follow(i + 1, depth)
        delete on_path[i]
        return reason
    }
    # The instruction without what changes when code moves.
    function plain(i,    text) {
        text = line[i]
        gsub(/ +/, " ", text)
        if (text ~ /^j|^call/) gsub(/ [0-9a-f]+ </, " <", text)
        gsub(/-?0x[0-9a-f]+\(%rip\)/, "(%rip)", text)
        gsub(/# [0-9a-f]+ </, "# <", text)
        gsub(/\+0x[0-9a-f]+>/, ">", text)
        return text
    }
    END {
        if (count == 0) { print name ": no instructions found"; exit 1 }
        reason = follow(1, 0)
        if (reason != "") { print name ": no hit path: it " reason; exit 1 }
        print name ": " path_length " instructions"
        for (i = 1; i <= path_length; i++)
            print "    " plain(path[i])
    }'
}

status=0
for function in "$@"; do
    range=$(symbol_range "$function")
    if [ -z "$range" ]; then
        echo "$function: not exported by ${lib##*/}"
        status=1
        continue
    fi
    start=$((16#${range% *}))
    end=$((start + 16#${range#* }))
    objdump -d --no-show-raw-insn --start-address="$start" --stop-address="$end" "$lib" |
        path_of "$function" || status=1
done
exit $status
