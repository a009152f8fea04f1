"""Runs a row: starts its servers, measures them in interleaved rounds, and
keeps every sample. What fails or is missing stays in the result by name."""

import statistics

from . import measure, servers
from .processes import Failure
from .servers import Missing

IDLE_ROUNDS = 3
TURNS = 3  # of the first and ours within a round


class Result:
    """The samples of one entrant, and their ratios to the row's first: those
    of the first itself show how steady the machine is."""

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


def start(results, progress):
    """Start every entrant; returns servers by result."""
    running = {}
    for result in results:
        try:
            running[result] = servers.start(result.entrant.peer,
                                            result.entrant.mode)
        except (Missing, Failure) as error:
            result.give_up(error, progress)
    return running


def schedule(results):
    """The order within a round: the first and ours in turn, then peers."""
    ours = [r for r in results if r.entrant.peer == "linedancer"]
    peers = [r for r in results[1:] if r not in ours]
    return ([results[0]] + ours) * TURNS + peers


def compare(timeline, first):
    """Each sample's ratio to the mean of the first's samples before and
    after it, so that a drift of the machine cancels out."""
    for at, (result, sample) in enumerate(timeline):
        before = [s["cpu_us"] for r, s in timeline[:at] if r is first][-1:]
        after = [s["cpu_us"] for r, s in timeline[at + 1:] if r is first][:1]
        if before or after:
            result.ratios.append(sample["cpu_us"]
                                 / statistics.mean(before + after))


def rounds_of(results, running, count, sample, progress):
    """COUNT rounds of SAMPLE(server)."""
    timeline = []
    for number in range(1, count + 1):
        for result in schedule(results):
            if result not in running or result.trouble:
                continue
            progress("%s, round %d of %d" % (result.entrant.label, number,
                                             count))
            try:
                got = sample(running[result])
            except Failure as error:
                result.give_up(error, progress)
                continue
            result.samples.append(got)
            timeline.append((result, got))
    compare(timeline, results[0])


def stop(running):
    for server in running.values():
        server.stop()


def throughput(row, entrants, options, progress):
    results = [Result(entrant) for entrant in entrants]
    running = start(results, progress)
    for result, server in list(running.items()):
        try:
            measure.probe(server, row.load)
        except Failure as error:
            result.give_up(error, progress)
    rounds_of(results, running, options.rounds,
              lambda server: measure.throughput(
                  server, row.load, options.seconds, options.warmup),
              progress)
    stop(running)
    return [(None, results)]


def idle(row, entrants, options, progress):
    """A fresh server each time: freed memory would hide the next cost."""
    results = [Result(entrant) for entrant in entrants]
    for number in range(1, min(options.rounds, IDLE_ROUNDS) + 1):
        for result in results:
            if result.trouble:
                continue
            progress("%s, round %d" % (result.entrant.label, number))
            running = start([result], progress)
            try:
                for server in running.values():
                    result.samples.append(measure.idle(server, row.load))
            except Failure as error:
                result.give_up(error, progress)
            stop(running)
    return [(None, results)]


def redis(row, entrants, options, progress):
    servers.need("redis-tools", "redis-benchmark")
    tables = [("%s, -P %d" % step, [Result(entrant) for entrant in entrants])
              for step in row.load]
    first = tables[0][1]
    running = start(first, progress)
    for result in list(running):
        try:
            progress("%s, filling" % result.entrant.label)
            measure.redis_fill(running[result])
        except Failure as error:
            result.give_up(error, progress)
    for (command, depth), (title, results) in zip(row.load, tables):
        for old, new in zip(first, results):
            new.trouble, new.failed = old.trouble, old.failed
        by_result = {new: running[old] for old, new in zip(first, results)
                     if old in running}
        rounds_of(results, by_result, options.rounds,
                  lambda server, c=command, d=depth: measure.redis(
                      server, c, d, options.redis_seconds),
                  lambda text, t=title: progress("%s: %s" % (t, text)))
    stop(running)
    return tables


CONTESTS = {"throughput": throughput, "idle": idle, "redis": redis}
