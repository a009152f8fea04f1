#!/usr/bin/env bash
# compare.sh [SECONDS [ROUNDS [CLIENTS]]]: pgbench -S against PostgreSQL itself,
# through the gateway of gate.lua, and through pgbouncer with session pooling.
#
#   examples/embed/postgres/compare.sh 5 3 8
#
# Prints transactions a second, the latency, and for a proxy its processor time
# for each transaction; of ROUNDS the one with the least of that, or the fastest.
# Takes the packages postgresql and pgbouncer, and a `linedancer` in PATH or in
# LINEDANCER (default build/linedancer).  All servers are its own, on unix
# sockets in a temporary directory, and end with it.
set -euo pipefail

seconds=${1:-5} rounds=${2:-3} clients=${3:-8}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
linedancer=${LINEDANCER:-$here/../../../build/linedancer}
[ -x "$linedancer" ] || linedancer=$(command -v linedancer)
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
dir=$(mktemp -d) started=()
export PGUSER=ann PGDATABASE=postgres PGHOST=$dir

stop() {
    local pid
    for pid in "${started[@]}"; do kill -QUIT "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$dir"
}
trap stop EXIT

# The servers refuse to run as root.
as=()
if [ "$(id -u)" -eq 0 ]; then
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    chown postgres: "$dir"
fi

# start NAME COMMAND...: in the background; its process is in PID.
start() {
    local name=$1
    shift
    (cd / && exec "$@") >"$dir/$name.log" 2>&1 &
    pid=$!
    started+=("$pid")
}

# await PORT: until who listens there says that all is well.
await() {
    local i
    for ((i = 0; i < 300; i++)); do
        if "$bin/pg_isready" -q -p "$1"; then return; fi
        sleep 0.1
    done
    cat "$dir"/*.log >&2
    return 1
}

"${as[@]}" "$bin/initdb" -D "$dir/data" -U ann -A trust --no-sync >"$dir/initdb.log"
start postgres "${as[@]}" "$bin/postgres" -D "$dir/data" -k "$dir" -p 5432 \
    -c listen_addresses= -c fsync=off -c max_connections=100
await 5432
"$bin/pgbench" -q -i -s 10 -p 5432 2>"$dir/init.log"

cat >"$dir/gateway.lua" <<END
return { workers = 0, listen = {
  { "unix:$dir/.s.PGSQL.5433", handler = "$here/gate.lua",
    options = { upstream = "unix:$dir/.s.PGSQL.5432", slow = 1000, rate = 1e6, burst = 1e6 } } } }
END
start gateway "$linedancer" run "$dir/gateway.lua"
gateway=$pid
await 5433

cat >"$dir/pgbouncer.ini" <<END
[databases]
postgres = host=$dir port=5432
[pgbouncer]
unix_socket_dir = $dir
listen_port = 5434
auth_type = any
pool_mode = session
max_client_conn = 200
default_pool_size = 100
END
sed -i '/^postgres = /s/$/ user=ann/' "$dir/pgbouncer.ini"
start pgbouncer "${as[@]}" pgbouncer "$dir/pgbouncer.ini"
pgbouncer=$pid
await 5434

# cpu PID: nanoseconds of processor time so far.
cpu() { cut -d ' ' -f 1 "/proc/$1/schedstat"; }

# measure PORT MODE PID: "MICROSECONDS TPS LATENCY" of one run.
measure() {
    local before=0 after=0 out
    if [ "$3" -ne 0 ]; then before=$(cpu "$3"); fi
    out=$("$bin/pgbench" -n -S -M "$2" -c "$clients" -T "$seconds" -p "$1")
    if [ "$3" -ne 0 ]; then after=$(cpu "$3"); fi
    grep -q 'failed transactions: 0 ' <<<"$out" || { echo "$out" >&2; exit 1; }
    awk -v ns=$((after - before)) '
        /actually processed/ { count = $NF + 0 }
        /^latency average/ { latency = $4 }
        /^tps/ { tps = $3 }
        END { printf "%.2f %.0f %.3f\n", ns / count / 1000, tps, latency }
    ' <<<"$out"
}

names=(direct gateway pgbouncer) ports=(5432 5433 5434)
pids=(0 "$gateway" "$pgbouncer")
printf '%-9s %-10s %8s %11s %19s\n' mode through tps latency/ms us-of-cpu/statement
for mode in simple extended prepared; do
    for ((round = 0; round < rounds; round++)); do
        for i in 0 1 2; do
            measure "${ports[i]}" "$mode" "${pids[i]}" >>"$dir/$mode.${names[i]}"
        done
    done
    for name in "${names[@]}"; do
        read -r cost tps latency < <(sort -k1,1n -k2,2nr "$dir/$mode.$name")
        [ "$name" != direct ] || cost=-
        printf '%-9s %-10s %8s %11s %19s\n' "$mode" "$name" "$tps" "$latency" "$cost"
    done
done
