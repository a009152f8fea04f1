#!/bin/bash
# The packages that `./dev package` has made are as Debian wants them, and what
# is in them is where it belongs: a C program is built against the development
# package, shared and static.
set -euo pipefail

packages=$BUILD/packages
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
fail() { echo "$*"; exit 1; }

[ "$(find "$packages" -maxdepth 1 -name '*.deb' | wc -l)" -eq 4 ] ||
    fail "there are not four packages in $packages: ./dev package"
lintian --pedantic --fail-on error,warning,pedantic "$packages"/*.deb

# control PACKAGE FIELD
control() { dpkg-deb -f "$packages/$1"_[0-9]*.deb "$2"; }

# Whoever has the library's number in a name has it right.
soname=$(objdump -p "$BUILD/liblinedancer.so" | sed -n 's/^ *SONAME *//p')
library=liblinedancer${soname##*.}
version=$(control "$library" Version)
control liblinedancer-dev Depends | grep -F "$library (= $version)"
for package in linedancer "$library" lua-linedancer; do
    for needed in libc6 luajit libev libc-ares libssl; do
        control "$package" Depends | grep -q "$needed" ||
            fail "$package does not depend on $needed"
    done
done

dpkg-deb -e "$packages/$library"_*.deb "$root/DEBIAN"
grep -Fx "activate-noawait ldconfig" "$root/DEBIAN/triggers"
grep "^liblinedancer ${soname##*.} $library " "$root/DEBIAN/shlibs"

# What is in none of them but should be.
for package in "$packages"/*.deb; do
    dpkg-deb -x "$package" "$root"
done
for file in etc/linedancer/gateway.lua lib/systemd/system/linedancer.service \
    usr/share/bash-completion/completions/linedancer \
    usr/share/zsh/vendor-completions/_linedancer \
    usr/share/linedancer/handlers/echo.lua \
    usr/share/doc/linedancer/examples/gateway.lua \
    usr/share/man/man{1/linedancer.1,5/linedancer.conf.5}.gz \
    usr/share/man/man7/linedancer-handlers.7.gz; do
    [ -e "$root/$file" ] || fail "$file is missing"
done
grep -Fx "ExecStart=/usr/bin/linedancer run /etc/linedancer/gateway.lua" \
    "$root/lib/systemd/system/linedancer.service"
"$root/usr/bin/linedancer" check "$root/etc/linedancer/gateway.lua"

libdir=$(dirname "$root/usr/lib"/*/liblinedancer.a)
PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$libdir/pkgconfig \
    tests/e2e/support/embed.sh "$root/usr" "$root/built"

# Whoever links with the library depends on its package, by the version of the
# symbols that are used.
mkdir "$root/built/debian"
printf 'Source: host\n\nPackage: host\nArchitecture: any\n' \
    >"$root/built/debian/control"
cd "$root/built"
dpkg-shlibdeps -O -S"$root" -l"$libdir" -eshared |
    grep -E "\b$library \(>= 0\.2\.0\)"
