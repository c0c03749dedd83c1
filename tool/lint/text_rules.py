"""Rules that read the source text. Each yields (path, line, reason)."""

import re

from source import PRODUCT

# ---- layers: dependencies run one way ---------------------------------------------------------

MAY_INCLUDE = {
    "region": ("region",),
    "segment": ("region", "segment"),
    "front": ("region", "segment", "front"),
    "compat": ("region", "segment", "front", "compat"),
}
# A table that the command prints; it declares nothing that is inside.
MAY_INCLUDE_ALSO = {"tool": ("front/options.h",)}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def layers(tree):
    """region < segment < front; everything else knows the public interface only"""
    base = {source.name for source in tree.headers() if source.folder == "include"}
    for source in tree.c:
        for match in _INCLUDE.finditer(source.plain):
            reason = _layer_reason(source, match.group(1), match.group(2), base)
            if reason:
                yield source.path, source.line_of(match.start(1)), reason


def _layer_reason(source, quote, target, base):
    folder = target.split("/")[0] if "/" in target else None
    if not source.is_product():
        if target in MAY_INCLUDE_ALSO.get(source.folder, ()):
            return None
        if folder in PRODUCT and source.folder != "test":
            return f"{source.folder}/ includes {target}: only tests know the inside"
        return None
    allowed = MAY_INCLUDE[source.folder]
    if folder in allowed:
        return None
    if folder in PRODUCT:
        return f"{source.folder}/ may not include {target}, only {', '.join(allowed)}"
    if quote == '"' and target not in base:
        return f'"{target}": give the folder ("front/heap.h"), or a header of include/'
    return None


# ---- atomics: an explicit order, and a comment that says why --------------------------------

COMMENT_DISTANCE = 3
_ATOMIC = re.compile(r"\b(atomic_\w+|__atomic_\w+|__sync_\w+|__c11_atomic_\w+)\s*\(")
_FENCES = ("atomic_thread_fence",)
_NOT_ORDERED = ("atomic_signal_fence",)  # binds the compiler alone


def atomics(tree):
    """atomic_*_explicit only, with a comment on the line or within the three lines before"""
    for source in tree.product():
        for match in _ATOMIC.finditer(source.code):
            name, line = match.group(1), source.line_of(match.start())
            near = range(line - COMMENT_DISTANCE, line + 1)
            if name == "atomic_init":
                continue
            if name in _FENCES:
                yield source.path, line, f"{name}: give the operation itself an order"
            elif name not in _NOT_ORDERED and not name.endswith("_explicit"):
                yield source.path, line, f"{name}: use the atomic_*_explicit form"
            elif source.comment_lines.isdisjoint(near):
                yield source.path, line, f"{name}: no comment within 3 lines justifies the order"


# ---- oscalls: one file asks the kernel for memory ---------------------------------------------

_OSCALL = re.compile(r"\b((?:mmap|munmap|mprotect|madvise|mremap)(?:64)?|s?brk|mbind)\s*\(")
_OSCALL_EXEMPT = re.compile(r"^(segment/os_[^/]*\.c|test/.*|bench/.*)$")


def oscalls(tree):
    """mmap and its kind stand in segment/os_*.c only"""
    for source in tree.c:
        if _OSCALL_EXEMPT.match(source.path):
            continue
        for match in _OSCALL.finditer(source.code):
            line = source.line_of(match.start())
            yield source.path, line, f"{match.group(1)}() outside segment/os_*.c"


# ---- conditionals: a variant is another file --------------------------------------------------

_CONDITIONAL = re.compile(r"^[ \t]*#[ \t]*(if|ifdef|ifndef|elif)\b[ \t]*(.*)$", re.MULTILINE)
_CONDITIONAL_EXEMPT = re.compile(r"^(segment/os_[^/]*\.c|front/[^/]*_symbols\.c)$")


def conditionals(tree):
    """#if in segment/os_*.c, the base header and the symbol override only"""
    for source in tree.product():
        if _CONDITIONAL_EXEMPT.match(source.path):
            continue
        found = list(_CONDITIONAL.finditer(source.plain))
        if source.name.endswith(".h") and found and found[0].group(1) == "ifndef":
            found = found[1:]  # the include guard
        for match in found:
            line = source.line_of(match.start(1))
            yield source.path, line, f"#{match.group(1)} {match.group(2)}: a variant is another file"


# ---- sizes: files that one can hold in the head -----------------------------------------------

MAX_C_LINES = 600
MAX_H_LINES = 200
ADD_ONS = ("front/harden/", "front/policy/", "front/observe/")
PROFILE = ("front/profile/",)  # why by itself: design/0026
GROUPS = (  # name, lines at most, members
    ("region/, segment/ and front/*.c", 6000,
     lambda path: path.startswith(("region/", "segment/"))
     or (path.startswith("front/") and not path.startswith(ADD_ONS + PROFILE))),
    ("front/harden/, front/policy/ and front/observe/", 4000,
     lambda path: path.startswith(ADD_ONS)),
    ("front/profile/", 1000, lambda path: path.startswith(PROFILE)),
)


def sizes(tree):
    """.c at most 600 lines, .h at most 200, and the totals of the house style"""
    for source in tree.c:
        limit = MAX_C_LINES if source.name.endswith(".c") else MAX_H_LINES
        if source.line_count() > limit:
            yield source.path, limit + 1, f"{source.line_count()} lines, {limit} at most"
    for name, limit, has in GROUPS:
        members = [source for source in tree.c if source.name.endswith(".c") and has(source.path)]
        total = sum(source.line_count() for source in members)
        if total > limit:
            yield members[-1].path, 1, f"{name} have {total} lines together, {limit} at most"


# ---- functions: on one screen -----------------------------------------------------------------

MAX_FUNCTION_LINES = 60
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
_HEAD_NAME = re.compile(r"(\w+)\s*\(")
_NOT_NAMES = ("__attribute__", "_Alignas", "_Atomic", "__asm__")


def functions(tree):
    """no function of the product is longer than 60 lines, its head included"""
    for source in tree.product():
        for name, first, last in function_spans(source):
            if last - first + 1 > MAX_FUNCTION_LINES:
                reason = f"{name}() has {last - first + 1} lines, {MAX_FUNCTION_LINES} at most"
                yield source.path, first, reason


def function_spans(source):
    """(name, first line, last line) of each function body, by counting braces"""
    code = _DIRECTIVE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source.code)
    depth, head_start, current = 0, 0, None
    for match in re.finditer(r"[{};]", code):
        sign, at = match.group(), match.start()
        head = code[head_start:at]
        if sign == "{":
            if depth == 0 and re.match(r'\s*extern\s+"\s*"\s*$', head):
                head_start = at + 1  # extern "C": its closing brace is one too many
                continue
            if depth == 0 and head.rstrip().endswith(")"):
                names = [name for name in _HEAD_NAME.findall(head) if name not in _NOT_NAMES]
                first = head_start + len(head) - len(head.lstrip())
                current = (names[0] if names else "?", source.line_of(first))
            depth += 1
        elif sign == "}":
            depth = max(depth - 1, 0)
            if depth == 0 and current:
                yield current[0], current[1], source.line_of(at)
                current = None
        if depth == 0:
            head_start = at + 1
