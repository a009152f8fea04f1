"""One measurement of one server: by our load, of its memory, or by
redis-benchmark. Each returns a dict of numbers, or raises Failure."""

import csv
import json
import socket
import subprocess
import time

from . import processes, servers
from .processes import LOAD_CORE, Failure, Process

IDLE_CONNECTIONS = 5000
IDLE_OVER_TLS = 1500  # handshakes take their time
PATIENCE = 60.0
TRIPS = 20000  # round trips of messages before any are measured
SETTLE_TIMEOUT = 3.0
REDIS_KEYS = (1000, 100000)  # in the cache, and not
REDIS_VALUE = "v:__rand_int__:" + "x" * 25  # __rand_int__ becomes 12 digits


def run_against(server, command):
    """Run a client; if it fails, say what the server said as well."""
    try:
        return processes.run(command)
    except Failure as error:
        server.process.check()
        raise Failure("%s\nserver: %s" % (
            error, server.process.tail(2))) from error


def client(name, server):
    """The command of a load generator that watches the server's CPU time."""
    return [servers.program(name), "--port", str(server.port), "--pid",
            ",".join(map(str, server.process.pids())), *server.load]


def load(server, arguments, *more):
    """Run the load generator against a server."""
    return json.loads(run_against(
        server, client("load", server) + arguments + list(more)))


def probe(server):
    """See that a server echoes, and let it do its first-time work."""
    load(server, ["--mode", "echo"], "--connections", "1", "--seconds",
         "0.05", "--warmup", "0")


def throughput(server, arguments, seconds, warmup):
    return load(server, arguments, "--connections", "50", "--seconds",
                str(seconds), "--warmup", str(warmup))


def throughput_of_two(server, arguments, seconds, warmup):
    """The same connections from two processes, as one load may be slower
    than two workers. Both see the CPU time of the whole server."""
    command = client("load", server) + arguments + [
        "--connections", "25", "--seconds", str(seconds), "--warmup",
        str(warmup)]
    loads = []
    try:
        for core in processes.pairs()[1]:
            loads.append(Process(command, cores=[core]))
        found = [json.loads(process.finish()) for process in loads]
    finally:
        for process in loads:
            process.stop()
    return {"rate": sum(one["rate"] for one in found),
            "cpu_us": 1 / sum(1 / one["cpu_us"] for one in found),
            "p50_us": max(one["p50_us"] for one in found),
            "p99_us": max(one["p99_us"] for one in found)}


def messages(server, style, trips):
    """The server makes so many round trips and says how long they took."""
    pids = server.process.pids()
    try:
        with socket.create_connection(("127.0.0.1", server.port),
                                      PATIENCE) as sock:
            before = processes.cpu_seconds(pids)
            sock.sendall(b"%s %d\n" % (style.encode(), trips))
            with sock.makefile() as answers:
                said = answers.readline()
            cpu = processes.cpu_seconds(pids) - before
    except OSError as error:
        server.process.check()
        raise Failure("messages: %s" % error) from error
    try:
        seconds = float(said)
    except ValueError as error:
        raise Failure("not seconds: %r\n%s" % (
            said, server.process.tail(2))) from error
    return {"cpu_us": cpu * 1e6 / trips, "rate": trips / seconds}


def fanout(server, arguments, seconds):
    return json.loads(run_against(
        server, client("fanout_load", server) + arguments + [
            "--seconds", str(seconds), "--warmup", "0.35"]))


def rtmp(server, arguments, seconds):
    """Takes what it needs before, each time: viewers wait for a key frame."""
    return json.loads(run_against(
        server, client("rtmp_load", server) + arguments + [
            "--seconds", str(seconds)]))


def tls(server, arguments, seconds, warmup):
    return json.loads(run_against(
        server, client("tls_load", server) + arguments + [
            "--seconds", str(seconds), "--warmup", str(warmup)]))


def tls_bulk(server, arguments, seconds, warmup):
    """Counts bytes, as a download outlasts a sample."""
    found = tls(server, arguments, seconds, warmup)
    return {"cpu_s_gb": found["cpu_s_gb"], "rate": 1e3 / found["cpu_s_gb"]}


def tls_probe(server):
    """As probe()."""
    tls(server, ["--mode", "echo", "--connections", "1"], 0.05, 0)


def settled_memory(server):
    """Memory once two looks in a row agree, or when patience ends."""
    pids = server.process.pids()
    end = time.monotonic() + SETTLE_TIMEOUT
    last, now = None, processes.memory(pids)
    while now != last and time.monotonic() < end:
        time.sleep(0.2)
        last, now = now, processes.memory(pids)
    return now


def idle(server, arguments, load_name="load"):
    """Bytes per connection that has echoed one message and gone quiet."""
    count = IDLE_CONNECTIONS if load_name == "load" else IDLE_OVER_TLS
    before = settled_memory(server)
    command = [servers.program(load_name), "--port", str(server.port),
               "--connections", str(count)] + arguments
    holder = Process(command, cores=[LOAD_CORE], stdin=subprocess.PIPE)
    try:
        holder.wait_for("^ready$")
        after = settled_memory(server)
        holder.check()
        holder.popen.stdin.close()
        if holder.popen.wait(PATIENCE) != 0:
            holder.fail("failed")
    finally:
        holder.stop()
    return {"private": (after[0] - before[0]) / count,
            "resident": (after[1] - before[1]) / count}


def redis_benchmark(server, command, depth, operations, keys):
    key = ["key:__rand_int__"]
    arguments = key + [REDIS_VALUE] if command == "SET" else key
    printed = run_against(server, [
        "redis-benchmark", "-p", str(server.port), "-c", "50",
        "-r", str(keys), "-P", str(depth), "-n", str(operations),
        "--csv", command] + arguments)
    lines = list(csv.DictReader(printed.strip().splitlines()))
    if not lines:
        raise Failure("redis-benchmark printed no result: " + printed)
    return lines[-1]


def redis_fill(server):
    """Give a server most of the keys that are asked for later."""
    redis_benchmark(server, "SET", 16, 3 * max(REDIS_KEYS), max(REDIS_KEYS))


def redis_operations(server, command, depth, keys, seconds):
    """How many operations fill the time, going by a short run."""
    result = redis_benchmark(server, command, depth, 50000, keys)
    return max(50000, int(float(result["rps"]) * seconds))


def redis(server, command, depth, keys, operations):
    pids = server.process.pids()
    before = processes.cpu_seconds(pids)
    result = redis_benchmark(server, command, depth, operations, keys)
    cpu = processes.cpu_seconds(pids) - before
    return {"cpu_us": cpu * 1e6 / operations, "rate": float(result["rps"]),
            "p50_us": float(result["p50_latency_ms"]) * 1e3,
            "p99_us": float(result["p99_latency_ms"]) * 1e3}
