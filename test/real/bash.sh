#!/bin/bash
# ctest: labels=real timeout=180
#
# bash: a thousand forked subshells, a hundred programs, and data that grows in the shell itself.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs bash bash

cat >"$work/forks.bash" <<'SCRIPT'
sum=0
declare -A seen
for ((i = 0; i < 1000; i++)); do
    text=$(echo "subshell $i: $((i * i % 997))")
    seen[${text##* }]+="$i,"
    ((sum += ${#text}))
done
echo "sum $sum, ${#seen[@]} remainders"
for key in $(printf '%s\n' "${!seen[@]}" | sort -n); do
    echo "$key ${seen[$key]}"
done
for ((i = 0; i < 100; i++)); do
    printf 'line %d\n' "$i" | sed "s/line/item $i/" &
    wait $!
done
long=
for ((i = 0; i < 3000; i++)); do
    long+="word$i "
    list+=("${long: -40}")
done
shorter=${long//word1/one-}
echo "${#long} ${#shorter} ${#list[@]}"
printf '%s\n' "${list[@]}" | cksum
deep() { (($1 == 0)) && echo bottom || { local here=$1; deep $((here - 1)); echo -n "$here "; }; }
deep 200
exit 3
SCRIPT

takes_malloc_from_library /bin/bash -c :
both forks /bin/bash "$work/forks.bash"
exited_with 3 forks
finish
