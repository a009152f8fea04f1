"""Runs a row: rounds of short measurements that take turns, so that all see
the same machine, each round with servers started afresh, because one process
differs from the next of the same program by more than one moment from the
next. What fails or is missing stays in the result by name."""

import statistics

from . import measure, servers, tls_servers
from .processes import Failure
from .report import PEER_GOALS, goals
from .servers import Missing

IDLE_ROUNDS = 3

servers.START.update(tls_servers.START)


class Result:
    """The samples of one entrant and, by round, their ratios to those of the
    row's first; the ratios of the first show how steady the machine is."""

    def __init__(self, entrant):
        self.entrant = entrant
        self.samples = []
        self.ratios = []
        self.trouble = None
        self.failed = False

    def give_up(self, error, progress):
        self.trouble = str(error)
        self.failed = (not isinstance(error, Missing)
                       or self.entrant.peer in ("raw", "linedancer"))
        progress("%s: %s" % (self.entrant.label, error))


class Table:
    """One table of a row: its results, how a server is sampled, and which
    number of a sample is its cost."""

    def __init__(self, title, entrants, sample, cost="cpu_us"):
        self.title = title
        self.cost = cost
        self.results = [Result(entrant) for entrant in entrants]
        self.sample = sample


def start(result, prepare, progress):
    """A started and prepared server, or None with the trouble noted."""
    server = None
    try:
        entrant = result.entrant
        server = servers.start(entrant.server or entrant.peer, entrant.mode)
        prepare(server)
        server.process.look_again()
        return server
    except (Missing, Failure) as error:
        result.give_up(error, progress)
        if server:
            server.stop()
        return None


def schedule(results, turns):
    """The first and ours in turn; then the first and each peer, twice. Where
    peers set the goal, all are measured as often as ours."""
    if any(goal in PEER_GOALS for r in results for goal in goals(r.entrant)):
        return results * turns + [results[0]]
    ours = [r for r in results[1:] if r.entrant.peer == "linedancer"]
    peers = [r for r in results[1:] if r not in ours]
    return (([results[0]] + ours) * turns
            + ([results[0]] + peers) * (2 if peers else 0) + [results[0]])


def compare(timeline, first, cost):
    """The ratios of a round: each sample to the mean of the first's before
    and after it, so that a drift of the machine cancels out."""
    ratios = {}
    for at, (result, sample) in enumerate(timeline):
        before = [s[cost] for r, s in timeline[:at] if r is first][-1:]
        after = [s[cost] for r, s in timeline[at + 1:] if r is first][:1]
        if before or after:
            ratios.setdefault(result, []).append(
                sample[cost] / statistics.mean(before + after))
    for result, found in ratios.items():
        result.ratios.append(found)


def play(table, running, turns, progress):
    """One round of a table."""
    timeline = []
    for result in schedule(table.results, turns):
        server = running.get(result.entrant)
        if server is None or result.trouble:
            continue
        try:
            sample = table.sample(server)
        except Failure as error:
            result.give_up(error, progress)
            continue
        result.samples.append(sample)
        timeline.append((result, sample))
    compare(timeline, table.results[0], table.cost)


def spread_trouble(tables):
    """An entrant that could not start takes part in no table."""
    for table in tables[1:]:
        for known, result in zip(tables[0].results, table.results):
            if known.trouble and not result.trouble:
                result.trouble = "left out: see the first table"
                result.failed = known.failed


def compete(tables, prepare, options, turns, progress):
    """All rounds; the tables have the same entrants in the same order."""
    for number in range(1, options.rounds + 1):
        running = {}
        for result in tables[0].results:
            if not result.trouble:
                progress("round %d of %d: starting %s" % (
                    number, options.rounds, result.entrant.label))
                running[result.entrant] = start(result, prepare, progress)
        spread_trouble(tables)
        for table in tables:
            progress("round %d of %d: measuring %s" % (
                number, options.rounds, table.title or "all in turn"))
            play(table, running, turns, progress)
        for server in running.values():
            if server:
                server.stop()
    return tables


