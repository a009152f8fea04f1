"""What is measured: each row's load, and who takes part in it."""

from collections import namedtuple

from benchlib.measure import REDIS_KEYS
from benchlib.report import BEST_PEER, NEAR_BEST_PEER
from benchlib.tls_servers import BULK

# label in the table, peer as --only knows it, what the peer is started with,
# for our own what we hold ourselves to, or several such goals, and who of
# servers.START starts it, if not the peer's first.
Entrant = namedtuple("Entrant", "label peer mode goal server",
                     defaults=[None, None])

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


def workers(handler):
    return [Entrant("%d worker%s" % (n, "s" * (n > 1)), "linedancer",
                    (handler, n), None, "linedancer workers")
            for n in (1, 2)]


def watched(handler):
    return [RAW,
            Entrant("watched", "linedancer", handler),
            Entrant("not watched", "linedancer", handler, None,
                    "linedancer unwatched")]


def told(handler):
    return [RAW,
            Entrant("with a header", "linedancer", handler, None,
                    "linedancer proxied"),
            Entrant("without", "linedancer", handler)]


def messages(where):
    """Erlang's call is gen_server's, with monitor and timeout, as ours is."""
    return [Entrant("%s %s" % (peer, style), peer, (where, style), None,
                    peer + " messages")
            for peer, style in (("erlang", "send"), ("linedancer", "send"),
                                ("linedancer", "call"), ("erlang", "call"))]


def fanouts(goal):
    return [Entrant("raw send()", "raw", "", None, "raw fanout"),
            Entrant("linedancer", "linedancer", "fanout", goal)]


def rtmps(merge, goal):
    """nginx has no window: it takes part where there is none."""
    found = [Entrant("raw send()", "raw", str(merge), None, "raw rtmp"),
             Entrant("linedancer", "linedancer", str(merge), goal,
                     "linedancer rtmp"),
             Entrant("nginx-rtmp", "nginx", "", None, "nginx rtmp")]
    return found if merge == 0 else found[:2]


PROXIES = [
    Entrant("raw read and send", "raw", "", None, "raw proxy"),
    Entrant("linedancer", "linedancer", "", BEST_PEER, "linedancer proxy"),
    Entrant("nginx stream", "nginx", "", None, "nginx proxy"),
    Entrant("haproxy", "haproxy", "", None, "haproxy proxy"),
]


def over_tls(mode, goal=NEAR_BEST_PEER):
    """nginx is what ratios are against: no raw loop is there for TLS."""
    found = [Entrant("nginx stream", "nginx", mode, None, "nginx tls"),
             Entrant("linedancer", "linedancer", mode, goal, "linedancer tls"),
             Entrant("haproxy", "haproxy", mode, None, "haproxy tls")]
    if mode != "answer":
        found.insert(2, Entrant("no backend", "linedancer", "own " + mode,
                                None, "linedancer tls"))
    return found


def handshakes(name, title, *load):
    """nginx 1.22 and HAProxy send two tickets after a full handshake of TLS
    1.3, and we one: as each does by itself. nginx waits for the client's
    close_notify, which costs it a turn of its loop, and HAProxy sends none."""
    return Row(name, "tls", title + ", 50 at a time",
               ["--mode", "handshake", *load], over_tls("answer"), "x nginx")


