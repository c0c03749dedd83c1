"""Times benches for learner.py, boundaries.py and inline.py.

The runs of a round take turns in random order, so that what else the machine does falls on all of
them alike. A change is that of the medians, with a 95 % interval as bench_runner has it: the times
of either side are drawn again at random, many times over. Fewer than six rounds give none. All of
it is worth nothing on a machine that has other work.
"""
import os
import random
import statistics
import subprocess

from callgrind import percent

DRAWS = 4000
ROUNDS_LEAST = 6
TAIL = 0.025


def ns_per_operation(build, program, arguments, **settings):
    """What a bench says of itself."""
    environment = dict(os.environ, LD_PRELOAD=f"{build}/libhakmem.so", **settings)
    done = subprocess.run([f"{build}/{program}", *arguments], env=environment, check=False,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stderr}")
    return float(done.stdout.split()[2])


def rounds(count, runs):
    """The times of each of `runs`, which are functions that measure one."""
    order = random.Random(42)
    times = [[] for _ in runs]
    for _ in range(count):
        for i in order.sample(range(len(runs)), len(runs)):
            times[i].append(runs[i]())
    return times


def interval(times, base):
    """Of median(times) / median(base); None if there are too few."""
    if min(len(times), len(base)) < ROUNDS_LEAST:
        return None
    draw = random.Random(42)
    ratios = sorted(statistics.median(draw.choices(times, k=len(times))) /
                    statistics.median(draw.choices(base, k=len(base))) for _ in range(DRAWS))
    least = int(DRAWS * TAIL)
    return ratios[least], ratios[-1 - least]


def change(times, base):
    """As "+1.23 % [+0.51, +2.00]"."""
    both = interval(times, base)
    shown = "-" if both is None else ", ".join(f"{(ratio - 1) * 100:+.2f}" for ratio in both)
    return f"{percent(statistics.median(times), statistics.median(base))} [{shown}]"
