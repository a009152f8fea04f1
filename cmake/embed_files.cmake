# cmake -D LIST=FILE -D ROOT=DIR -D OUTPUT=FILE -P embed_files.cmake
#
# Writes the files that LIST names, one a line, as C arrays to OUTPUT.  A .lua
# file gets its module name below ROOT; any other file keeps its file name.
file(STRINGS ${LIST} files)
set(arrays "")
set(table "")
set(index 0)
foreach(file IN LISTS files)
    file(READ ${file} bytes HEX)
    string(LENGTH "${bytes}" digits)
    math(EXPR size "${digits} / 2")
    string(REGEX REPLACE "(................................)" "\\1\n" bytes
        "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")

    if(file MATCHES "\\.lua$")
        file(RELATIVE_PATH name ${ROOT} ${file})
        string(REGEX REPLACE "(/init)?\\.lua$" "" name ${name})
        string(REPLACE "/" "." name ${name})
    else()
        get_filename_component(name ${file} NAME)
    endif()

    # The final zero, which the size leaves out, ends a text for C.
    string(APPEND arrays
        "static const unsigned char file_${index}[] = {\n${bytes}0};\n\n")
    string(APPEND table "    { \"${name}\", file_${index}, ${size} },\n")
    math(EXPR index "${index} + 1")
endforeach()

file(WRITE ${OUTPUT} "#include \"bind/embedded.h\"\n\n${arrays}"
    "const struct ld_embedded ld_embedded[] = {\n${table}"
    "    { NULL, NULL, 0 },\n};\n")
