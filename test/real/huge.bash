# What the tests of real programs on huge pages share; sourced after common.bash and
# ../huge_pool.bash, not a test itself.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of those, and for the tests

# Settings for a program; without the library they say nothing.
huge=(env HAKMEM_HUGE=hugetlb HAKMEM_HUGE_THRESHOLD_MB=0)

# unable MESSAGE...: see ../huge_pool.bash.
unable() {
    [[ ${HAKMEM_REAL_REQUIRED:-0} != 1 ]] || fail "$*"
    say "skipped: $*"
    stop_status=77
    exit 77
}

# shellcheck disable=SC2317 # the EXIT trap calls it
leave_with_pool() {
    local status=$?
    set +e
    trap - ERR
    pool_end
    (exit "$status")
    leave
}
trap leave_with_pool EXIT

# watch_process PID NAME: a line, what this process has of the pool in KiB.
watch_process() {
    sed -n "s/HugetlbPages:/$2/p" "/proc/$1/status" 2>/dev/null || true # it may have ended
}

# watch_begin VARIANT PID: until watch_end, such lines of the process and its children.
watch_begin() {
    local file=$work/watch.$1 pid=$2
    (
        trap - EXIT ERR
        while sleep 0.1; do
            watch_process "$pid" server
            for child in $(pgrep --parent "$pid" || true); do
                watch_process "$child" child
            done
        done >"$file"
    ) &
    watcher=$!
    running+=("$watcher")
}

watch_end() {
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    forget "$watcher"
}

# watched_most VARIANT server|child: the most that was seen.
watched_most() {
    awk -v who="$2" '$1 == who && $2 > most { most = $2 } END { print most + 0 }' "$work/watch.$1"
}

# watch_result MIN_KIB: the server had so much of the pool at some time, and nothing plainly.
watch_result() {
    local server child
    server=$(watched_most preload server)
    child=$(watched_most preload child)
    comparisons=$((comparisons + 1))
    ((server >= $1)) || problem "the server had $server KiB of huge pages at most, $1 are meant"
    [[ $(watched_most plain server) == 0 ]] ||
        problem "plainly, the server had $(watched_most plain server) KiB of huge pages"
    say "HugetlbPages under load: server $server KiB, one of its children $child KiB"
}