# Rows may share a name: they are asked for together.
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
            Entrant("linedancer in C", "linedancer", "", None,
                    "linedancer native"),
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
    Row("workers", "workers",
        "two workers beside one: 64-byte echo, one in flight, 50 connections "
        "of two loads, which share a core with a worker unless there are four",
        ["--mode", "echo", "--size", "64", "--depth", "1"],
        workers("echo_slices"), "x one"),
    Row("workers", "workers",
        "two workers beside one: u32be-framed, 64-byte bodies, 16 in flight",
        ["--mode", "framed", "--size", "64", "--depth", "16"],
        workers("framed_slices"), "x one"),
    Row("watchdog", "throughput",
        "with a watchdog and without: 64-byte echo, one in flight",
        ["--mode", "echo", "--size", "64", "--depth", "1"],
        watched("echo_slices")),
    Row("watchdog", "throughput",
        "with a watchdog and without: u32be-framed, 64-byte bodies, 16 in "
        "flight", ["--mode", "framed", "--size", "64", "--depth", "16"],
        watched("framed_slices")),
    Row("proxyhead", "throughput",
        "a header of the PROXY protocol and none: connect, one message, close",
        ["--mode", "connclose", "--size", "64"], told("echo_slices")),
    Row("messages", "messages",
        "round trip between two coroutines of a worker, two processes of a "
        "scheduler (+S 1)", None, messages("within"), "x erlang"),
    Row("messages", "messages",
        "round trip between coroutines of two workers; Erlang: between "
        "processes pinned to two schedulers of one node (+S 2)", None,
        messages("across"), "x erlang"),
    Row("fanout", "fanout",
        "300 followers, 7 KB blobs at 74/s, each sent at once",
        ["--followers", "300", "--rate", "74"], fanouts(1.10)),
    Row("fanout", "fanout",
        "300 followers, 7 KB blobs at 74/s, merged over 350 ms",
        ["--followers", "300", "--rate", "74", "--merge", "350"],
        fanouts(1.30)),
    Row("fanout", "fanout",
        "4000 followers, 7 KB blobs at 15/s, as a core cannot send 74, each "
        "at once", ["--followers", "4000", "--rate", "15"], fanouts(1.10)),
    Row("fanout", "fanout",
        "4000 followers, 7 KB blobs at 74/s, merged over 350 ms",
        ["--followers", "4000", "--rate", "74", "--merge", "350"],
        fanouts(1.30)),
    Row("rtmp", "rtmp",
        "RTMP, 1 publisher at 4.5 Mbit/s, 300 viewers, each message at once",
        ["--viewers", "300"], rtmps(0, (0.95, BEST_PEER)), "CPU s/GB"),
    Row("rtmp", "rtmp",
        "RTMP, 1 publisher at 4.5 Mbit/s, 300 viewers, merged over 350 ms",
        ["--viewers", "300"], rtmps(350, 0.20), "CPU s/GB"),
    Row("rtmpin", "rtmpin",
        "RTMP, 100 publishers at 2 Mbit/s that nobody views: CPU milliseconds "
        "per publisher and second",
        ["--viewers", "0", "--publishers", "100", "--rate", "2"],
        rtmps(0, BEST_PEER)),
    Row("rtmpchunks", "chunks", "RTMP's chunk reader, no sockets", [], []),
    Row("proxy", "throughput",
        "TCP proxy before the raw echo: 64 bytes, one in flight, 50 "
        "connections, CPU of the proxy alone",
        ["--mode", "echo", "--size", "64", "--depth", "1"], PROXIES),
    Row("proxy", "throughput",
        "TCP proxy before the raw echo: 16 KB, one in flight, 50 connections, "
        "CPU of the proxy alone",
        ["--mode", "echo", "--size", "16384", "--depth", "1"], PROXIES),
    handshakes("tlsfull", "connect, full handshake of TLS 1.3, one byte, "
               "close", "--tls", "1.3"),
    handshakes("tls12full", "connect, full handshake of TLS 1.2, one byte, "
               "close", "--tls", "1.2"),
    handshakes("tlsresumed", "the same, TLS 1.3 resumed by a ticket",
               "--tls", "1.3", "--resume"),
    handshakes("tlsresumed", "the same, TLS 1.2 resumed by a ticket",
               "--tls", "1.2", "--resume"),
    Row("tlsbulk", "tlsbulk",
        "TLS 1.3 before a raw source: 66 MB a connection, 4 at a time, CPU of "
        "the proxy alone; MB per second of CPU",
        ["--mode", "bulk", "--size", str(BULK), "--connections", "4"],
        over_tls("bulk"), "x nginx"),
    Row("tlsecho", "tls",
        "TLS 1.3 before the raw echo: 64 bytes, one in flight, 200 "
        "connections, CPU of the proxy alone",
        ["--mode", "echo", "--size", "64", "--connections", "200"],
        over_tls("echo"), "x nginx"),
    Row("tlsidle", "tlsidle",
        "memory of an idle connection over TLS 1.3, proxied to the raw echo, "
        "user space", ["--mode", "idle"], over_tls("echo", None), "bytes"),
]

NAMES = list(dict.fromkeys(row.name for row in ROWS))
PEERS = sorted({entrant.peer for row in ROWS for entrant in row.entrants})
