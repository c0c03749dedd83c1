#!/bin/bash
# ctest: labels=real timeout=240
#
# nginx under load: static, compressed, rewritten and proxied files, with a change of workers in
# between. What is fetched is equal byte for byte, no request fails.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs nginx nginx
needs apache2-utils ab
needs curl curl

files=(tiny.txt page.html large.txt huge.bin)
mkdir "$work/files"
echo tiny >"$work/files/tiny.txt"
awk 'BEGIN { for (i = 0; i < 800; i++) printf "<p>row %d old %x</p>\n", i, i * 7919 % 10007 }' >"$work/files/page.html"
awk 'BEGIN { for (i = 0; i < 20000; i++) print i, i * i % 10007, "some text" }' >"$work/files/large.txt"
head -c 5000000 /usr/bin/bash /usr/bin/perl >"$work/files/huge.bin" 2>/dev/null || true
user=
((EUID != 0)) || user='user root;'

configure() { # configure PORT
    cat <<END
daemon off;
worker_processes 2;
worker_shutdown_timeout 10s;
$user
pid nginx.pid;
error_log error.log notice;
events { worker_connections 512; }
http {
    access_log access.log;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    types { text/plain txt; text/html html; }
    keepalive_requests 100000;
    gzip on; gzip_min_length 100; gzip_types text/plain; gzip_vary on;
    server {
        listen 127.0.0.1:$1;
        root $work/files;
        location /changed/ { alias $work/files/; gzip off; sub_filter old new; sub_filter_once off; }
        location ~ ^/proxied/(.*)$ { proxy_pass http://127.0.0.1:$1/\$1; proxy_buffers 16 4k; proxy_max_temp_file_size 0; }
        location ~ ^/moved/(?<name>[a-z]+)\.(?<kind>[a-z]+)$ { return 302 /\$name.\$kind?from=\$request_uri; }
    }
}
END
}

# load NAME REQUESTS PATH [OPTION...]: ab, with its counts checked.
load() {
    local name=$1 requests=$2 path=$3
    shift 3
    run "$variant" "$name" ab -q -n "$requests" -c 30 "$@" "http://127.0.0.1:$port/$path"
    grep -qE "^Complete requests: +$requests\$" "$work/$name.$variant.out" ||
        problem "ab did not complete $requests requests of $path ($variant)"
    grep -qE '^Failed requests: +0$' "$work/$name.$variant.out" ||
        problem "ab saw requests of $path fail ($variant)"
}

workers() { sed -nE 's/.*start worker process ([0-9]+)$/\1/p' "$work/$variant/error.log" | tail -n 2; }
# shellcheck disable=SC2317 # wait_for_server calls it
replaced() { [[ $(grep -c 'start worker process ' "$work/$variant/error.log") == 4 ]]; }

normalise() {
    case $1 in
    load-*) grep -E '^(Document|Complete|Failed|Non-2xx|Concurrency|HTML)|^[^:]*error' |
        grep -v '^Document Path' || true ;;
    error.log) sed -E 's/127\.0\.0\.1:[0-9]+/HOST/; s/^[^[]*//; s/[0-9]+#[0-9]+: (\*[0-9]+ )?//; s/process [0-9]+/process/; s/from [0-9]+/from/' |
        grep -vE 'notice.*(signal|exit|reconfigur|gracefully|worker|using|built|OS:|RLIMIT|start)' || true ;;
    *) sed "s/:$port/:PORT/" ;;
    esac
}

takes_malloc_from_library nginx -v
takes_malloc_from_library ab -V
for variant in plain preload; do
    port=$(loopback_port)
    configure "$port" >"$work/$variant/nginx.conf"
    start_server "$variant" server nginx -p "$work/$variant/" -c nginx.conf -e error.log
    wait_for_server curl --silent --fail "http://127.0.0.1:$port/tiny.txt"
    mapfile -t children < <(workers)
    server_is_on_library "$server_pid" "${children[@]}"
    load load-tiny 10000 tiny.txt -k
    load load-page 2000 page.html -H 'Accept-Encoding: gzip'
    kill -HUP "$server_pid" # new workers, the old ones end
    load load-changed 2000 changed/page.html
    wait_for_server replaced
    load load-proxied 1000 proxied/large.txt
    load load-huge 60 huge.bin -k
    for file in "${files[@]}"; do
        for path in "" changed/ proxied/; do
            curl --silent --fail "http://127.0.0.1:$port/$path$file" >"$work/$variant/${path%/}-$file"
            curl --silent --fail --compressed "http://127.0.0.1:$port/$path$file" >"$work/$variant/${path%/}-$file-packed"
        done
        cmp "$work/files/$file" "$work/$variant/-$file" || problem "$file ($variant) is not what is on disk"
        cmp "$work/files/$file" "$work/$variant/-$file-packed" || problem "$file ($variant), compressed, is not what is on disk"
        cmp "$work/files/$file" "$work/$variant/proxied-$file" || problem "$file ($variant), proxied, is not what is on disk"
    done
    run "$variant" moved curl --silent --include --header 'Date:' "http://127.0.0.1:$port/moved/tiny.txt"
    run "$variant" missing curl --silent "http://127.0.0.1:$port/nowhere"
    stop_server QUIT
done
exited_with 0 server
compare_run server
for name in load-tiny load-page load-changed load-proxied load-huge missing; do
    compare_run "$name"
done
for file in "${files[@]}"; do
    same_bytes {,changed,proxied}-"$file"{,-packed}
done
same_text "error.log" "$work/plain/error.log" "$work/preload/error.log" error.log
finish
