"""The tree as the lint rules see it: C files with their comments and literals set apart."""

import os
import re

PRODUCT = ("region", "segment", "front", "compat")

_TOKEN = re.compile(
    r"""(?P<comment>//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z))"""
    r"""|(?P<literal>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL | re.VERBOSE,
)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One C file.

    text      as it stands in the file
    plain     the same with comments blanked; lines and columns stay
    code      the same with comments and the contents of literals blanked
    """

    def __init__(self, root, path):
        self.path = path
        self.folder = path.split("/")[0]
        self.name = path.rsplit("/", 1)[-1]
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            self.text = file.read()
        self.comment_lines = set()
        self.plain = _TOKEN.sub(lambda match: self._replace(match, False), self.text)
        self.code = _TOKEN.sub(lambda match: self._replace(match, True), self.text)

    def _replace(self, match, literals):
        token = match.group()
        if match.lastgroup == "comment":
            first = self.line_of(match.start())
            self.comment_lines.update(range(first, first + token.count("\n") + 1))
            return _blank(token)
        return token[0] + _blank(token[1:-1]) + token[-1] if literals else token

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def line_count(self):
        return self.text.count("\n")

    def is_product(self):
        return self.folder in PRODUCT


class Tree:
    """Every file below `root` except hidden folders' (but .ci) and what was built."""

    def __init__(self, root):
        self.root = root
        self.paths = []
        for folder, folders, names in os.walk(root):
            inside = os.path.relpath(folder, root)
            folders[:] = sorted(
                name
                for name in folders
                if (not name.startswith(".") or name == ".ci")
                and not (inside == "." and name == "build")
            )
            for name in sorted(names):
                self.paths.append(os.path.normpath(os.path.join(inside, name)))
        self.c = [Source(root, path) for path in self.paths if path.endswith((".c", ".h"))]

    def headers(self):
        return [source for source in self.c if source.name.endswith(".h")]

    def product(self):
        return [source for source in self.c if source.is_product()]

    def shell_scripts(self):
        return [path for path in self.paths if self._is_shell(path)]

    def _is_shell(self, path):
        if path.endswith((".sh", ".bash")):
            return True
        if "." in path.rsplit("/", 1)[-1]:
            return False
        with open(os.path.join(self.root, path), "rb") as file:
            return re.match(rb"#!.*\b(ba|da)?sh\b", file.readline(200)) is not None
