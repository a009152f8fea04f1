"""Tables for people, and the same as data."""

import os
import platform
import statistics
import sys

# Cost and ratio are medians over all samples; "rounds" are the
# lowest and highest median of a round.
BEST_PEER = "the best peer"  # as a goal: cost no more than it
NEAR_BEST_PEER = "1.05 of the best peer"
PEER_GOALS = {BEST_PEER: 1.0, NEAR_BEST_PEER: 1.05}

COLUMNS = "  %-20s %10s %8s %15s %12s %9s %9s"
HEADS = {"messages": ("CPU us", "trips/s"),
         "fanout": ("CPU s/GB", "blobs/s"),
         "rtmp": ("CPU s/GB", "messages/s"),
         "rtmpin": ("CPU ms each", "messages/s"),
         "tlsbulk": ("CPU s/GB", "MB/CPU s")}
IDLE_COLUMNS = "  %-20s %12s %19s %12s"


def median(result, key):
    return statistics.median(sample[key] for sample in result.samples)


def goals(entrant):
    """What it is held to: numbers, or some of PEER_GOALS."""
    if isinstance(entrant.goal, tuple):
        return entrant.goal
    return () if entrant.goal is None else (entrant.goal,)


def goal(most, value, unit):
    if most is None:
        return ""
    return "   goal <= %.4g %s: %s" % (
        most, unit, "met" if value <= most else "MISSED")


def ratio_of(result):
    ratios = sum(result.ratios, [])
    return statistics.median(ratios) if ratios else None


def best_peer(results):
    """The lowest ratio that is neither a yardstick's nor ours, if any."""
    return min((ratio_of(result) for result in results
                if result.ratios and result.entrant.peer
                not in ("raw", "linedancer")), default=None)


def latency(result, key):
    return "%.0f" % median(result, key) if key in result.samples[0] else "-"


def goals_met(result, contents, unit):
    """Goals are ratios, but for numbers where the unit is one of CPU."""
    text, ratio = "", ratio_of(result)
    for most in goals(result.entrant) if ratio else ():
        if most in PEER_GOALS:
            best = best_peer(contents.results)
            text += goal(best and best * PEER_GOALS[most], ratio,
                         "x raw" if unit.startswith("CPU") else unit)
        elif unit.startswith("CPU"):
            text += goal(most, median(result, contents.cost), unit)
        else:
            text += goal(most, ratio, unit)
    return text


def cpu_line(result, contents, unit):
    rounds = [statistics.median(found) for found in result.ratios]
    ratio = ratio_of(result)
    return COLUMNS % (
        result.entrant.label, "%.3f" % median(result, contents.cost),
        "%.3f" % ratio if ratio else "-",
        "%.2f-%.2f" % (min(rounds), max(rounds)) if rounds else "-",
        "%.0f" % median(result, "rate"), latency(result, "p50_us"),
        latency(result, "p99_us")) + goals_met(result, contents, unit)


def idle_line(result, unit):
    private = [sample["private"] for sample in result.samples]
    value = statistics.median(private)
    return IDLE_COLUMNS % (
        result.entrant.label, "%.0f" % value,
        "%.0f-%.0f" % (min(private), max(private)),
        "%.0f" % median(result, "resident")) + goal(result.entrant.goal,
                                                    value, unit)


def table(row, contents):
    """The lines of one table, one per entrant, whatever became of it."""
    title = contents.title
    idle = row.kind in ("idle", "tlsidle")
    lines = ["%s: %s%s" % (row.name, row.title,
                           title and " -- " + title or "")]
    if idle:
        lines.append(IDLE_COLUMNS % ("", "bytes each", "rounds", "resident"))
    else:
        cost, rate = HEADS.get(row.kind, ("CPU us", "per second"))
        ratio = "x raw" if row.goal_unit.startswith("CPU") else row.goal_unit
        lines.append(COLUMNS % ("", cost, ratio, "rounds", rate, "p50 us",
                                "p99 us"))
    for result in contents.results:
        if result.samples:
            lines.append(idle_line(result, row.goal_unit) if idle else
                         cpu_line(result, contents, row.goal_unit))
        if result.trouble:
            lines.append("  %-20s %s" % (
                result.entrant.label,
                result.trouble.strip().replace("\n", "\n      ")))
    return "\n".join(lines)


def data(results):
    return [{"label": r.entrant.label, "peer": r.entrant.peer,
             "goal": r.entrant.goal, "samples": r.samples,
             "ratios": r.ratios, "trouble": r.trouble} for r in results]


def machine():
    model = "unknown"
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


def progress(row):
    """Says on stderr where the run is."""
    def say(text):
        print("bench: %s: %s" % (row, text), file=sys.stderr, flush=True)
    return say
