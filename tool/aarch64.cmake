# Builds for AArch64 on another machine with Debian's cross compiler, and runs what was built under
# qemu-user. `./dev aarch64` puts what else Debian has for arm64 into HAK_ROOT.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# qemu keeps a record of each page that is mapped, if only reserved: 6 MiB for each GiB. UNDER_QEMU is
# for tests that ask for what it cannot do.
set(CMAKE_CROSSCOMPILING_EMULATOR
    qemu-aarch64 -L /usr/aarch64-linux-gnu -E HAKMEM_ARENA_GIB=8 -E UNDER_QEMU=1)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES HAK_ROOT)
set(CMAKE_FIND_ROOT_PATH "${HAK_ROOT}" /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_C_FLAGS_INIT "-isystem ${HAK_ROOT}/usr/include/aarch64-linux-gnu") # sys/sdt.h
