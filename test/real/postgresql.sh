#!/bin/bash
# ctest: labels=real timeout=400
#
# PostgreSQL: initdb, the server and its children, pgbench and queries. The tables of a fixed load
# and the answers are equal; no process of the server is lost.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
bin=$(find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1 || true)
PATH=${bin:-/nowhere}:$PATH
needs postgresql initdb postgres pgbench psql pg_ctl

# The server refuses to run as root.
if ((EUID == 0)); then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    identity=("--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
    chown "$user" "$work/plain" "$work/preload" "$work/home"
fi
export TMPDIR=$work/home PGHOST=$work/home PGDATABASE=postgres PGUSER=tester

# Rates, times and process ids.
normalise() {
    case $1 in
    pgbench-init) sed -E 's/ \(elapsed.*//; s/^done in .*/done/; s/^[0-9]+ of [0-9]+ tuples.*//; s/\r//g' ;;
    pgbench-fixed | pgbench-prepared) sed -E 's/[0-9.]+ (ms|\(without)/N \1/; s/^tps = .*/tps/' ;;
    pgbench-time) sed -E 's/[0-9.]+ (ms|\(without)/N \1/; s/^tps = .*/tps/; s/(processed: )[1-9][0-9]*/\1N/' ;;
    server) sed -E '/logical replication launcher.* exited with exit code 1$/d; /the database system is starting up$/d; s/(checkpoint complete):.*/\1/; s/at 2[0-9-]+ [0-9:]+ UTC/at/' ;;
    *) cat ;;
    esac
}

cat >"$work/queries.in" <<'SQL'
\pset format unaligned
CREATE TABLE item AS SELECT i AS id, i * 7919 % 10007 AS number, md5(i::text) AS word FROM generate_series(1, 200000) i;
CREATE INDEX ON item (number);
CREATE INDEX ON item USING hash (word);
ANALYZE item;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*), sum(number), min(word), max(word) FROM item;
SELECT substr(word, 1, 2) AS start, count(*), sum(number) FROM item GROUP BY 1 ORDER BY 1;
SELECT a.number, count(*), string_agg(b.word, ',' ORDER BY b.id) FROM item a JOIN item b USING (number) WHERE a.id < 50 GROUP BY 1 ORDER BY 1;
SELECT md5(string_agg(word, '' ORDER BY word)) FROM item;
SELECT id, rank() OVER (PARTITION BY number % 10 ORDER BY word) FROM item WHERE id % 1000 = 1 ORDER BY id;
SELECT jsonb_object_agg(id, jsonb_build_object('word', word, 'list', ARRAY[number, id])) FROM item WHERE id < 300;
SELECT count(*), sum(length(m[1])) FROM item, regexp_matches(word, '([a-f]+)[0-9]', 'g') m WHERE id < 20000;
DO $$ BEGIN FOR i IN 1..2000 LOOP BEGIN PERFORM i / (i % 3); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$;
UPDATE item SET word = word || word WHERE number % 3 = 0;
DELETE FROM item WHERE number % 5 = 0;
VACUUM (FULL, ANALYZE) item;
SELECT md5(string_agg(item::text, '' ORDER BY id)) FROM item;
SELECT * FROM nowhere;
SQL
cat >"$work/tables.in" <<'SQL'
SELECT count(*), md5(string_agg(aid || ':' || abalance, ',' ORDER BY aid)) FROM pgbench_accounts;
SELECT bid, bbalance FROM pgbench_branches ORDER BY bid;
SELECT tid, tbalance FROM pgbench_tellers ORDER BY tid;
SELECT count(*), md5(string_agg(h, ',' ORDER BY h)) FROM (SELECT tid || ' ' || bid || ' ' || aid || ' ' || delta AS h FROM pgbench_history) AS all_history;
SQL
cat >"$work/balanced.in" <<'SQL'
SELECT a = t AND a = b AND a = h FROM (SELECT sum(abalance) AS a FROM pgbench_accounts) AS a, (SELECT sum(tbalance) AS t FROM pgbench_tellers) AS t, (SELECT sum(bbalance) AS b FROM pgbench_branches) AS b, (SELECT sum(delta) AS h FROM pgbench_history) AS h;
SQL
# A backend reads its own memory map; the server's lasting children are looked at from outside.
cat >"$work/processes.in" <<'SQL'
SELECT CASE WHEN pg_read_file('/proc/self/maps') LIKE '%/libhakmem.so%' THEN 'preload' ELSE 'plain' END;
SELECT pid FROM pg_stat_activity WHERE backend_type IN ('checkpointer', 'background writer', 'walwriter', 'autovacuum launcher');
SQL

takes_malloc_from_library "$bin/postgres" --version
takes_malloc_from_library "$bin/pgbench" --version
for variant in plain preload; do
    run "$variant" initdb initdb --pgdata=data --username=tester --auth=trust --encoding=UTF8 \
        --locale=C.UTF-8 --no-sync
    exited_with 0 initdb "$variant"
    start_server "$variant" server postgres -D data -c listen_addresses= -c fsync=off \
        -c "unix_socket_directories=$work/home" -c dynamic_shared_memory_type=mmap \
        -c log_line_prefix= -c logging_collector=off -c work_mem=8MB \
        -c autovacuum_naptime=3600
    wait_for_server pg_isready
    run "$variant" pgbench-init pgbench --initialize --scale=5 --quiet
    run "$variant" pgbench-time pgbench --client=4 --jobs=2 --time=5
    run "$variant" balanced psql --no-psqlrc --tuples-only --no-align
    run "$variant" processes psql --no-psqlrc --tuples-only --no-align
    mapfile -t children < <(grep -x '[0-9]*' "$work/processes.$variant.out")
    server_is_on_library "$server_pid" "${children[@]}"
    run "$variant" pgbench-init pgbench --initialize --scale=5 --quiet
    run "$variant" pgbench-fixed pgbench --client=4 --jobs=2 --transactions=250 --random-seed=7
    run "$variant" pgbench-prepared pgbench --client=4 --jobs=2 --transactions=500 --random-seed=8 \
        --protocol=prepared --select-only --connect
    run "$variant" tables psql --no-psqlrc
    run "$variant" queries psql --no-psqlrc
    stop_server none setpriv "${identity[@]}" pg_ctl stop --pgdata="$work/$variant/data" --mode=fast --silent
done
for name in initdb balanced pgbench-init pgbench-time pgbench-fixed pgbench-prepared tables queries server; do
    exited_with 0 "$name"
    compare_run "$name"
done
for variant in plain preload; do
    [[ $(wc -l <"$work/processes.$variant.out") == 5 && $(<"$work/processes.$variant.out") == "$variant"* ]] ||
        problem "the server's processes ($variant): $(<"$work/processes.$variant.out")"
done
[[ $(<"$work/balanced.preload.out") == t ]] || problem "the sums of pgbench's tables differ"
grep -q 'number of failed transactions: 0 ' "$work/pgbench-time.preload.out" || problem "pgbench failed"
! normalise server <"$work/server.preload.err" | grep -E 'PANIC|FATAL|WARNING|signal|memory' || problem "the server complained"
finish
