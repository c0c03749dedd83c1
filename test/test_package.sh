#!/usr/bin/env bash
# The Debian packages: built by CPack, without errors of lintian, with what belongs into each; the command
# runs a program from where they unpack, and on a bare Debian 12 that apt-get installs them on and removes them
# from (as root, with debootstrap and a mirror). The vcpkg port and the conan recipe: neither tool is in Debian, so
# only their syntax is checked; the CMake part that both call is what test_install runs.
#
# ctest: labels=full timeout=1200
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
# shellcheck source-path=SCRIPTDIR source=bare.bash
source "$here/bare.bash"
work_begin

try() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
try cmake -S "$source_dir" --preset package -B "$work/build"
try cmake --build "$work/build"
try cpack --config "$work/build/CPackConfig.cmake" -B "$work/build"

for name in libhakmem0 libhakmem-dev hakmem; do
    deb=$(find "$work/build" -maxdepth 1 -name "${name}_*.deb")
    [[ -f $deb ]] || { fail "there is no package $name"; continue; }
    lintian --allow-root --fail-on error "$deb" >"$work/lint" 2>&1 || fail "lintian, $name: $(<"$work/lint")"
    cat "$work/lint"
    dpkg-deb -x "$deb" "$work/root"
    dpkg-deb -f "$deb" Depends | grep -q libc6 || [[ $name == libhakmem-dev ]] || fail "$name does not depend on libc6"
done
output=$("$work/root/usr/bin/hakmem" run -- python3 -c 'print(1)' 2>&1) || fail "hakmem run: status $?"
[[ $output == 1 ]] || fail "hakmem run -- python3 wrote: $output"
"$work/root/usr/bin/hakmem" run -- cat /proc/self/maps | grep -q "$work/root/usr/lib.*/libhakmem.so" ||
    fail "the program did not run on the unpacked library"

# On a bare system.
# bare_expect NAME PATTERN COMMAND...: ends with 0, and a line of its output matches.
bare_expect() {
    local name=$1 pattern=$2
    shift 2
    output=$(bare "$work/bare" "$@" 2>&1) || fail "bare system, $name: status $?: $(tail -n 20 <<<"$output")"
    grep -qE -- "$pattern" <<<"$output" || fail "bare system, $name: no line like '$pattern': $output"
}
if bare_can; then
    bare_make "$work/bare" || fail "no bare system could be made"
    bare_expect update . apt-get -q update
    bare_expect tools . apt-get -q -y install --no-install-recommends python3-minimal man-db
    bare "$work/bare" find / -xdev -not -path '/var/*' -not -path '/tmp/*' | sort >"$work/files_before"
    mkdir "$work/bare/packages"
    cp "$work"/build/*.deb "$work/bare/packages/"
    bare_expect install . sh -c 'apt-get -q -y install --no-install-recommends /packages/*.deb'
    bare_expect run '^1$' hakmem run -- python3 -c 'print(1)'
    bare_expect 'run, library' '/usr/lib/.*libhakmem[.]so' hakmem run -- cat /proc/self/maps
    bare_expect doctor '^What the allocator would do now' hakmem doctor
    bare_expect ab '^throughput, glibc = 1 ' hakmem ab --rounds=2 --out=/tmp/ab -- ls -lR /usr
    for page in '1 hakmem' '3 hakmem' '5 hakmem-json' '7 hakmem-options'; do
        # shellcheck disable=SC2086 # two words
        bare_expect "man $page" "^ +${page#* } " env MANWIDTH=80 man --warnings=w -P cat $page
        ! grep -q ': warning' <<<"$output" || fail "bare system, man $page: $output"
    done
    bare_expect remove . apt-get -q -y autoremove --purge hakmem libhakmem-dev libhakmem0
    rm -rf "$work/bare/packages"
    bare "$work/bare" find / -xdev -not -path '/var/*' -not -path '/tmp/*' | sort >"$work/files_after"
    diff "$work/files_before" "$work/files_after" >"$work/diff" || fail "removing leaves or takes: $(<"$work/diff")"
else
    echo "test_package: no bare system: that takes root, debootstrap, mounts and $bare_mirror" >&2
fi

python3 -m py_compile "$source_dir/tool/package/conan/conanfile.py" || fail "conanfile.py"
rm -rf "$source_dir/tool/package/conan/__pycache__"
python3 -m json.tool "$source_dir/tool/package/vcpkg/vcpkg.json" >/dev/null || fail "vcpkg.json"
# Every command of the port is one of vcpkg's or of CMake; with those of vcpkg defined, it must parse and run.
cat >"$work/port.cmake" <<CMAKE
set(CMAKE_CURRENT_LIST_DIR "$source_dir/tool/package/vcpkg")
set(CURRENT_PACKAGES_DIR "$work/none")
foreach(name vcpkg_cmake_configure vcpkg_cmake_install vcpkg_cmake_config_fixup vcpkg_fixup_pkgconfig
        vcpkg_copy_tools vcpkg_install_copyright)
    cmake_language(EVAL CODE "function(\${name})\nendfunction()")
endforeach()
include("$source_dir/tool/package/vcpkg/portfile.cmake")
CMAKE
cmake -P "$work/port.cmake" >"$work/log" 2>&1 || fail "portfile.cmake: $(<"$work/log")"
version=$(sed -nE 's/^project\(hakmem VERSION ([0-9.]+).*/\1/p' "$source_dir/CMakeLists.txt")
for file in vcpkg/vcpkg.json conan/conanfile.py; do
    grep -q "\"$version\"" "$source_dir/tool/package/$file" || fail "$file is not of version $version"
done

finish "three packages, without errors"
