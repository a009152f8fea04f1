#!/bin/bash
# bare_debian.sh ROOT: what packages_bare_test.sh looks at, in a Debian in ROOT.
# With an argument "inside" it is that Debian, with a network of its own.
set -euo pipefail

fail() { echo "$*" >&2; exit 1; }

# until COMMAND...: it succeeds, at last.
until_() {
    for _ in {1..300}; do
        "$@" && return
        sleep 0.1
    done
    fail "never: $*"
}

config=/etc/linedancer/gateway.lua
unit=linedancer.service
wanted=/etc/systemd/system/multi-user.target.wants/$unit

# answers PORT: an echo does.
answers() { [ "$(printf hello | nc -N 127.0.0.1 "$1")" = hello ]; }

# Nobody but _linedancer runs handlers.
is_user() {
    local uid=$1 child
    for child in $(cat "/proc/$2/task/$2/children"); do
        [ "$(awk '/^Uid:/ { print $2 }' "/proc/$child/status")" = "$uid" ] ||
            fail "a worker is not _linedancer"
    done
}

serves() {
    local pid
    mkdir -p /run/linedancer # as RuntimeDirectory= of the unit does
    linedancer run "$config" --workers 2 2>/tmp/log &
    pid=$!
    until_ answers 7000
    linedancer status --config "$config" | grep -F 127.0.0.1:7000
    [ "$(wc -w <"/proc/$pid/task/$pid/children")" -eq 2 ] || fail "no workers"
    is_user "$(id -u _linedancer)" "$pid"
    kill "$pid"
    wait "$pid" || fail "it did not end well: $(cat /tmp/log)"
    rm -r /run/linedancer
}

has_service() {
    systemd-analyze --man=no verify "$unit"
    [ ! -e "$wanted" ] || fail "the service is enabled"
    systemctl enable "$unit"
    [ -e "$wanted" ] || fail "the service cannot be enabled"
}

keeps_config() {
    echo "-- mine" >>"$config"
    dpkg -i /tmp/packages/linedancer_*.deb >/dev/null
    grep -q "^-- mine" "$config" || fail "the config was replaced"
    [ -e "$wanted" ] || fail "an upgrade disables the service"
}

# Its installation alone has ldconfig run.
has_library() {
    local library
    rm /etc/ld.so.cache
    dpkg -i /tmp/packages/liblinedancer0_*.deb >/dev/null
    library=$(ldconfig -p | sed -n 's/.*liblinedancer.so.0 .*=> //p')
    [ -n "$library" ] || fail "ldconfig was not run"
    if ldd "$library" | grep "not found"; then fail "a dependency is missing"; fi
}

# A script that a plain luajit runs is a gateway, with the handlers of the other
# package.
has_module() {
    local pid
    luajit - 2>/tmp/log <<<'require "linedancer".serve {
        listen = { { "127.0.0.1:7001", handler = "echo" } } }' &
    pid=$!
    until_ answers 7001
    kill "$pid"
    wait "$pid" || fail "the module did not end well: $(cat /tmp/log)"
}

# Directories that the unit has made go as well.
purges() {
    mkdir -p /var/lib/linedancer /var/log/linedancer
    dpkg --purge linedancer liblinedancer0 lua-linedancer >/dev/null
    [ ! -L "$wanted" ] || fail "the service is left enabled"
    find / -xdev -name '*linedancer*' ! -path '/tmp/packages*' >/tmp/left
    [ ! -s /tmp/left ] || fail "left: $(cat /tmp/left)"
    id _linedancer >/dev/null || fail "the user has gone, but not their files"
}

if [ "$1" = inside ]; then
    ip link set lo up
    linedancer version
    linedancer check "$config"
    [ -e /usr/share/man/man5/linedancer.conf.5.gz ] || fail "no manual"
    has_service
    serves
    keeps_config
    has_library
    has_module
    purges
    exit
fi

mkdir "$1/tmp/packages"
cp "$PACKAGES"/{linedancer,liblinedancer0,lua-linedancer}_*.deb \
    "$1/tmp/packages"
cp "$0" "$1/tmp/inside"
chroot "$1" sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
    --no-install-recommends /tmp/packages/*.deb' >/dev/null 2>"$1/tmp/apt" ||
    fail "cannot be installed: $(cat "$1/tmp/apt")"
unshare --net chroot "$1" /tmp/inside inside
cd "$(dirname "$0")/../../.."
unshare --net tests/e2e/support/container.py "$1" "$PACKAGES"
