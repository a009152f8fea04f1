# ld_embed(OUTPUT): OUTPUT is a C file that holds, as struct ld_embedded of
# core/bind/embedded.h, every module under lua/linedancer and the headers that
# LuaJIT's FFI reads: core/bind/api.h and core/value.h.
# It is made anew when one of them changes, appears or goes.
function(ld_embed output)
    file(GLOB_RECURSE modules CONFIGURE_DEPENDS
        ${PROJECT_SOURCE_DIR}/lua/linedancer/*.lua)
    file(GLOB api CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/bind/api.h
        ${PROJECT_SOURCE_DIR}/core/value.h)
    set(files ${modules} ${api})

    # The list is a file so that a module's removal, too, changes a dependency.
    set(list ${output}.list)
    string(REPLACE ";" "\n" lines "${files}")
    file(CONFIGURE OUTPUT ${list} CONTENT "${lines}\n" @ONLY)

    set(script ${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -D LIST=${list} -D OUTPUT=${output}
            -D ROOT=${PROJECT_SOURCE_DIR}/lua -P ${script}
        DEPENDS ${files} ${list} ${script}
        COMMENT "Embedding the Lua half"
        VERBATIM)
endfunction()
