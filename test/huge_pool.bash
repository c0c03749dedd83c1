# The kernel's pool of 2 MiB pages, for tests that fill and empty it; sourced, not a test itself.
#
# One test at a time has the pool: the others wait for a lock. What the pool held before is given
# back by pool_end, which the caller's EXIT trap calls. A pool that somebody uses is left alone.
# The caller defines `unable MESSAGE...`, which ends a test that cannot be run here.
# shellcheck shell=bash

pool=/sys/kernel/mm/hugepages/hugepages-2048kB
pool_lock=${HAKMEM_POOL_LOCK:-/run/hakmem-hugepool.lock}
pool_lock_seconds=300
pool_saved=
pool_overcommit_saved=

# pool_counter NAME: free, resv, surplus, nr
pool_counter() { cat "$pool/$1_hugepages"; }

# Pages that are free and that nobody reserved.
pool_left() { echo $(($(pool_counter free) - $(pool_counter resv))); }

# pool_begin: the pool is this test's from here on, and empty.
pool_begin() {
    ((EUID == 0)) || unable "only root may fill the kernel's pool of huge pages"
    [[ -w $pool/nr_hugepages ]] || unable "this kernel has no pool of 2 MiB pages"
    exec {pool_lock_file}>"$pool_lock" || unable "$pool_lock cannot be opened"
    flock --wait "$pool_lock_seconds" "$pool_lock_file" ||
        unable "another test has had the pool for $pool_lock_seconds s"
    pool_unused || unable "somebody uses the pool of huge pages"
    pool_overcommit_saved=$(pool_counter nr_overcommit)
    pool_saved=$(pool_counter nr)
    echo 0 >"$pool/nr_overcommit_hugepages"
    pool_fill 0
}

# All pages are free. Those of a process that has just ended may come a moment later.
pool_unused() {
    local tries
    for ((tries = 0; tries < 40; tries++)); do
        [[ $(pool_counter free) != "$(pool_counter nr)" || $(pool_counter resv) != 0 ]] || return 0
        sleep 0.05
    done
    return 1
}

# pool_fill PAGES: that many, of which all are free.
pool_fill() {
    echo "$1" >"$pool/nr_hugepages" || true
    [[ $(pool_counter nr) == "$1" ]] ||
        unable "the kernel has $(pool_counter nr) pages for the pool, $1 are needed"
}

# pool_end: as it was before; returns the status that it was called with.
pool_end() {
    local status=$?
    if [[ -n $pool_saved ]]; then
        echo "$pool_saved" >"$pool/nr_hugepages" || true
        echo "$pool_overcommit_saved" >"$pool/nr_overcommit_hugepages" || true
        pool_saved=
    fi
    return "$status"
}
