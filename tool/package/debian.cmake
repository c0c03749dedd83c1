# Runs on the folder of each package before CPack packs it: Debian wants these compressed.
file(GLOB_RECURSE pages "${CPACK_TEMPORARY_DIRECTORY}/*.[0-9]" "${CPACK_TEMPORARY_DIRECTORY}/*.Debian")
list(FILTER pages INCLUDE REGEX "/share/(man|doc)/")
foreach(page ${pages})
    execute_process(COMMAND gzip -9n "${page}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()
