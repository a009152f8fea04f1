#!/bin/bash
# embed.sh PREFIX DIR: build a C program in DIR against what is installed in
# PREFIX, shared and static, by pkg-config and by CMake, and run each.
# PKG_CONFIG_PATH names the directory of linedancer.pc.
set -euo pipefail

prefix=$1 dir=$2
libdir=$(dirname "$PKG_CONFIG_PATH")
mkdir -p "$dir"
# The example of the manual page.
sed -n '/^#include <linedancer.h>/,/^\.Ed/p' docs/man/liblinedancer.3 |
    sed '/^\.Ed/d; s/\\e/\\/g' >"$dir/host.c"
cat >"$dir/CMakeLists.txt" <<'SOURCE'
cmake_minimum_required(VERSION 3.25)
project(host LANGUAGES C)
find_package(linedancer ${VERSION} REQUIRED COMPONENTS shared static)
add_executable(cmake_shared host.c)
target_link_libraries(cmake_shared PRIVATE linedancer::linedancer)
add_executable(cmake_static host.c)
target_link_libraries(cmake_static PRIVATE linedancer::static)
SOURCE

# needs YES|NO PROGRAM: does it load the shared library?
needs() {
    local answer=NO
    ! readelf -d "$2" | grep -q 'NEEDED.*liblinedancer' || answer=YES
    [ "$answer" = "$1" ] || { echo "$2: shared: $answer"; exit 1; }
}

# runs PROGRAM: it serves on a port, and ends well.
runs() {
    "$1" 2>"$dir/log" | grep -E '^port [1-9][0-9]*$' ||
        { cat "$dir/log"; exit 1; }
}

version=$(pkg-config --modversion linedancer)
read -ra shared < <(pkg-config --cflags --libs linedancer)
read -ra static < <(pkg-config --cflags --static --libs linedancer)
cc -o "$dir/shared" "$dir/host.c" "${shared[@]}"
cc -o "$dir/static" "$dir/host.c" "${static[@]/-llinedancer/-l:liblinedancer.a}"
env -u PKG_CONFIG_SYSROOT_DIR -u PKG_CONFIG_PATH \
    cmake -S "$dir" -B "$dir/tree" -D CMAKE_PREFIX_PATH="$prefix" \
    -D VERSION="$version" >/dev/null
cmake --build "$dir/tree" >/dev/null

for program in shared tree/cmake_shared; do
    needs YES "$dir/$program"
    LD_LIBRARY_PATH=$libdir runs "$dir/$program"
done
mv "$libdir"/liblinedancer.so* "$dir"
for program in static tree/cmake_static; do
    needs NO "$dir/$program"
    runs "$dir/$program"
done
mv "$dir"/liblinedancer.so* "$libdir"
