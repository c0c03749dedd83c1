#!/usr/bin/env python3
"""Judges the learner: `./dev bench --learner`, or learner.py BUILD_DIRECTORY.

Counts instructions (callgrind; the clock of the purge stands still, so counts repeat) of the
workloads of bench_learner under static policies, one class of sizes changed at a time, and finds
the best; then under the learner. Prints three tables: the learner against the best static policy
and the default; other benches with the learner on and observing against it off; and the learner's
routes against an oracle's. The oracle's route of a class is the one that holds least memory among
those that cost at most 1 % more instructions than the best one, and ULTRA unless another saves 1 %.
Ends with 0 whatever the figures are, with 1 if something could not be run.
"""
import os
import re
import statistics
import subprocess
import sys

ROUTES = ("ULTRA", "MID", "LARGE")
PROFILES = ("low-memory", "throughput", "huge-server")
ROUNDS = 4
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


class Runner:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.seen = {}  # (workload, rounds, policy): what it came to

    def run(self, program, arguments, learner="off"):
        """Instructions of each process, in the order in which they end, and what they said."""
        settings = dict(os.environ, LD_PRELOAD=f"{self.build}/libhakmem.so",
                        HAKMEM_LEARNER=learner, HAKMEM_PURGE_DECAY_MS="3600000")
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
             f"{self.build}/{program}", *arguments],
            env=settings, capture_output=True, text=True, check=False)
        totals = [int(total) for total in re.findall(r"Collected : (\d+)", done.stderr)]
        if done.returncode != 0 or not totals:
            sys.exit(f"learner.py: {program} {arguments}: {done.stderr}")
        return totals, done.stdout

    def prepare(self, name, policies, rounds=ROUNDS):
        """One process runs the workload under all of them: it starts, and is translated, once."""
        policies = [p for p in dict.fromkeys(policies) if (name, rounds, p) not in self.seen]
        if not policies:
            return
        totals, said = self.run("bench_learner", [name, str(rounds), "42", *policies])
        held = re.findall(r"held_bytes (\d+)", said)
        for policy, total, bytes_held in zip(policies, totals, held, strict=False):
            self.seen[name, rounds, policy] = (total, float(bytes_held))

    def static(self, name, policy="", rounds=ROUNDS):
        """Instructions and the mean of the bytes held."""
        self.prepare(name, [policy], rounds)
        return self.seen[name, rounds, policy]

    def learned(self, name, rounds=ROUNDS):
        """The same with the learner on, and the policy at the end."""
        key = (name, rounds, "learner")
        if key not in self.seen:
            totals, said = self.run("bench_learner", [name, str(rounds), "42"], "on")
            held = float(re.search(r"held_bytes (\d+)", said)[1])
            self.seen[key] = (totals[0], held, said)
        return self.seen[key]


def largest(sizes):
    return int(sizes.split("..")[-1])


def capacities_of(sizes):
    return [c for c in CAPACITIES if c <= min(1023, (1 << 20) // (largest(sizes) * 5 // 4))]


def policies_of(sizes):
    return [f"class {sizes} capacity {capacity}" for capacity in capacities_of(sizes)] + \
           [f"class {sizes} route {route}" for route in routes_of(sizes)[1:]]


def sweep(runner, name):
    """The best static policy found: the best of each class by itself, put together."""
    runner.prepare(name, ["", *PROFILES, *(p for u in WORKLOADS[name] for p in policies_of(u))])
    chosen = [min(["", *policies_of(sizes)], key=lambda p: runner.static(name, p)[0])
              for sizes in WORKLOADS[name]]
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


def percent(count, base):
    return f"{(count / base - 1) * 100:+.2f} %"


def table_workloads(runner):
    print(f"\nInstructions of the workloads: of rounds {ROUNDS + 1} to {2 * ROUNDS}, when the "
          "learner has seen each phase,\nand of all. The goal is +2 % over the best static policy "
          "at most.\n")
    print("| workload | default | best static | learner | over best | over default | "
          "all: over best | over default | held: default, best, learner (MB) | best static policy |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in WORKLOADS:
        policy = sweep(runner, name)
        runner.prepare(name, ["", policy], 2 * ROUNDS)
        long = [runner.static(name, "", 2 * ROUNDS), runner.static(name, policy, 2 * ROUNDS),
                runner.learned(name, 2 * ROUNDS)]
        short = [runner.static(name), runner.static(name, policy), runner.learned(name)]
        late = [two[0] - one[0] for two, one in zip(long, short, strict=True)]
        held = ", ".join(f"{run[1] / 1e6:.2f}" for run in long)
        print(f"| {name} | {late[0]} | {late[1]} | {late[2]} | {percent(late[2], late[1])} | "
              f"{percent(late[2], late[0])} | {percent(long[2][0], long[1][0])} | "
              f"{percent(long[2][0], long[0][0])} | {held} | {policy or 'balanced'} |", flush=True)


def table_benches(runner):
    print("\nInstructions of other benches; the goals are +1 % at most, for both.\n")
    print("| bench | off | observe | on |")
    print("|---|---|---|---|")
    for bench in BENCHES:
        program, *arguments = bench.split()
        repeats = 3 if program in ("mid_large_mt", "pool_tls", "remote") else 1
        counts = [statistics.median(runner.run(f"bench_{program}", arguments, learner)[0][0]
                                    for _ in range(repeats))
                  for learner in ("off", "observe", "on")]
        print(f"| {bench} | {counts[0]} | {percent(counts[1], counts[0])} | "
              f"{percent(counts[2], counts[0])} |", flush=True)


def table_routes(runner):
    matrix = {(o, l): 0 for o in ROUTES for l in ROUTES}
    wrong = []
    for name, units in WORKLOADS.items():
        spans = learned_routes(runner.learned(name, 2 * ROUNDS)[2])
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


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: learner.py BUILD_DIRECTORY")
    runner = Runner(sys.argv[1])
    table_workloads(runner)
    table_routes(runner)
    table_benches(runner)


if __name__ == "__main__":
    main()
