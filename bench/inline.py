#!/usr/bin/env python3
"""What malloc and free in line save: `./dev bench --inline [--rounds N] [--quick]`.

Runs bench_inline, its loops by a call (hak_malloc, hak_free), in line (hakmem_inline.h), and in
line with the size told to free, for blocks of 16, 32 and 64 bytes. Prints the instructions an
operation, the loop's included (callgrind; start and end are taken off), and the time an operation,
the median of N rounds (11) that take turns, with the change against the call and its 95 % interval.
Half a minute; --quick: a few seconds, which shows that all of it works.
"""
import argparse
import statistics
import sys

import callgrind
import timed

SIZES = (16, 32, 64)
FORMS = ("call", "inline", "sized")
SLOTS = "128"


def instructions(build, form, size, operations):
    """An operation's; what comes before and after them is in both runs."""
    short, long = (callgrind.run(build, "bench_inline", [form, str(size), str(count), SLOTS])[0][0]
                   for count in (operations, 3 * operations))
    return (long - short) / (2 * operations)


def row(build, size, rounds, scale):
    counts = [instructions(build, form, size, 10000 * scale) for form in FORMS]
    print(f"| {size} | instructions | {counts[0]:.2f} | " +
          " | ".join(f"{count:.2f}, {callgrind.percent(count, counts[0])}" for count in counts[1:]) +
          " |", flush=True)
    times = timed.rounds(rounds, [
        lambda form=form: timed.ns_per_operation(
            build, "bench_inline", [form, str(size), str(1000000 * scale), SLOTS])
        for form in FORMS])
    medians = [f"{statistics.median(seen):.2f} ns" for seen in times]
    print(f"| {size} | time | {medians[0]} | " +
          " | ".join(f"{median}, {timed.change(seen, times[0])}"
                     for median, seen in zip(medians[1:], times[1:], strict=True)) + " |", flush=True)


def main():
    options = argparse.ArgumentParser(prog="inline.py",
                                      description="What malloc and free in line save.")
    options.add_argument("build", help="build directory")
    options.add_argument("--rounds", type=int, default=11, help="of times (11)")
    options.add_argument("--quick", action="store_true", help="shorter runs")
    given = options.parse_args()
    if not 1 <= given.rounds <= 1000:
        options.error("--rounds is 1 to 1000")
    build = callgrind.ready(given.build, "bench_inline")
    print(f"\nAn operation of bench_inline, its loop included; times: medians of {given.rounds}, change "
          "against the call\n[95 % interval].\n")
    print("| bytes | | " + " | ".join(FORMS) + " |\n|---|---|---|---|---|")
    try:
        for size in SIZES:
            row(build, size, given.rounds, 1 if given.quick else 10)
    except (OSError, RuntimeError) as error:
        sys.exit(f"inline.py: {error}")


if __name__ == "__main__":
    main()
