#!/usr/bin/env python3
"""Judges the learner: `./dev bench --learner [--rounds N] [--times N] [--quick]`.

Counts instructions (callgrind; the clock of the purge stands still, so counts repeat) of the
workloads of bench_learner under static policies, one class of sizes changed at a time, and finds
the best; then under the learner. Prints three tables: the learner against the best static policy
and the default; the learner's routes against an oracle's; and other benches with the learner on and
observing against it off. The oracle's route of a class is the one that holds least memory among
those that cost at most 1 % more instructions than the best one, and ULTRA unless another saves 1 %.

--rounds N is how often a workload goes through its phases before the learner is judged, and as
often while it is (4). --times N also measures the time an operation, the median of N rounds that
take turns: of the workloads, which go through their phases 200 times, all of it counted, and of the
other benches (timed.py; for a quiet machine, a quarter of an hour for 61). --quick sweeps over less,
and takes 2 rounds and a few benches: it shows that all of it works. Some minutes on two CPUs,
--quick one.
Ends with 0 whatever the figures are, with 1 if something could not be run.
"""
import argparse
import re
import statistics
import sys
import time

import callgrind
import timed
from callgrind import percent

ROUTES = ("ULTRA", "MID", "LARGE")
PROFILES = ("low-memory", "throughput", "huge-server")
SWEEP_ROUNDS = 2
CAPACITIES = (15, 63, 255, 1023)
LARGE_ABOVE = 4096
TIME_SHARE = 0.01  # instructions that an oracle gives for memory
SAVING_SHARE = 0.01  # memory that is worth another route

# The sizes of each workload as bench_learner has them; a range is one unit of the sweep.
WORKLOADS = {
    "bursts": ("1000", "60", "3900", "12000", "500"),
    "server": ("16..500", "9000", "23000", "37000", "51000"),
    "sparse": ("16..300", "14000", "25000", "36000", "47000"),
    "shift": ("16..200", "9000", "30000"),
    "lumps": ("16..200", "18000", "26000", "34000", "42000", "50000"),
    "steady": ("16..1000",),
}
# Benches whose work does not depend on time, short.
BENCHES = (
    "fixed_size 256 300000 128", "random_mixed 300000 400 42", "bulk 100 1000 64",
    "bulk 100 1000 1024", "bulk 40 300 20000", "burst 10 20000 0 42", "c6_heavy 300000 400 42",
    "powers 200000 20000 42", "realloc 1000 42", "large 2000 20 42", "app 300000 4000 42",
    "mid_large_mt 2 10000 512 42", "pool_tls 2 20000 256 42", "remote 50 2 100000 2000 42",
)
TIMED_ROUNDS = 200  # of the phases, in a run that is timed
# How much longer, for times, are those that do not heed BENCH_SECONDS: their first argument.
LONGER = {"bulk": 30, "burst": 5}
# Benches that end by the clock; only their time can be compared.
TIMED_BENCHES = ("larson 0.3 8 1000 5000 100 4141 2", "xthread 1 1 0.3 16 1024", "churn 2 2000 0.3 42")