def throughput(row, entrants, options, progress):
    def sample(server):
        return measure.throughput(server, row.load, options.seconds, 0.05)

    def warm_up(server):
        measure.throughput(server, row.load, options.warmup, 0)

    return compete([Table(None, entrants, sample)], warm_up, options,
                   options.turns, progress)


def workers(row, entrants, options, progress):
    def sample(server):
        return measure.throughput_of_two(server, row.load, options.seconds,
                                         0.05)

    def warm_up(server):
        measure.throughput_of_two(server, row.load, options.warmup, 0)

    return compete([Table(None, entrants, sample)], warm_up, options,
                   options.turns, progress)


def messages(_row, entrants, options, progress):
    """The servers measure themselves, for a number of round trips that fills
    the time; which kind is the second of their mode."""
    trips = {}

    def prepare(server):
        measure.messages(server, server.mode[1], measure.TRIPS)
        rate = measure.messages(server, server.mode[1], measure.TRIPS)["rate"]
        trips[server] = int(rate * options.seconds) + 1

    def sample(server):
        return measure.messages(server, server.mode[1], trips[server])

    return compete([Table(None, entrants, sample)], prepare, options,
                   options.turns, progress)


def fanout(row, entrants, options, progress):
    """Blobs are too few a second for short samples, and a sample holds whole
    merge windows."""
    def sample(server):
        return measure.fanout(server, row.load, options.fanout_seconds)

    def warm_up(server):
        measure.fanout(server, row.load, options.fanout_seconds)

    return compete([Table(None, entrants, sample, "cpu_s_gb")], warm_up,
                   options, options.fanout_turns, progress)


def rtmp(row, entrants, options, progress):
    """A sample holds whole merge windows, and little more than a GOP."""
    def sample(server):
        return measure.rtmp(server, row.load, options.rtmp_seconds)

    def warm_up(server):
        measure.rtmp(server, row.load, options.warmup)

    cost = "cpu_s_gb" if row.kind == "rtmp" else "cpu_ms_publisher"
    return compete([Table(None, entrants, sample, cost)], warm_up, options,
                   options.fanout_turns, progress)


def tls(row, entrants, options, progress):
    bulk = row.kind == "tlsbulk"
    kind = measure.tls_bulk if bulk else measure.tls
    seconds = options.seconds * (2 if bulk else 1)

    def sample(server):
        return kind(server, row.load, seconds, 0.05)

    def warm_up(server):
        kind(server, row.load, options.warmup, 0)

    cost = "cpu_s_gb" if bulk else "cpu_us"
    return compete([Table(None, entrants, sample, cost)], warm_up, options,
                   options.turns, progress)


def redis(row, entrants, options, progress):
    """As many operations of a kind for each as the first does in the time."""
    servers.need("redis-tools", "redis-benchmark")
    operations = {}

    def sampler(*load):
        def sample(server):
            if load not in operations:
                operations[load] = measure.redis_operations(
                    server, *load, options.redis_seconds)
            return measure.redis(server, *load, operations[load])
        return sample

    tables = [Table("%s, -P %d, %d keys" % load, entrants, sampler(*load))
              for load in row.load]
    return compete(tables, measure.redis_fill, options, 2, progress)


def idle(row, entrants, options, progress):
    """A fresh server each time: freed memory would hide the next cost."""
    load, probe = (("tls_load", measure.tls_probe) if row.kind == "tlsidle"
                   else ("load", measure.probe))
    table = Table(None, entrants, lambda s: measure.idle(s, row.load, load))
    for number in range(1, min(options.rounds, IDLE_ROUNDS) + 1):
        for result in table.results:
            if result.trouble:
                continue
            progress("round %d: %s" % (number, result.entrant.label))
            server = start(result, probe, progress)
            try:
                if server:
                    result.samples.append(table.sample(server))
            except Failure as error:
                result.give_up(error, progress)
            if server:
                server.stop()
    return [table]


CONTESTS = {"throughput": throughput, "idle": idle, "redis": redis,
            "workers": workers, "messages": messages, "fanout": fanout,
            "rtmp": rtmp, "rtmpin": rtmp, "tls": tls, "tlsbulk": tls,
            "tlsidle": idle}
