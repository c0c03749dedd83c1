# Sourced by tests that want a system of their own: a bare Debian 12 in a directory, made by debootstrap.
#
#   bare_can             whether this can be done here: as root, with debootstrap, mounts and a mirror
#   bare_make DIR        makes it
#   bare DIR COMMAND...  runs a command in it; what is mounted for that goes away with the command
#
# shellcheck shell=bash
bare_mirror=${HAKMEM_BARE_MIRROR:-http://deb.debian.org/debian}

bare_can() {
    ((EUID == 0)) && command -v debootstrap unshare >/dev/null && unshare --mount true 2>/dev/null &&
        timeout 60 bash -c "exec 3<>/dev/tcp/$(cut -d / -f 3 <<<"$bare_mirror")/80" 2>/dev/null
}

bare_make() {
    debootstrap --variant=minbase bookworm "$1" "$bare_mirror" >"$1.log" 2>&1 || { tail -n 20 "$1.log" >&2; return 1; }
    cp /etc/resolv.conf "$1/etc/resolv.conf"
}

bare() {
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive sh -c 'mount -t proc proc "$0/proc" && mount -t sysfs sysfs "$0/sys" &&
            mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"' "$@" </dev/null
}
