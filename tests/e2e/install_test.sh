#!/bin/bash
# An installed prefix holds what its users need: a program that starts, what
# explains and completes it, and a library that a C program finds by pkg-config
# or CMake alone, shared or static.  So does one below DESTDIR.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
fail() { echo "$*"; exit 1; }

version=$(sed -n 's/^project(linedancer VERSION \([0-9.]*\).*/\1/p' \
    CMakeLists.txt)
files="bin/linedancer include/linedancer.h share/linedancer/handlers
    share/linedancer/examples share/linedancer/library/linedancer.lua
    share/man/man1/linedancer.1 share/man/man5/linedancer.conf.5
    share/man/man7/linedancer-handlers.7 share/man/man3/liblinedancer.3
    share/bash-completion/completions/linedancer
    share/zsh/site-functions/_linedancer share/doc/linedancer/README.md
    etc/linedancer/gateway.lua lib/systemd/system/linedancer.service"

# holds DIR PREFIX: what was installed into DIR is all there, for PREFIX.
holds() {
    local file unit=$1/lib/systemd/system/linedancer.service
    for file in $files; do
        [ -e "$1/$file" ] || fail "$1 has no $file"
    done
    grep -Fx "ExecStart=$2/bin/linedancer run $2/etc/linedancer/gateway.lua" \
        "$unit"
    if grep -E '@[a-z]+@' "$unit" "$1/etc/linedancer/gateway.lua"; then
        fail "there are places that were not filled"
    fi
    "$1/bin/linedancer" version | grep -F "$version"
    "$1/bin/linedancer" check "$1/etc/linedancer/gateway.lua"
}

cmake --install "$BUILD" --prefix "$prefix" >/dev/null
holds "$prefix" "$prefix"
"$prefix/bin/linedancer" completion bash |
    cmp - "$prefix/share/bash-completion/completions/linedancer"
"$prefix/bin/linedancer" completion zsh |
    cmp - "$prefix/share/zsh/site-functions/_linedancer"
bash -c 'source "$1" && complete -p linedancer' bash \
    "$prefix/share/bash-completion/completions/linedancer"
zsh -f -c 'fpath=($1 $fpath); autoload -U compinit; compinit -u -D
    [ "$_comps[linedancer]" = _linedancer ]' zsh \
    "$prefix/share/zsh/site-functions" || fail "zsh does not find _linedancer"

pc=$(find "$prefix" -name linedancer.pc)
PKG_CONFIG_PATH=${pc%/*} tests/e2e/support/embed.sh "$prefix" "$scratch/built"

# Whoever installs again keeps the config that they have made.
echo "-- mine" >>"$prefix/etc/linedancer/gateway.lua"
cmake --install "$BUILD" --prefix "$prefix" >/dev/null
grep -q "^-- mine" "$prefix/etc/linedancer/gateway.lua"

DESTDIR=$scratch/stage cmake --install "$BUILD" --prefix /opt/ld >/dev/null
holds "$scratch/stage/opt/ld" /opt/ld
grep -rFq "$scratch" "$scratch/stage/opt/ld" && fail "files know DESTDIR"
pc=$(find "$scratch/stage" -name linedancer.pc)
PKG_CONFIG_SYSROOT_DIR=$scratch/stage PKG_CONFIG_PATH=${pc%/*} \
    tests/e2e/support/embed.sh "$scratch/stage/opt/ld" "$scratch/staged"
