"""Processes beside each other: run, timed, interleaved, and laid out as one table."""
import json, os, statistics, subprocess, sys, time


class Sample:
    """One run of one process; times in nanoseconds."""

    def __init__(self, wall, cpu, rss, line):
        self.wall, self.cpu, self.rss, self.line = wall, cpu, rss, line
        self.ns = line.get("ns", wall)
        self.items = line.get("items", line.get("trades", 0))


class Contestant:
    """A name, the command, and what of it is measured: wall, cpu or ns (what the process itself says)."""

    def __init__(self, name, argv, metric="wall", scale=1, before=None):
        self.name, self.argv, self.metric, self.scale, self.before = name, argv, metric, scale, before
        self.samples = []

    def run(self, folder):
        if self.before:
            self.before()
        self.samples.append(once(self.argv, folder))

    def values(self):
        return [getattr(sample, self.metric) * self.scale for sample in self.samples]

    def last(self):
        return self.samples[-1]


def once(argv, folder):
    """Runs a command; its last line of output may be an object that says more."""
    start = time.perf_counter_ns()
    child = subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter_ns() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit("%s ended with %d:\n%s" % (" ".join(argv), child.returncode, err.decode()))
    last = out.decode().strip().rpartition("\n")[2]
    line = json.loads(last) if last.startswith("{") else {}
    cpu = int((usage.ru_utime + usage.ru_stime) * 1e9)
    return Sample(wall, cpu, usage.ru_maxrss * 1024, line)


def interleave(contestants, folder, rounds, seconds_max):
    """Runs all of them once per round, in turn, each round with another one first; one round is never cut."""
    end = time.monotonic() + seconds_max
    for number in range(rounds):
        if number > 0 and time.monotonic() > end:
            return
        for place in range(len(contestants)):
            contestants[(number + place) % len(contestants)].run(folder)


def spread(values, form):
    return "%s (%s-%s)" % (form(statistics.median(values)), form(min(values)), form(max(values)))


def ratio(ours, baseline):
    """The ratio of the medians, and the least and greatest ratio of one round."""
    pairs = [theirs / mine for mine, theirs in zip(ours.values(), baseline.values())]
    middle = statistics.median(baseline.values()) / statistics.median(ours.values())
    return middle, "%s (%s-%s)" % tuple(times(one) for one in (middle, min(pairs), max(pairs)))


def times(value):
    return "%.2fx" % value if value < 10 else "%.0fx" % value


def milliseconds(ns):
    return "%.3g s" % (ns / 1e9) if ns >= 1e9 else "%.3g ms" % (ns / 1e6)


def print_table(head, rows):
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    line = lambda cells: "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"
    print(line(head))
    print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        print(line(row))
