#!/bin/bash
# The same sources give the same packages, bit for bit: in another directory,
# without git, under another umask and locale, in another time zone.
set -euo pipefail

packages=$(readlink -f "$BUILD/packages")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
copy=$scratch/some/where/else
mkdir -p "$copy"

date=$(dpkg-deb --fsys-tarfile "$packages"/linedancer_*.deb |
    tar -xO ./usr/share/doc/linedancer/changelog.Debian.gz | zcat |
    sed -n 's/^ -- .*>  //p')
umask 077
tar -c --exclude='./build*' --exclude=./.git --exclude=node_modules . |
    tar -x -m --no-same-permissions -C "$copy"
cd "$copy"
touch -d "$date" CHANGES.md # as in a tarball of that commit
env -u SOURCE_DATE_EPOCH -u CMAKE_C_COMPILER_LAUNCHER TZ=Asia/Kathmandu \
    LC_ALL=C CFLAGS=-O0 ./dev package out >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; exit 1; }

for package in "$packages"/*.deb; do
    cmp "$package" "out/${package##*/}"
done
