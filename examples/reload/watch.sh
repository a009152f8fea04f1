#!/usr/bin/env bash
# A client sees the code change under it:  examples/reload/watch.sh
# BUILD names the build directory, by default build.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${BUILD:-build}/linedancer
directory=$(mktemp -d)
handler=$directory/counter.lua

cat > "$directory/gateway.lua" <<'END'
return {
  workers = 2, control = "control.sock",
  listen = { { "unix:counter.sock", handler = "./counter.lua" } },
}
END
cp examples/reload/v1.lua "$handler"

"$program" run "$directory/gateway.lua" 2> "$directory/log" &
gateway=$!
trap 'kill -QUIT $gateway; wait $gateway || true; rm -r "$directory"' EXIT
for _ in $(seq 100); do
    "$program" status --control "$directory/control.sock" > /dev/null 2>&1 && break
    kill -0 "$gateway" || exit 1
    sleep 0.05
done

# A client through two pipes, so that each line is sent when we say so.
mkfifo "$directory/in" "$directory/out"
nc -U "$directory/counter.sock" < "$directory/in" > "$directory/out" &
exec 3> "$directory/in" 4< "$directory/out"

answer() {
    read -r -t 10 line <&4
    printf '%-28s -> %s\n' "$1" "$line"
}

printf 'hello world\n' >&3
answer 'hello world'
printf 'half a ' >&3
cp examples/reload/v2.lua "$handler"
"$program" reload --control "$directory/control.sock"
printf 'line\n' >&3
answer 'half a | reload | line'
printf 'hello again\n' >&3
answer 'hello again'
exec 3>&-
