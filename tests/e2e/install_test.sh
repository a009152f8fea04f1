#!/bin/bash
# An installed prefix holds what its users need: a program that starts, and a
# library that a C program finds by pkg-config alone, shared or static.
set -euo pipefail

prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$BUILD" --prefix "$prefix" >/dev/null

version=$(sed -n 's/^project(linedancer VERSION \([0-9.]*\).*/\1/p' \
    CMakeLists.txt)
for file in bin/linedancer include/linedancer.h share/linedancer/handlers \
    share/linedancer/examples share/linedancer/library/linedancer.lua; do
    [ -e "$prefix/$file" ] || { echo "$file is not installed"; exit 1; }
done
"$prefix/bin/linedancer" version | grep -F "$version"

unit=$prefix/lib/systemd/system/linedancer.service
grep -Fx "ExecStart=$prefix/bin/linedancer run $prefix/etc/linedancer/gateway.lua" \
    "$unit"
if grep '@[a-z]*dir@' "$unit"; then
    echo "the unit has places that were not filled"
    exit 1
fi

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name linedancer.pc)")
cat >"$prefix/host.c" <<'END'
#include <linedancer.h>
int main(void)
{
    ld_gateway_free(0);
    return 0;
}
END
libdir=$(pkg-config --variable=libdir linedancer)
read -ra shared < <(pkg-config --cflags --libs linedancer)
read -ra static < <(pkg-config --cflags --static --libs linedancer)
cc -o "$prefix/shared" "$prefix/host.c" "${shared[@]}"
LD_LIBRARY_PATH=$libdir "$prefix/shared"
rm "$libdir"/liblinedancer.so*
cc -o "$prefix/static" "$prefix/host.c" "${static[@]}"
"$prefix/static"
