#!/bin/bash
# ctest: labels=real timeout=300
#
# redis-server on huge pages of the kernel's pool, under redis-benchmark and a fixed load, with a
# dump by a forked child: the answers and the digest are those of the plain run, and the server's
# HugetlbPages are above zero while it works.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
# shellcheck source-path=SCRIPTDIR source=../huge_pool.bash
source "$real_dir/../huge_pool.bash"
# shellcheck source-path=SCRIPTDIR source=huge.bash
source "$real_dir/huge.bash"
needs redis-server redis-server
needs redis-tools redis-cli redis-benchmark
needs procps pgrep
pool_begin
pool_fill 128

awk 'BEGIN {
    text = "abcdefghijklmnopqrstuvwxyz0123456789"
    for (i = 1; i <= 20000; i++) {
        state = (state * 16807 + 7) % 2147483647
        printf "SET s:%d %s%s%d\n", state % 15000, text, text, state
        printf "RPUSH l:%d %s%d\n", i % 50, text, state
        printf "HSET h:%d field%d %s\n", state % 300, i % 900, text
        if (i % 3 == 0)
            printf "DEL s:%d\n", (state + 11) % 15000
    }
}' >"$work/load.in"
printf '%s\n' DBSIZE 'DEBUG DIGEST' 'DEBUG RELOAD' 'DEBUG DIGEST' FLUSHALL DBSIZE >"$work/ask.in"

# The names of redis-benchmark's tests, without the figures.
normalise() {
    case $1 in
    benchmark) sed -E 's/("[^"]*"),.*/\1/' ;;
    *) cat ;;
    esac
}

# shellcheck disable=SC2317 # wait_for_server calls it
background_save_succeeded() {
    local info
    info=$("${ask[@]}" info persistence)
    [[ $info == *rdb_bgsave_in_progress:0* && $info == *rdb_last_bgsave_status:ok* &&
        $info == *rdb_saves:[1-9]* ]]
}

for variant in plain preload; do
    port=$(loopback_port)
    ask=(redis-cli -h 127.0.0.1 -p "$port")
    start_server "$variant" server "${huge[@]}" redis-server --bind 127.0.0.1 --port "$port" \
        --save '' --appendonly no --daemonize no --enable-debug-command local
    wait_for_server "${ask[@]}" ping
    server_is_on_library "$server_pid"
    watch_begin "$variant" "$server_pid"
    run "$variant" benchmark redis-benchmark -h 127.0.0.1 -p "$port" --csv -c 20 -n 20000 -P 16 \
        -t set,get,lpush,hset -r 20000 -d 500
    run "$variant" flush "${ask[@]}" flushall
    run "$variant" load "${ask[@]}"
    run "$variant" save "${ask[@]}" bgsave # a fork of the server
    wait_for_server background_save_succeeded
    watch_end
    run "$variant" ask "${ask[@]}"
    stop_server TERM
done
exited_with 0 server
exited_with 0 load
for name in benchmark load ask; do
    compare_run "$name"
done
no_new_stderr server
mapfile -t digests < <(grep -xE '[0-9a-f]{40}' "$work/ask.preload.out")
[[ ${#digests[@]} == 2 && ${digests[0]} == "${digests[1]}" ]] ||
    problem "the digest is ${digests[0]:-none}, after a reload ${digests[1]:-none}"
watch_result 20480
finish
