#!/bin/bash
# ctest: labels=real timeout=300
#
# redis-server under redis-benchmark, then a fixed load: the digest of all data, the answers and
# the data read back from a dump are equal.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs redis-server redis-server
needs redis-tools redis-cli redis-benchmark

# 60 000 commands over every type: growth, replacement, deletion, a changed encoding.
awk 'BEGIN {
    for (i = 1; i <= 10000; i++) {
        state = (state * 16807 + 7) % 2147483647
        text = substr("abcdefghijklmnopqrstuvwxyz0123456789", state % 30 + 1)
        printf "SET s:%d %s%d\n", state % 9000, text text, state
        printf "APPEND s:%d %s\n", i % 9000, text
        printf "HSET h:%d field%d %s other%d %d\n", state % 300, i % 900, text, i % 7, state
        printf "RPUSH l:%d %s %d\n", i % 50, text, state
        printf "ZADD z:%d %d member%d\n", state % 20, state % 1000, i % 3000
        if (i % 3 == 0)
            printf "SADD u:%d %d %s\n", i % 40, state % 5000, text
        else if (i % 3 == 1)
            printf "DEL s:%d h:%d\n", (state + 11) % 9000, (i % 1000 ? 301 : i % 300)
        else
            printf "LTRIM l:%d 0 3000\n", i % 50
    }
    print "SUNIONSTORE all u:1 u:2 u:3 u:4\nZUNIONSTORE allz 3 z:1 z:2 z:3\nBITOP NOT inverse s:1"
    print "SORT l:7 ALPHA LIMIT 0 20 STORE sorted\nXADD stream 1-1 key value\nPFADD count a b c d e"
}' >"$work/load.in"

cat >"$work/ask.in" <<'END'
DBSIZE
DEBUG DIGEST
LRANGE sorted 0 -1
ZRANGE allz 0 50 WITHSCORES
HGET h:1 field1
SCARD all
EVAL "local t = {} for i = 1, 5000 do t[i] = redis.call('STRLEN', 's:' .. i) end return cjson.encode(t)" 0
MEMORY PURGE
DEBUG RELOAD
DEBUG DIGEST
FLUSHALL
DBSIZE
END

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

takes_malloc_from_library redis-server --version
takes_malloc_from_library redis-benchmark --version
for variant in plain preload; do
    port=$(loopback_port)
    ask=(redis-cli -h 127.0.0.1 -p "$port")
    start_server "$variant" server redis-server --bind 127.0.0.1 --port "$port" --save '' \
        --appendonly no --daemonize no --enable-debug-command local --io-threads 2 \
        --io-threads-do-reads yes
    wait_for_server "${ask[@]}" ping
    server_is_on_library "$server_pid"
    run "$variant" benchmark redis-benchmark -h 127.0.0.1 -p "$port" --csv -c 30 -n 3000 -P 8 \
        -r 5000 -d 200
    run "$variant" flush "${ask[@]}" flushall
    run "$variant" load "${ask[@]}"
    run "$variant" save "${ask[@]}" bgsave # a fork of the server
    wait_for_server background_save_succeeded
    run "$variant" ask "${ask[@]}"
    stop_server TERM
done
exited_with 0 server
exited_with 0 load
for name in benchmark load ask; do
    compare_run "$name"
done
no_new_stderr server
(($(wc -l <"$work/benchmark.preload.out") >= 20)) || problem "redis-benchmark did not run all tests"
mapfile -t digests < <(grep -xE '[0-9a-f]{40}' "$work/ask.preload.out")
[[ ${#digests[@]} == 2 && ${digests[0]} == "${digests[1]}" ]] ||
    problem "the digest is ${digests[0]:-none}, after a reload ${digests[1]:-none}"
finish
