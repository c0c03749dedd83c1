# What `cmake --install` puts where, and the Debian packages that CPack makes of it (`./dev package`).
#
#   libhakmem0      the libraries to run with, header-less and header mode
#   libhakmem-dev   headers, archives, pkg-config and CMake files, hakmem(3)
#   hakmem          the command, what it runs, its manual pages and its completion
#
# The command finds its libraries and the runner in ${HAK_PRIVATE_DIR}, by their plain names.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(HAK_PRIVATE_DIR "${CMAKE_INSTALL_LIBDIR}/hakmem")
set(cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/hakmem")
set(package_dir "${CMAKE_CURRENT_LIST_DIR}")

set_target_properties(hakmem_so PROPERTIES EXPORT_NAME hakmem)
set_target_properties(hakmem-header_so PROPERTIES EXPORT_NAME header)
set_target_properties(hakmem_a PROPERTIES EXPORT_NAME static)
set_target_properties(hakmem-cxx PROPERTIES EXPORT_NAME cxx)
set_target_properties(hakmem_core PROPERTIES EXPORT_NAME prefixed)
install(TARGETS hakmem_so hakmem-header_so EXPORT hakmem-targets
    LIBRARY COMPONENT run NAMELINK_COMPONENT dev
    INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS hakmem_a hakmem-cxx hakmem_core EXPORT hakmem-targets
    ARCHIVE COMPONENT dev
    INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY include/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev
    FILES_MATCHING REGEX "/hakmem[^/]*[.]hp?p?$")
install(EXPORT hakmem-targets NAMESPACE hakmem:: DESTINATION "${cmake_dir}" COMPONENT dev)

configure_package_config_file("${package_dir}/hakmem-config.cmake.in"
    "${CMAKE_BINARY_DIR}/package/hakmem-config.cmake" INSTALL_DESTINATION "${cmake_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/package/hakmem-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/package/hakmem-config.cmake"
    "${CMAKE_BINARY_DIR}/package/hakmem-config-version.cmake"
    DESTINATION "${cmake_dir}" COMPONENT dev)
set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
string(REGEX REPLACE "[^/]+" ".." to_prefix "${pc_dir}")
configure_file("${package_dir}/hakmem.pc.in" "${CMAKE_BINARY_DIR}/package/hakmem.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/package/hakmem.pc"
    DESTINATION "${pc_dir}" COMPONENT dev)

# The command, and beside each other what it starts.
install(TARGETS hakmem RUNTIME COMPONENT tool)
foreach(target bench_runner bench_replay)
    if(TARGET ${target})
        install(TARGETS ${target} RUNTIME DESTINATION "${HAK_PRIVATE_DIR}" COMPONENT tool)
    endif()
endforeach()
foreach(target recordmalloc whomalloc)
    if(TARGET ${target})
        install(TARGETS ${target} LIBRARY DESTINATION "${HAK_PRIVATE_DIR}" COMPONENT tool)
    endif()
endforeach()
set(links "${CMAKE_BINARY_DIR}/package/links")
file(MAKE_DIRECTORY "${links}")
foreach(name libhakmem libhakmem-header)
    file(CREATE_LINK "../${name}.so.${PROJECT_VERSION_MAJOR}" "${links}/${name}.so" SYMBOLIC)
endforeach()
install(DIRECTORY "${links}/" DESTINATION "${HAK_PRIVATE_DIR}" COMPONENT tool)
install(FILES "${package_dir}/completion.bash"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME hakmem COMPONENT tool)
install(FILES "${package_dir}/completion.zsh"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions" RENAME _hakmem COMPONENT tool)

# Manual pages. That of the options is written by the command, from the table that the parser uses.
set(manual "${CMAKE_BINARY_DIR}/hakmem-options.7")
add_custom_command(OUTPUT "${manual}"
    COMMAND hakmem options --man > "${manual}" DEPENDS hakmem VERBATIM)
add_custom_target(manual ALL DEPENDS "${manual}")
install(FILES "${package_dir}/hakmem.1"
    DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT tool)
install(FILES "${package_dir}/hakmem-json.5"
    DESTINATION "${CMAKE_INSTALL_MANDIR}/man5" COMPONENT tool)
install(FILES "${manual}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man7" COMPONENT tool)
install(FILES "${package_dir}/hakmem.3"
    DESTINATION "${CMAKE_INSTALL_MANDIR}/man3" COMPONENT dev)

# ---- Debian packages ------------------------------------------------------------------------------

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR hakmem)
set(HAK_PACKAGE_CONTACT "hakmem contributors <hakmem@users.noreply.github.com>" CACHE STRING
    "Maintainer of the Debian packages that are built here")
set(CPACK_PACKAGE_CONTACT "${HAK_PACKAGE_CONTACT}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${CMAKE_BINARY_DIR}")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_COMPONENTS_ALL run dev tool)

string(CONCAT about "hakmem replaces the malloc of libc under any program, by LD_PRELOAD or by\n"
    "linking. No header stands before a block and no link in a free one.")

set(CPACK_DEBIAN_RUN_PACKAGE_NAME libhakmem${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_RUN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUN_PACKAGE_CONTROL_EXTRA "${package_dir}/triggers")
set(CPACK_COMPONENT_RUN_DESCRIPTION "${about}

This package holds the libraries, also that of the header mode.")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libhakmem-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_DEV_DEPENDS run)
set(CPACK_COMPONENT_DEV_DESCRIPTION "${about}

This package holds headers, archives, and files for pkg-config and CMake.")
set(CPACK_DEBIAN_TOOL_PACKAGE_NAME hakmem)
set(CPACK_DEBIAN_TOOL_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_TOOL_PACKAGE_RECOMMENDS gnuplot-nox)
set(CPACK_COMPONENT_TOOL_DEPENDS run)
set(CPACK_COMPONENT_TOOL_DESCRIPTION "${about}

This package holds the command that runs a program on it, compares it with
other allocators, and says what a system has of huge pages.")

set(doc_dir "${CMAKE_BINARY_DIR}/package/doc")
file(MAKE_DIRECTORY "${doc_dir}")
file(READ LICENSE licence_debian)
string(REPLACE ";" "[semicolon]" licence_debian "${licence_debian}")
string(REGEX REPLACE "\n(\n)" "\n .\\1" licence_debian "${licence_debian}")
string(REGEX REPLACE "\n([^ \n])" "\n \\1" licence_debian "${licence_debian}")
string(REPLACE "[semicolon]" ";" licence_debian "${licence_debian}")
configure_file("${package_dir}/copyright.in" "${doc_dir}/copyright" @ONLY)
foreach(component_name "run;libhakmem${PROJECT_VERSION_MAJOR}" "dev;libhakmem-dev" "tool;hakmem")
    list(GET component_name 0 component)
    list(GET component_name 1 name)
    install(FILES "${doc_dir}/copyright" "${doc_dir}/changelog.Debian"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${name}" COMPONENT ${component})
endforeach()
# Debian wants its own change log and compressed manual pages; this runs on what goes into a package.
file(WRITE "${doc_dir}/changelog.Debian"
"hakmem (${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * What changed is in CHANGELOG.md.

 -- ${CPACK_PACKAGE_CONTACT}  Sat, 21 Nov 2026 12:00:00 +0000
")
set(CPACK_PRE_BUILD_SCRIPTS "${package_dir}/debian.cmake")
include(CPack)
