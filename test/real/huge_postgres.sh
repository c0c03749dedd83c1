#!/bin/bash
# ctest: labels=real timeout=400
#
# PostgreSQL on huge pages of the kernel's pool: initdb, a server whose backends are forked, pgbench
# and queries. The tables and answers are those of the plain run, no process is lost, and
# HugetlbPages are above zero meanwhile.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
# shellcheck source-path=SCRIPTDIR source=../huge_pool.bash
source "$real_dir/../huge_pool.bash"
# shellcheck source-path=SCRIPTDIR source=huge.bash
source "$real_dir/huge.bash"
bin=$(find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1 || true)
PATH=${bin:-/nowhere}:$PATH
needs postgresql initdb postgres pgbench psql pg_ctl
needs procps pgrep
pool_begin
pool_fill 256

user=postgres # the server refuses to run as root
id "$user" >/dev/null 2>&1 || user=nobody
identity=("--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
chown "$user" "$work/plain" "$work/preload" "$work/home"
export TMPDIR=$work/home PGHOST=$work/home PGDATABASE=postgres PGUSER=tester

# Rates, times and process ids; and each backend that finds the pool short says so once.
normalise() {
    case $1 in
    pgbench-init) sed -E 's/ \(elapsed.*//; s/^done in .*/done/; s/^[0-9]+ of [0-9]+ tuples.*//; s/\r//g' ;;
    pgbench) sed -E 's/[0-9.]+ (ms|\(without)/N \1/; s/^tps = .*/tps/' ;;
    server) sed -E '/^hakmem: no more huge pages can be had/d; /logical replication launcher.* exited with exit code 1$/d; /the database system is starting up$/d; s/(checkpoint complete):.*/\1/; s/at 2[0-9-]+ [0-9:]+ UTC/at/' ;;
    *) cat ;;
    esac
}

cat >"$work/queries.in" <<'SQL'
\pset format unaligned
SET work_mem = '64MB';
CREATE TABLE item AS SELECT i AS id, i * 7919 % 10007 AS number, md5(i::text) AS word FROM generate_series(1, 60000) i;
SELECT count(*), sum(number), min(word), max(word) FROM item;
SELECT substr(word, 1, 2) AS start, count(*), sum(number) FROM item GROUP BY 1 ORDER BY 1;
SELECT a.number, count(*), string_agg(b.word, ',' ORDER BY b.id) FROM item a JOIN item b USING (number) WHERE a.id < 50 GROUP BY 1 ORDER BY 1;
SELECT md5(string_agg(word, '' ORDER BY word)) FROM item;
UPDATE item SET word = word || word WHERE number % 3 = 0;
SELECT md5(string_agg(item::text, '' ORDER BY id)) FROM item;
SQL
cat >"$work/tables.in" <<'SQL'
SELECT count(*), md5(string_agg(aid || ':' || abalance, ',' ORDER BY aid)) FROM pgbench_accounts;
SELECT bid, bbalance FROM pgbench_branches ORDER BY bid;
SELECT tid, tbalance FROM pgbench_tellers ORDER BY tid;
SQL

for variant in plain preload; do
    run "$variant" initdb "${huge[@]}" initdb --pgdata=data --username=tester --auth=trust \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync
    exited_with 0 initdb "$variant"
    # Its own use of huge pages, for shared memory, is switched off: they would be counted too.
    start_server "$variant" server "${huge[@]}" postgres -D data -c listen_addresses= -c fsync=off \
        -c "unix_socket_directories=$work/home" -c dynamic_shared_memory_type=mmap \
        -c log_line_prefix= -c logging_collector=off -c autovacuum=off -c huge_pages=off \
        -c shared_buffers=16MB
    wait_for_server pg_isready
    server_is_on_library "$server_pid"
    watch_begin "$variant" "$server_pid"
    run "$variant" pgbench-init "${huge[@]}" pgbench --initialize --scale=1 --quiet
    run "$variant" pgbench "${huge[@]}" pgbench --client=4 --jobs=2 --transactions=200 \
        --random-seed=7
    run "$variant" tables psql --no-psqlrc
    run "$variant" queries psql --no-psqlrc
    watch_end
    stop_server none setpriv "${identity[@]}" pg_ctl stop --pgdata="$work/$variant/data" --mode=fast --silent
done
for name in initdb pgbench-init pgbench tables queries server; do
    exited_with 0 "$name"
    compare_run "$name"
done
grep -q 'number of failed transactions: 0 ' "$work/pgbench.preload.out" || problem "pgbench failed"
! normalise server <"$work/server.preload.err" | grep -E 'PANIC|FATAL|WARNING|signal|memory|^hakmem:' ||
    problem "the server complained"
watch_result 2048
finish
