"""Rules that ask a compiler or a checker. Each yields (path, line, reason)."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_DIAGNOSTIC = re.compile(r"^(.+?):(\d+):(?:\d+:)? (fatal error|error|warning|note): (.*)$")


def _flags(tree, folder):
    flags = ["-D_GNU_SOURCE", "-I", tree.root, "-I", os.path.join(tree.root, "include")]
    return flags + ["-I", os.path.join(tree.root, folder)] if folder in ("test", "bench") else flags


def _each(items, work):
    """work(item) for all items on as many processors as there are; each finding once"""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = pool.map(lambda item: list(work(item)), items)
        yield from dict.fromkeys(finding for findings in results for finding in findings)


def _run(tree, path, command, text="", notes=False):
    """Runs a checker on one file; its diagnostics as findings."""
    if not shutil.which(command[0]):
        yield path, 1, f"{command[0]} is not installed"
        return
    done = subprocess.run(command, cwd=tree.root, input=text, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                          env={**os.environ, "LC_ALL": "C"})
    if done.returncode == 0:
        return
    matches = [match for match in map(_DIAGNOSTIC.match, done.stdout.splitlines())
               if match and (notes or match.group(3) != "note")]
    for match in matches:
        where = path if match.group(1).startswith("<") else os.path.relpath(
            os.path.join(tree.root, match.group(1)), tree.root)
        yield where, int(match.group(2)), match.group(4)
    if not matches:
        yield path, 1, f"{command[0]} ended with {done.returncode}: {done.stdout.strip()[-400:]}"


def headers(tree):
    """every header compiles alone, and twice; those for C++ also there"""
    common = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror",
              "-Wno-unused-function", "-Wno-unused-variable"]

    def check(source):
        text = f'#include "{source.path}"\n' * 2
        flags = common + _flags(tree, source.folder)
        yield from _run(tree, source.path, ["gcc", "-x", "c", "-std=c11", *flags, "-"], text)
        if "__cplusplus" in source.plain:
            yield from _run(tree, source.path, ["g++", "-x", "c++", *flags, "-"], text)

    yield from _each(tree.headers(), check)


def format(tree):
    """clang-format has nothing to change"""
    style = "--style=file:" + os.path.join(HOME, ".clang-format")

    def check(source):
        command = ["clang-format", style, "--dry-run", "-Werror", source.path]
        found = list(_run(tree, source.path, command))
        for path, line, reason in found[:1]:
            yield path, line, f"{reason}, {len(found)} places (./dev format)"

    yield from _each(tree.c, check)


def tidy(tree):
    """clang-tidy has nothing to say, and no atomic access has an order that is not written"""
    def check(source):
        yield from _run(tree, source.path, [
            "clang-tidy", "--quiet", "--config-file=" + os.path.join(HOME, ".clang-tidy"),
            source.path, "--", "-std=c11", "-Wall", "-Wextra", "-Watomic-implicit-seq-cst",
            "-Wno-unknown-attributes",  # gcc's own, such as copy()
            *_flags(tree, source.folder)])

    yield from _each([source for source in tree.product() if source.name.endswith(".c")], check)


def shell(tree):
    """shellcheck has nothing to say"""
    def check(path):
        yield from _run(tree, path, ["shellcheck", "--format=gcc", "--external-sources", path],
                        notes=True)

    yield from _each(tree.shell_scripts(), check)
