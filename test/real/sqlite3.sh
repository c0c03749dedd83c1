#!/bin/bash
# ctest: labels=real timeout=300
#
# sqlite3: a million rows, indices, updates, deletions, VACUUM. Answers and the database file are
# equal.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs sqlite3 sqlite3

cat >"$work/queries.in" <<'SQL'
.bail on
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
PRAGMA temp_store = MEMORY;
CREATE TABLE item (id INTEGER PRIMARY KEY, number INTEGER, word TEXT, weight REAL);
WITH RECURSIVE series (id, state) AS (
    SELECT 1, 1 UNION ALL SELECT id + 1, state * 16807 % 2147483647 FROM series LIMIT 1000000)
INSERT INTO item SELECT id, state % 100003, printf('word-%x', state % 65521) || substr('abcdefghijklmnopqrstuvwxyz', state % 26), state / 1000.0 FROM series;
CREATE INDEX item_number ON item (number);
CREATE INDEX item_word ON item (word, number DESC);
SELECT count(*), sum(number), sum(length(word)), total(weight) FROM item;
SELECT word, count(*), sum(number) FROM item GROUP BY word ORDER BY 2 DESC, 1 LIMIT 200;
SELECT a.id, b.id, a.word FROM item a JOIN item b ON b.number = a.number AND b.id > a.id WHERE a.id < 400 ORDER BY 1, 2;
SELECT number % 10, group_concat(DISTINCT substr(word, 6, 2)) FROM (SELECT * FROM item WHERE id < 50000 ORDER BY id) GROUP BY 1;
UPDATE item SET word = upper(word) || id WHERE number % 7 = 0;
DELETE FROM item WHERE number % 5 = 0;
SELECT count(*), sum(id), min(word), max(word) FROM item;
SELECT json_group_array(json_object('id', id, 'word', word)) FROM (SELECT id, word FROM item ORDER BY word LIMIT 500);
SELECT id, rank() OVER (PARTITION BY number % 100 ORDER BY weight, id) FROM item WHERE id % 500 = 3 ORDER BY id;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(number), sum(length(word)), total(weight) FROM item;
.sha3sum
SELECT * FROM nowhere;
SQL

takes_malloc_from_library sqlite3 --version
both queries sqlite3 data.db
exited_with 1 queries
same_bytes data.db
finish
