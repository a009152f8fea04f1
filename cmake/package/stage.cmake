# CPack runs this between installing into its directories, one for each
# component, and making packages of them.  It does what debhelper would do:
# documents, compression, stripping, dependencies of the library, and times.
cmake_minimum_required(VERSION 3.25)
set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
set(soname ${CPACK_DEBIAN_LIBRARY_PACKAGE_NAME})
set(version ${CPACK_LD_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
set(maintainer ${CPACK_PACKAGE_CONTACT})

function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Of SOURCE_DATE_EPOCH, if it is set.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
string(TIMESTAMP epoch "%s" UTC)
set(ENV{LC_ALL} C.UTF-8)

# What each package has in /usr/share/doc.
function(document component package)
    set(doc ${root}/${component}/usr/share/doc/${package})
    file(READ ${CPACK_LD_SOURCE}/LICENSE license)
    string(REGEX REPLACE "^MIT License\n\nCopyright \\(c\\) ([^\n]*)\n\n" ""
        license "${license}")
    set(holders ${CMAKE_MATCH_1})
    string(STRIP "${license}" license)
    string(REPLACE "\n\n" "\n.\n" license "${license}")
    string(REPLACE "\n" "\n " license "${license}")
    configure_file(${CPACK_LD_SOURCE}/cmake/package/copyright.in
        ${doc}/copyright @ONLY)
    configure_file(${CPACK_LD_SOURCE}/cmake/package/changelog.in
        ${doc}/changelog.Debian @ONLY)
    configure_file(${CPACK_LD_SOURCE}/CHANGES.md ${doc}/changelog COPYONLY)
    run(gzip -9nf ${doc}/changelog ${doc}/changelog.Debian)
endfunction()

document(gateway linedancer)
document(library ${soname})
document(dev liblinedancer-dev)
document(lua lua-linedancer)

# They are there as copyright and changelog, and as examples.
set(doc ${root}/gateway/usr/share/doc/linedancer)
file(REMOVE ${doc}/LICENSE ${doc}/CHANGES.md)
file(CREATE_LINK ../../linedancer/examples ${doc}/examples SYMBOLIC)
configure_file(${CPACK_LD_SOURCE}/cmake/package/README.Debian
    ${doc}/README.Debian COPYONLY)

configure_file(${CPACK_LD_SOURCE}/cmake/package/overrides
    ${root}/gateway/usr/share/lintian/overrides/linedancer COPYONLY)

# Units are below /lib.
file(MAKE_DIRECTORY ${root}/gateway/lib)
file(REMOVE_RECURSE ${root}/gateway/lib/systemd)
file(RENAME ${root}/gateway/usr/lib/systemd ${root}/gateway/lib/systemd)
file(REMOVE_RECURSE ${root}/gateway/usr/lib)

file(GLOB pages ${root}/*/usr/share/man/man*/*.[1-9])
foreach(page ${pages})
    run(gzip -9nf ${page})
endforeach()

set(lib ${root}/library/usr/${CPACK_LD_LIBDIR})
set(shared ${lib}/liblinedancer.so.${CPACK_LD_VERSION})
run(${CPACK_LD_STRIP} --strip-debug --remove-section=.comment
    ${root}/dev/usr/${CPACK_LD_LIBDIR}/liblinedancer.a)
set(module ${root}/lua/usr/${CPACK_LD_LIBDIR}/lua/5.1/linedancer.so)
run(${CPACK_LD_STRIP} --remove-section=.comment --remove-section=.note
    --strip-unneeded ${shared} ${module})
run(${CPACK_LD_STRIP} --remove-section=.comment --remove-section=.note
    ${root}/gateway/usr/bin/linedancer)

# The library's control files.  The versions in its map say which version of the
# package each symbol takes.
file(MAKE_DIRECTORY ${CPACK_LD_CONTROL}/debian)
file(WRITE ${CPACK_LD_CONTROL}/shlibs
    "liblinedancer ${CPACK_LD_SOVERSION} ${soname} (>= ${CPACK_LD_VERSION})\n")
file(WRITE ${CPACK_LD_CONTROL}/debian/control
    "Source: linedancer\n\nPackage: ${soname}\nArchitecture: any\n")
file(STRINGS ${CPACK_LD_SOURCE}/cmake/linedancer.map nodes
    REGEX "^LINEDANCER_.* {$")
set(symbols "liblinedancer.so.${CPACK_LD_SOVERSION} ${soname} #MINVER#\n"
    "* Build-Depends-Package: liblinedancer-dev\n")
foreach(node ${nodes})
    string(REGEX REPLACE "^(LINEDANCER_(.*)) {$" " (symver)\\1 \\2.0\n" node
        "${node}")
    list(APPEND symbols ${node})
endforeach()
file(WRITE ${CPACK_LD_CONTROL}/symbols.in ${symbols})
run(${CMAKE_COMMAND} -E chdir ${CPACK_LD_CONTROL} dpkg-gensymbols -q -c4
    -p${soname} -v${version} -P${root}/library -e${shared}
    -I${CPACK_LD_CONTROL}/symbols.in -O${CPACK_LD_CONTROL}/symbols)
execute_process(COMMAND dpkg-shlibdeps -O --warnings=0 -e${shared}
    WORKING_DIRECTORY ${CPACK_LD_CONTROL} OUTPUT_VARIABLE depends
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "shlibs:Depends=" "" depends "${depends}")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS "${depends}")

# Whatever the umask was under which the sources were unpacked.
run(chmod -R u=rwX,go=rX ${root})
run(chmod a-x ${shared} ${module})
run(find ${root} -exec touch --no-dereference --date=@${epoch} {} +)
