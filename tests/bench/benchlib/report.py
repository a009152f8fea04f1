"""Tables for people, and the same as data."""

import os
import platform
import statistics
import sys

# CPU per message and ratio are medians over all samples; "rounds" are the
# lowest and highest median of a round.
COLUMNS = "  %-20s %10s %8s %15s %12s %9s %9s"
IDLE_COLUMNS = "  %-20s %12s %19s %12s"


def median(result, key):
    return statistics.median(sample[key] for sample in result.samples)


def goal(entrant, value, unit):
    if entrant.goal is None:
        return ""
    return "   goal <= %g %s: %s" % (
        entrant.goal, unit, "met" if value <= entrant.goal else "MISSED")


def cpu_line(result, unit):
    entrant = result.entrant
    ratios = [statistics.median(found) for found in result.ratios]
    ratio = statistics.median(sum(result.ratios, [])) if ratios else None
    return COLUMNS % (
        entrant.label, "%.3f" % median(result, "cpu_us"),
        "%.3f" % ratio if ratio else "-",
        "%.2f-%.2f" % (min(ratios), max(ratios)) if ratios else "-",
        "%.0f" % median(result, "rate"), "%.0f" % median(result, "p50_us"),
        "%.0f" % median(result, "p99_us")) + (
            goal(entrant, ratio, unit) if ratio else "")


def idle_line(result, unit):
    private = [sample["private"] for sample in result.samples]
    value = statistics.median(private)
    return IDLE_COLUMNS % (
        result.entrant.label, "%.0f" % value,
        "%.0f-%.0f" % (min(private), max(private)),
        "%.0f" % median(result, "resident")) + goal(result.entrant, value,
                                                    unit)


def table(row, contents):
    """The lines of one table, one per entrant, whatever became of it."""
    title = contents.title
    idle = row.kind == "idle"
    lines = ["%s: %s%s" % (row.name, row.title,
                           title and " -- " + title or "")]
    if idle:
        lines.append(IDLE_COLUMNS % ("", "bytes each", "rounds", "resident"))
    else:
        lines.append(COLUMNS % ("", "CPU us", row.goal_unit, "rounds",
                                "per second", "p50 us", "p99 us"))
    for result in contents.results:
        if result.samples:
            lines.append((idle_line if idle else cpu_line)(result,
                                                           row.goal_unit))
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
