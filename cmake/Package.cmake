# Debian's packages, by `cpack` in a tree that is configured with
# -C cmake/package/debian.cmake, as `./dev package` does:
#
#   linedancer         gateway: the program, handlers, manual, unit, config
#   liblinedancerN     library: the shared library, N its SOVERSION
#   liblinedancer-dev  dev: header, static library, pkg-config, CMake
#   lua-linedancer     lua: the module that a plain luajit loads
#
# package/stage.cmake brings what is installed into Debian's form.
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    return()
endif()
set(LD_MAINTAINER "The Linedancer authors <linedancer@localhost.invalid>"
    CACHE STRING "Who answers for the packages: NAME <ADDRESS>")
# Below the -1 that Debian itself would begin with.
set(LD_REVISION 0linedancer1 CACHE STRING "The revision of the packages")

set(here ${PROJECT_SOURCE_DIR}/cmake/package)
set(control ${PROJECT_BINARY_DIR}/control)
get_target_property(soversion ld_shared SOVERSION)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME linedancer)
set(CPACK_PACKAGE_VENDOR linedancer)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_PACKAGE_CONTACT ${LD_MAINTAINER})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_SET_DESTDIR ON) # the files that are made then know their prefix
set(CPACK_COMPONENTS_ALL gateway library dev lua)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE
    GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${here}/stage.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SOURCE linedancer)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${LD_REVISION})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_STRIP_FILES ON)

set(CPACK_DEBIAN_GATEWAY_PACKAGE_NAME linedancer)
set(CPACK_DEBIAN_GATEWAY_PACKAGE_SECTION net)
set(CPACK_DEBIAN_GATEWAY_DESCRIPTION
"Lua-scriptable TCP gateway with a C core
A gateway for people who speak odd protocols: a C core owns the sockets, and
the protocol is written in Lua, as functions for the states of a connection.
Frames are cut out of the stream as bytes arrive, whatever way TCP splits them.
Code and configuration are changed while connections live.
.
Handlers for an echo, a chat, a cache that speaks the Redis protocol, a proxy
and live video by RTMP come with it.")
set(CPACK_DEBIAN_GATEWAY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_GATEWAY_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_GATEWAY_PACKAGE_SUGGESTS "libedit2, lua-busted")
set(CPACK_DEBIAN_GATEWAY_PACKAGE_CONTROL_EXTRA
    ${here}/conffiles ${here}/postinst ${here}/prerm ${here}/postrm)

# No SHLIBDEPS: with it, CPack calls ldconfig where Debian wants a trigger.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME liblinedancer${soversion})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION
"Lua-scriptable TCP gateway - shared library
Linedancer is a TCP gateway whose protocols are written in Lua.
.
This package has the library that puts such a gateway inside a program.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_GENERATE_SHLIBS OFF)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA
    ${control}/shlibs ${control}/symbols ${here}/triggers)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME liblinedancer-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_DESCRIPTION
"Lua-scriptable TCP gateway - development files
Linedancer is a TCP gateway whose protocols are written in Lua.
.
This package has what is needed to build programs that hold such a gateway: the
header, the static library, and files for pkg-config and CMake.")
set(needs libluajit-5.1-dev libev-dev libc-ares-dev libssl-dev)
if(seccomp_FOUND)
    list(APPEND needs libseccomp-dev)
endif()
list(JOIN needs ", " needs)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "liblinedancer${soversion} \
(= ${PROJECT_VERSION}-${LD_REVISION}), ${needs}")

set(CPACK_DEBIAN_LUA_PACKAGE_NAME lua-linedancer)
set(CPACK_DEBIAN_LUA_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_LUA_DESCRIPTION
"Lua-scriptable TCP gateway - module for LuaJIT
Linedancer is a TCP gateway whose protocols are written in Lua.
.
This package has the module by which a script that luajit runs is such a
gateway, and handlers are tested without sockets.")
set(CPACK_DEBIAN_LUA_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LUA_PACKAGE_DEPENDS "luajit")
set(CPACK_DEBIAN_LUA_PACKAGE_RECOMMENDS "linedancer") # handlers with names
set(CPACK_DEBIAN_LUA_PACKAGE_SUGGESTS "lua-busted")

# What stage.cmake needs to know; CPack hands on variables with this prefix.
set(CPACK_LD_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_LD_CONTROL ${control})
set(CPACK_LD_VERSION ${PROJECT_VERSION})
set(CPACK_LD_SOVERSION ${soversion})
set(CPACK_LD_LIBDIR ${CMAKE_INSTALL_LIBDIR})
set(CPACK_LD_STRIP ${CMAKE_STRIP})
include(CPack)