class Runner:
    def __init__(self, build, rounds, capacities):
        self.build = callgrind.ready(build)
        self.rounds = rounds
        self.capacities = capacities
        self.seen = {}  # (workload, rounds, policy): what it came to
        self.best = {}  # workload: the best static policy

    def prepare(self, name, policies, rounds=SWEEP_ROUNDS):
        """One process runs the workload under all of them: it starts, and is translated, once."""
        policies = [p for p in dict.fromkeys(policies) if (name, rounds, p) not in self.seen]
        if not policies:
            return
        totals, said = callgrind.run(self.build, "bench_learner",
                                     [name, str(rounds), "42", *policies], HAKMEM_LEARNER="off")
        held = re.findall(r"held_bytes (\d+)", said)
        for policy, total, bytes_held in zip(policies, totals, held, strict=False):
            self.seen[name, rounds, policy] = (total, float(bytes_held))

    def static(self, name, policy="", rounds=SWEEP_ROUNDS):
        """Instructions and the mean of the bytes held."""
        self.prepare(name, [policy], rounds)
        return self.seen[name, rounds, policy]

    def learned(self, name, rounds):
        """The same with the learner on, and the policy at the end."""
        key = (name, rounds, "learner")
        if key not in self.seen:
            totals, said = callgrind.run(self.build, "bench_learner", [name, str(rounds), "42"],
                                         HAKMEM_LEARNER="on")
            held = float(re.search(r"held_bytes (\d+)", said)[1])
            self.seen[key] = (totals[0], held, said)
        return self.seen[key]

    def policies_of(self, sizes):
        """Those of the sweep; a magazine holds 1 MiB at most."""
        most = min(1023, (1 << 20) // (largest(sizes) * 5 // 4))
        return [f"class {sizes} capacity {c}" for c in self.capacities if c <= most] + \
               [f"class {sizes} route {route}" for route in routes_of(sizes)[1:]]


def largest(sizes):
    return int(sizes.split("..")[-1])


def sweep(runner, name):
    """The best static policy found: the best of each class by itself, put together."""
    units = WORKLOADS[name]
    runner.prepare(name, ["", *PROFILES, *(p for u in units for p in runner.policies_of(u))])
    chosen = [min(["", *runner.policies_of(sizes)], key=lambda p: runner.static(name, p)[0])
              for sizes in units]
    return min(["", *PROFILES, "; ".join(filter(None, chosen))],
               key=lambda p: runner.static(name, p)[0])


def routes_of(sizes):
    return ROUTES if largest(sizes) > LARGE_ABOVE else ROUTES[:2]


def oracle(runner, name, sizes):
    runs = {route: runner.static(name, "" if route == "ULTRA" else f"class {sizes} route {route}")
            for route in routes_of(sizes)}
    least = min(count for count, _ in runs.values())
    cheap = {r: held for r, (count, held) in runs.items() if count <= least * (1 + TIME_SHARE)}
    route = min(cheap, key=lambda r: (cheap[r], ROUTES.index(r)))
    if "ULTRA" in cheap and cheap[route] > cheap["ULTRA"] * (1 - SAVING_SHARE):
        return "ULTRA"
    return route


def learned_routes(said):
    """The route of each slot size that is not ULTRA, of a policy as hak_policy_get() writes it."""
    spans = re.findall(r"class (\d+)\.\.(\d+) route (\w+) ", said)
    return [(int(low), int(high), route) for low, high, route in spans]


def slots_of(sizes):
    """The slot sizes that serve them: steps of 16 to 1024, then as front/classes.c cuts them."""
    low, high = int(sizes.split("..")[0]), largest(sizes)
    slots = list(range(16, 1025, 16))
    slots += [1024 * 2**k + (1024 * 2**k // 8) * i for k in range(2) for i in range(1, 9)]
    slots += [4096 * 2**k + (4096 * 2**k // 4) * i for k in range(4) for i in range(1, 5)]
    first = next(i for i, slot in enumerate(slots) if slot >= low)
    last = next(i for i, slot in enumerate(slots) if slot >= high)
    return slots[first:last + 1]


def row_of_workload(runner, name):
    policy = runner.best[name] = sweep(runner, name)
    short, long = runner.rounds, 2 * runner.rounds
    runs = {}
    for rounds in (short, long):
        runner.prepare(name, ["", policy], rounds)
        runs[rounds] = [runner.static(name, "", rounds), runner.static(name, policy, rounds),
                        runner.learned(name, rounds)]
    late = [two[0] - one[0] for two, one in zip(runs[long], runs[short], strict=True)]
    every = [run[0] for run in runs[long]]
    held = ", ".join(f"{run[1] / 1e6:.2f}" for run in runs[long])
    return (f"| {name} | {late[0]} | {late[1]} | {late[2]} | {percent(late[2], late[1])} | "
            f"{percent(late[2], late[0])} | {percent(every[2], every[1])} | "
            f"{percent(every[2], every[0])} | {held} | {policy or 'balanced'} |")


def table_workloads(runner):
    print(f"\nInstructions of the workloads: of rounds {runner.rounds + 1} to "
          f"{2 * runner.rounds}, when the learner has seen each phase,\nand of all. The goal is "
          "+2 % over the best static policy at most.\n")
    print("| workload | default | best static | learner | over best | over default | "
          "all: over best | over default | held: default, best, learner (MB) | best static policy |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in callgrind.side_by_side(lambda name: row_of_workload(runner, name), WORKLOADS):
        print(row, flush=True)


def row_of_bench(runner, bench):
    program, *arguments = bench.split()
    repeats = 3 if program in ("mid_large_mt", "pool_tls", "remote") else 1
    counts = [statistics.median(
        callgrind.run(runner.build, f"bench_{program}", arguments, HAKMEM_LEARNER=learner)[0][0]
        for _ in range(repeats)) for learner in ("off", "observe", "on")]
    return (f"| {bench} | {counts[0]} | {percent(counts[1], counts[0])} | "
            f"{percent(counts[2], counts[0])} |")


def table_benches(runner, benches):
    print("\nInstructions of other benches; the goals are +1 % at most, for both. Those with "
          "threads vary.\n")
    print("| bench | off | observe | on |")
    print("|---|---|---|---|")
    for row in callgrind.side_by_side(lambda bench: row_of_bench(runner, bench), benches):
        print(row, flush=True)


def table_routes(runner):
    matrix = {(o, l): 0 for o in ROUTES for l in ROUTES}
    wrong = []
    for name, units in WORKLOADS.items():
        spans = learned_routes(runner.learned(name, 2 * runner.rounds)[2])
        for sizes in units:
            right = oracle(runner, name, sizes)
            for slot in slots_of(sizes):
                route = next((r for low, high, r in spans if low <= slot <= high), "ULTRA")
                matrix[right, route] += 1
                if route != right:
                    wrong.append(f"{name} {slot}: {route}, the oracle says {right}")
    total, good = sum(matrix.values()), sum(matrix[r, r] for r in ROUTES)
    print("\nRoutes of classes: rows are the oracle's, columns the learner's.\n")
    print("| | " + " | ".join(ROUTES) + " |\n|---|---|---|---|")
    for right in ROUTES:
        print(f"| {right} | " + " | ".join(str(matrix[right, route]) for route in ROUTES) + " |")
    units = sum(len(units) for units in WORKLOADS.values())
    print(f"\n{good} of {total} classes as the oracle ({good / total:.1%}; the goal is 90 %); "
          f"{units} units of the sweep.")
    for line in wrong:
        print(f"- {line}")


def time_of_workload(runner, name, learner, policy, phases):
    """Of an operation; with a policy the workload runs in a child, under that."""
    policies = [] if learner == "on" else [policy]
    return timed.ns_per_operation(runner.build, "bench_learner", [name, str(phases), "42", *policies],
                                  HAKMEM_LEARNER=learner)


def table_times_of_workloads(runner, rounds, phases):
    print(f"\nTime an operation, medians of {rounds}; change [95 % interval]. {phases} rounds of the "
          "phases, the first\nones included. The goal is +2 % over the best static policy at most.\n")
    print("| workload | default | best static | learner | over best | over default |")
    print("|---|---|---|---|---|---|")
    for name in WORKLOADS:
        times = timed.rounds(rounds, [
            lambda name=name, run=run: time_of_workload(runner, name, *run, phases)
            for run in (("off", ""), ("off", runner.best[name]), ("on", ""))])
        shown = " | ".join(f"{statistics.median(seen):.2f} ns" for seen in times)
        print(f"| {name} | {shown} | {timed.change(times[2], times[1])} | "
              f"{timed.change(times[2], times[0])} |", flush=True)


def time_of_bench(runner, bench, learner, seconds):
    program, *arguments = bench.split()
    if program in LONGER and seconds != "0":
        arguments[0] = str(int(arguments[0]) * LONGER[program])
    return timed.ns_per_operation(runner.build, f"bench_{program}", arguments,
                                  HAKMEM_LEARNER=learner, BENCH_SECONDS=seconds)


def table_times_of_benches(runner, benches, rounds, seconds):
    print(f"\nTime an operation of other benches, medians of {rounds}; change [95 % interval].\n")
    print("| bench | off | observe | on |")
    print("|---|---|---|---|")
    for bench in benches:
        times = timed.rounds(rounds, [
            lambda bench=bench, learner=learner: time_of_bench(runner, bench, learner, seconds)
            for learner in ("off", "observe", "on")])
        print(f"| {bench} | {statistics.median(times[0]):.2f} ns | {timed.change(times[1], times[0])} | "
              f"{timed.change(times[2], times[0])} |", flush=True)


def main():
    options = argparse.ArgumentParser(prog="learner.py", description="Judges the learner.")
    options.add_argument("build", help="build directory")
    options.add_argument("--rounds", type=int, default=4, help="of phases, see above (4)")
    options.add_argument("--times", type=int, default=0, help="also measure time, so often (0)")
    options.add_argument("--quick", action="store_true", help="less of everything")
    given = options.parse_args()
    if not 1 <= given.rounds <= 500:
        options.error("--rounds is 1 to 500")
    if not 0 <= given.times <= 1000:
        options.error("--times is 0 to 1000")
    start = time.monotonic()
    runner = Runner(given.build, min(given.rounds, 2) if given.quick else given.rounds,
                    CAPACITIES[2:3] if given.quick else CAPACITIES)
    try:
        table_workloads(runner)
        table_routes(runner)
        benches = BENCHES[:3] if given.quick else BENCHES
        table_benches(runner, benches)
        if given.times > 0:
            table_times_of_workloads(runner, given.times, 10 if given.quick else TIMED_ROUNDS)
            timed_benches = benches if given.quick else benches + TIMED_BENCHES
            table_times_of_benches(runner, timed_benches, given.times, "0" if given.quick else "0.2")
    except (OSError, RuntimeError) as error:
        sys.exit(f"learner.py: {error}")
    print(f"\n{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
