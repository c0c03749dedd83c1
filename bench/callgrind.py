"""Counts the instructions of benches with callgrind, for learner.py, boundaries.py and inline.py.

The clock of the purge stands still, so that counts of programs with one thread repeat.
"""
import concurrent.futures
import os
import re
import subprocess
import sys


def run(build, program, arguments, **settings):
    """Instructions of each process, in the order in which they end, and what they said."""
    environment = dict(os.environ, LD_PRELOAD=f"{build}/libhakmem.so",
                       HAKMEM_PURGE_DECAY_MS="3600000", **settings)
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
         f"{build}/{program}", *arguments],
        env=environment, capture_output=True, text=True, check=False)
    totals = [int(total) for total in re.findall(r"Collected : (\d+)", done.stderr)]
    if done.returncode != 0 or not totals:
        raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stderr}")
    return totals, done.stdout


def ready(build, bench="bench_learner"):
    """The build directory, or the end of the process with 1."""
    build = os.path.abspath(build)
    for needed in ("libhakmem.so", bench):
        if not os.path.exists(f"{build}/{needed}"):
            sys.exit(f"{os.path.basename(sys.argv[0])}: there is no {needed} in {build}")
    return build


def side_by_side(function, items):
    """The results in order, each as soon as it and those before are there; as many at once as there
    are CPUs."""
    with concurrent.futures.ThreadPoolExecutor(max(len(os.sched_getaffinity(0)), 1)) as pool:
        yield from pool.map(function, items)


def percent(count, base):
    return f"{(count / base - 1) * 100:+.2f} %"
