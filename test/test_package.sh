#!/usr/bin/env bash
# The Debian packages: built by CPack, without errors of lintian, with what belongs into each; the command
# runs a program from where they unpack. The vcpkg port and the conan recipe: neither tool is in Debian, so
# only their syntax is checked; the CMake part that both call is what test_install runs.
#
# ctest: labels=full timeout=600
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.bash
source "$(dirname "$0")/lib.bash"
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
