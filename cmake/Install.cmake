# What `cmake --install` puts where.  The Lua half is inside the libraries and
# the program, so only handlers and examples are installed as text.
set(data ${CMAKE_INSTALL_DATADIR}/linedancer)

if(TARGET ld_program)
    install(TARGETS ld_program)
endif()
install(TARGETS ld_static ld_shared)
# What `require "linedancer"` of a plain luajit finds.
install(FILES $<TARGET_FILE:ld_module> RENAME linedancer.so
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/lua/5.1)
install(FILES core/linedancer.h TYPE INCLUDE OPTIONAL)
install(DIRECTORY handlers examples DESTINATION ${data}
    FILES_MATCHING PATTERN "*" PATTERN ".*" EXCLUDE)
# What lua-language-server reads of the API.
install(DIRECTORY library DESTINATION ${data})
install(FILES README.md HANDLERS.md ARCHITECTURE.md CHANGES.md
    LICENSE TYPE DOC OPTIONAL)
file(GLOB doc_pages CONFIGURE_DEPENDS docs/*.md)
install(FILES ${doc_pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)

# The prefix is known for certain only when installing.
set(seccomp_pc "")
if(seccomp_FOUND)
    set(seccomp_pc " libseccomp")
endif()
set(pc_in ${PROJECT_SOURCE_DIR}/cmake/linedancer.pc.in)
set(pc_out ${PROJECT_BINARY_DIR}/linedancer.pc)
install(CODE "
    set(PROJECT_NAME \"${PROJECT_NAME}\")
    set(PROJECT_DESCRIPTION \"${PROJECT_DESCRIPTION}\")
    set(PROJECT_VERSION \"${PROJECT_VERSION}\")
    set(seccomp_pc \"${seccomp_pc}\")
    set(CMAKE_INSTALL_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
    set(CMAKE_INSTALL_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
    configure_file(\"${pc_in}\" \"${pc_out}\" @ONLY)")
install(FILES ${pc_out} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# A unit of systemd.  The config of what is installed below /usr is in /etc.
set(unit_in ${PROJECT_SOURCE_DIR}/cmake/linedancer.service.in)
set(unit_out ${PROJECT_BINARY_DIR}/linedancer.service)
install(CODE "
    set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
    set(bindir \"\${prefix}/${CMAKE_INSTALL_BINDIR}\")
    set(docdir \"\${prefix}/${CMAKE_INSTALL_DOCDIR}\")
    set(sysconfdir \"\${prefix}/etc\")
    if(prefix STREQUAL \"/usr\")
        set(sysconfdir /etc)
    endif()
    configure_file(\"${unit_in}\" \"${unit_out}\" @ONLY)")
install(FILES ${unit_out} DESTINATION lib/systemd/system)
