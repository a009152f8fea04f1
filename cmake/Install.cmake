# What `cmake --install` puts where.  The Lua half is inside the libraries and
# the program, so only handlers and examples are installed as text.
#
# The components are those of the packages: gateway, library, dev and lua.
set(data ${CMAKE_INSTALL_DATADIR}/linedancer)
set(LD_ZSH_DIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING
    "Where zsh looks for completions, below the prefix")
set(LD_USER "" CACHE STRING
    "Who runs handlers in the config that is installed; empty: nobody else")

install(TARGETS ld_static ld_shared
    ARCHIVE COMPONENT dev
    LIBRARY COMPONENT library NAMELINK_COMPONENT dev)
install(FILES core/linedancer.h TYPE INCLUDE COMPONENT dev OPTIONAL)
install(DIRECTORY handlers examples DESTINATION ${data} COMPONENT gateway
    USE_SOURCE_PERMISSIONS FILES_MATCHING PATTERN "*"
    PATTERN ".*" EXCLUDE PATTERN node_modules EXCLUDE)
install(FILES README.md ARCHITECTURE.md HANDLERS.md CHANGES.md LICENSE TYPE DOC
    COMPONENT gateway OPTIONAL)

# The program, and what it prints for the shells.
if(TARGET ld_program)
    install(TARGETS ld_program COMPONENT gateway)
    set(completion ${PROJECT_BINARY_DIR}/completion)
    file(MAKE_DIRECTORY ${completion})
    add_custom_command(TARGET ld_program POST_BUILD
        COMMAND ld_program completion bash > ${completion}/linedancer
        COMMAND ld_program completion zsh > ${completion}/_linedancer
        VERBATIM)
    install(FILES ${completion}/linedancer COMPONENT gateway
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${completion}/_linedancer DESTINATION ${LD_ZSH_DIR}
        COMPONENT gateway)
endif()
# What `require "linedancer"` of a plain luajit finds.
install(FILES $<TARGET_FILE:ld_module> RENAME linedancer.so
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/lua/5.1 COMPONENT lua)
# What lua-language-server reads of the API.
install(DIRECTORY library DESTINATION ${data} COMPONENT gateway)
file(GLOB doc_pages CONFIGURE_DEPENDS docs/*.md)
install(FILES ${doc_pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs
    COMPONENT gateway)

# Manual pages: those of section 3 are about the library.
foreach(section 1 3 5 7)
    set(component gateway)
    if(section EQUAL 3)
        set(component dev)
    endif()
    file(GLOB pages CONFIGURE_DEPENDS docs/man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
        COMPONENT ${component})
endforeach()

# For programs that find_package(linedancer).
set(seccomp_pc "")
if(seccomp_FOUND)
    set(seccomp_pc " libseccomp")
endif()
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/linedancer)
include(CMakePackageConfigHelpers)
configure_package_config_file(cmake/linedancer-config.cmake.in
    ${PROJECT_BINARY_DIR}/linedancer-config.cmake
    INSTALL_DESTINATION ${package_dir}
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/linedancer-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/linedancer-config.cmake
    ${PROJECT_BINARY_DIR}/linedancer-config-version.cmake
    DESTINATION ${package_dir} COMPONENT dev)

# The prefix is known for certain only when installing.
set(pc_in ${PROJECT_SOURCE_DIR}/cmake/linedancer.pc.in)
set(pc_out ${PROJECT_BINARY_DIR}/linedancer.pc)
install(CODE "
    set(PROJECT_NAME \"${PROJECT_NAME}\")
    set(PROJECT_DESCRIPTION \"${PROJECT_DESCRIPTION}\")
    set(PROJECT_VERSION \"${PROJECT_VERSION}\")
    set(seccomp_pc \"${seccomp_pc}\")
    set(CMAKE_INSTALL_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
    set(CMAKE_INSTALL_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
    configure_file(\"${pc_in}\" \"${pc_out}\" @ONLY)" COMPONENT dev)
install(FILES ${pc_out} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT dev)

# A unit of systemd, and the config that it runs: of what is installed below
# /usr, the one in /etc.  A config that is there is its administrator's.
set(unit_in ${PROJECT_SOURCE_DIR}/cmake/linedancer.service.in)
set(unit_out ${PROJECT_BINARY_DIR}/linedancer.service)
set(config_in ${PROJECT_SOURCE_DIR}/cmake/gateway.lua.in)
set(config_out ${PROJECT_BINARY_DIR}/gateway.lua)
install(CODE "
    set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
    set(bindir \"\${prefix}/${CMAKE_INSTALL_BINDIR}\")
    set(docdir \"\${prefix}/${CMAKE_INSTALL_DOCDIR}\")
    set(sysconfdir \"\${prefix}/etc\")
    if(prefix STREQUAL \"/usr\")
        set(sysconfdir /etc)
    endif()
    configure_file(\"${unit_in}\" \"${unit_out}\" @ONLY)
    set(user \"${LD_USER}\")
    set(packaged \"\")
    if(user STREQUAL \"\")
        set(user nobody)
        set(packaged \"-- \")
    endif()
    configure_file(\"${config_in}\" \"${config_out}\" @ONLY)
    if(NOT EXISTS \"\$ENV{DESTDIR}\${sysconfdir}/linedancer/gateway.lua\")
        file(INSTALL \"${config_out}\" DESTINATION \"\${sysconfdir}/linedancer\")
    endif()" COMPONENT gateway)
install(FILES ${unit_out} DESTINATION lib/systemd/system COMPONENT gateway)
