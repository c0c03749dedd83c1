#!/usr/bin/env python3
"""What other boundaries of the tiers cost: `./dev bench --boundaries [--quick] [--size N] [--rounds N]`.

HAKMEM_TINY_MAX_CLASS says where the Tiny tier ends, HAKMEM_SMALLMID_ENABLE whether there is a tier
between Tiny and Mid. For blocks of 128, 256, 512 and 1024 bytes, and one byte less, the
instructions of three workloads (callgrind) under each setting are compared with the default's: hits
(bench_fixed_size), refills and flushes (bench_bulk), and pages that come and go (bench_bulk with
more blocks than a magazine holds). With --rounds, also the time an operation, the median of N
rounds that take turns, with the change's 95 % interval (timed.py); for a quiet machine.

Ends with 1 if a size loses more than 5 %, by instructions or, where asked for, by time.
"""
import argparse
import statistics
import sys

import callgrind
import timed
from callgrind import percent

SIZES = (128, 256, 512, 1024)
MOST = 0.05
SETTINGS = (  # the first is the default
    ("7, on", {"HAKMEM_TINY_MAX_CLASS": "7", "HAKMEM_SMALLMID_ENABLE": "1"}),
    ("7, off", {"HAKMEM_TINY_MAX_CLASS": "7", "HAKMEM_SMALLMID_ENABLE": "0"}),
    ("5, on", {"HAKMEM_TINY_MAX_CLASS": "5", "HAKMEM_SMALLMID_ENABLE": "1"}),
    ("5, off", {"HAKMEM_TINY_MAX_CLASS": "5", "HAKMEM_SMALLMID_ENABLE": "0"}),
)


def workloads_of(size, scale):
    return (("hits", "bench_fixed_size", (str(size), str(40000 * scale), "128")),
            ("refills", "bench_bulk", (str(10 * scale), "300", str(size))),
            ("pages", "bench_bulk", (str(2 * scale), "4000", str(size))))


def row(label, what, values, changes):
    """A line of the table; how much the worst setting loses."""
    print(f"| {label} | {what} | " + " | ".join(changes) + " |", flush=True)
    return max(values) / values[0] - 1


def count(build, sizes, quick):
    sizes = sizes if quick else [size for base in sizes for size in (base - 1, base)]
    scale = 1 if quick else 5
    items = [(size, what, program, arguments) for size in sizes
             for what, program, arguments in workloads_of(size, scale)]

    def count_one(item):
        return [callgrind.run(build, item[2], item[3], **settings)[0][0]
                for _, settings in SETTINGS]

    worst = 0.0
    for item, values in zip(items, callgrind.side_by_side(count_one, items), strict=True):
        changes = [str(values[0]), *(percent(value, values[0]) for value in values[1:])]
        worst = max(worst, row(item[0], item[1], values, changes))
    return worst


def measure(build, sizes, rounds, scale):
    worst = 0.0
    for size in sizes:
        for what, program, arguments in workloads_of(size, scale):
            times = timed.rounds(rounds, [
                lambda settings=settings: timed.ns_per_operation(build, program, arguments,
                                                                 **settings)
                for _, settings in SETTINGS])
            medians = [statistics.median(seen) for seen in times]
            changes = [f"{medians[0]:.2f} ns", *(timed.change(seen, times[0]) for seen in times[1:])]
            worst = max(worst, row(size, what, medians, changes))
    return worst


def head(what):
    print(f"\n{what}; by HAKMEM_TINY_MAX_CLASS, HAKMEM_SMALLMID_ENABLE.\n")
    print("| bytes | workload | " + " | ".join(name for name, _ in SETTINGS) + " |")
    print("|---" * (len(SETTINGS) + 2) + "|")


def main():
    options = argparse.ArgumentParser(prog="boundaries.py",
                                      description="What other boundaries of the tiers cost.")
    options.add_argument("build", help="build directory")
    options.add_argument("--quick", action="store_true", help="shorter runs, these sizes only")
    options.add_argument("--size", type=int, choices=range(2, 1025), metavar="N",
                         help="this size alone, 2 to 1024")
    options.add_argument("--rounds", type=int, default=0, help="also measure time, so often (0)")
    given = options.parse_args()
    build = callgrind.ready(given.build)
    sizes = [given.size] if given.size else SIZES
    try:
        head("Instructions")
        worst = count(build, sizes, given.quick)
        if given.rounds > 0:
            head(f"Time an operation, medians of {given.rounds}, change [95 % interval]")
            worst = max(worst, measure(build, sizes, given.rounds, 5 if given.quick else 100))
    except (OSError, RuntimeError) as error:
        sys.exit(f"boundaries.py: {error}")
    print(f"\nWorst: {worst * 100:+.2f} % (the goal is +{MOST:.0%} at most).")
    sys.exit(1 if worst > MOST else 0)


if __name__ == "__main__":
    main()
