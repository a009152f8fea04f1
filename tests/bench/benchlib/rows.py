"""What is measured: each row's load, and who takes part in it."""

from collections import namedtuple

from benchlib.measure import REDIS_KEYS

# label in the table, peer as --only knows it, what the peer is started with,
# and for our own the ratio that we hold ourselves to.
Entrant = namedtuple("Entrant", "label peer mode goal", defaults=[None])

Row = namedtuple("Row", "name kind title load entrants goal_unit",
                 defaults=["x raw"])

RAW = Entrant("raw", "raw", "echo")


def echoes(goal, strings_goal=None):
    return [
        RAW,
        Entrant("linedancer", "linedancer", "echo", strings_goal or goal),
        Entrant("linedancer slices", "linedancer", "echo_slices", goal),
        Entrant("haproxy lua", "haproxy", "echo"),
        Entrant("erlang raw", "erlang", "raw"),
        Entrant("luv", "luv", "echo"),
        Entrant("cqueues", "cqueues", "echo"),
        Entrant("node", "node", "echo"),
    ]


ROWS = [
    Row("echo1", "throughput",
        "64-byte echo, one message in flight, 50 connections",
        ["--mode", "echo", "--size", "64", "--depth", "1"], echoes(1.03)),
    Row("framed16", "throughput",
        "u32be-framed, 64-byte bodies, 16 in flight, 50 connections",
        ["--mode", "framed", "--size", "64", "--depth", "16"], [
            RAW,
            Entrant("linedancer slices", "linedancer", "framed_slices", 1.10),
            Entrant("linedancer strings", "linedancer", "framed_strings",
                    1.30),
            Entrant("erlang packet 4", "erlang", "4"),
            Entrant("luv", "luv", "framed"),
            Entrant("cqueues", "cqueues", "framed"),
            Entrant("node", "node", "framed"),
        ]),
    Row("lines16", "throughput",
        "lines of 30 to 40 bytes, 16 in flight, 50 connections",
        ["--mode", "lines", "--size", "35", "--depth", "16"], [
            RAW,
            Entrant("linedancer slices", "linedancer", "lines"),
            Entrant("linedancer strings", "linedancer", "lines_strings"),
            Entrant("haproxy lua", "haproxy", "lines"),
            Entrant("erlang packet line", "erlang", "line"),
            Entrant("cqueues", "cqueues", "lines"),
            Entrant("node", "node", "lines"),
        ]),
    Row("connclose", "throughput",
        "connect, one 64-byte message, its echo, close; 50 at a time",
        ["--mode", "connclose", "--size", "64"], [
            entrant for entrant in echoes(1.10)
            if entrant.label != "linedancer slices"]),
    Row("idle", "idle", "memory of an idle connection, user space",
        ["--mode", "idle"], [
            entrant._replace(goal=1200 if entrant.goal else None)
            for entrant in echoes(1200)
            if entrant.label != "linedancer slices"], "bytes"),
    Row("formats", "formats", "format programs, no sockets", [], []),
    Row("redis", "redis",
        "redis-benchmark, random keys and values, 50 connections",
        [(command, depth, keys) for keys in REDIS_KEYS for depth in (1, 16)
         for command in ("SET", "GET")],
        [
            Entrant("redis-server", "redis", ""),
            Entrant("linedancer resp", "linedancer", "resp", 1.00),
        ], "x redis"),
]

NAMES = [row.name for row in ROWS]
PEERS = sorted({entrant.peer for row in ROWS for entrant in row.entrants})
