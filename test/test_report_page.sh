#!/usr/bin/env bash
# The report page of `bench_runner --ab`: whole, by itself, and honest about what it lacks.
#
# ctest: labels=quick timeout=120
set -euo pipefail
command -v gnuplot >/dev/null || exit 77
command -v python3 >/dev/null || exit 77
runner=$HAKMEM_BUILD_DIR/bench_runner
[[ -x $runner ]] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
mkdir "$work/empty" "$work/broken" "$work/tmp"
printf '#!/bin/sh\necho "no such terminal <svg>" >&2\nexit 3\n' >"$work/broken/gnuplot"
chmod 755 "$work/broken/gnuplot"

# report NAME STATUS PATH [OPTION]...: writes $work/NAME/report.html.
report() {
    local name=$1 status=$2 path=$3 got=0
    shift 3
    env PATH="$path" TMPDIR="$work/tmp" "$runner" --ab --quick --rounds 1 --only fixed_128 \
        --no-counts --variant "hakmem=$HAKMEM_LIB" --out "$work/$name" "$@" \
        >"$work/$name.out" 2>&1 || got=$?
    if [[ $got != "$status" ]]; then
        printf '%s: status %s (expected %s)\n' "$name" "$got" "$status"
        cat "$work/$name.out"
        failures=$((failures + 1))
    fi
}

# says NAME TEXT...: the page's text contains them.
says() {
    local name=$1 text
    shift
    for text; do
        grep -qF -- "$text" "$work/$name.text" && continue
        printf '%s: the page does not say: %s\n' "$name" "$text"
        failures=$((failures + 1))
    done
}

# sound NAME PICTURES: tags balance, nothing is loaded, headings and tables are in order; leaves
# the page's text in $work/NAME.text.
sound() {
    python3 - "$work/$1/report.html" "$2" "$work/$1.text" <<'PYTHON' || failures=$((failures + 1))
import re
import sys
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.text, self.faults = [], [], [], []
        self.tags, self.headings, self.links, self.references = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.note(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.note(tag, attributes)

    def note(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if len(values) != len(attributes):
            self.faults.append(f"<{tag}> has an attribute twice")
        if "id" in values:
            self.ids.append(values["id"])
        for name in ("href", "xlink:href", "src", "data", "action", "poster", "srcset"):
            if name in values:
                self.links.append(values[name])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg" and not values.get("aria-label"):
            self.faults.append("<svg> without aria-label")
        if tag == "html" and values.get("lang") != "en":
            self.faults.append("<html> without lang")
        if tag == "th" and values.get("scope") not in ("col", "row"):
            self.faults.append("<th> without scope")
        if any(name.startswith("on") for name in values):
            self.faults.append(f"<{tag}> with a script")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing, line {self.getpos()[0]}")

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)


path, pictures, text_path = sys.argv[1:]
source = open(path, encoding="utf-8").read()
page = Page()
page.feed(source)
page.close()
faults = page.faults + [f"<{tag}> stays open" for tag in page.open]
faults += [f"id {name} twice" for name in sorted(set(page.ids)) if page.ids.count(name) > 1]
for link in page.links:
    if link.startswith("#"):
        if link[1:] not in page.ids:
            faults.append(f"{link} leads nowhere")
    elif link != "data:,":
        faults.append(f"loads {link}")
outside = re.sub(r'xmlns(:\w+)?="[^"]*"', "", source)
for pattern in ("https?://", "@import", r"url\((?!#)", "<script", "<iframe"):
    if re.search(pattern, outside):
        faults.append(f"contains {pattern}")
if page.tags.count("title") != 1 + int(pictures) or not re.search(r"<title>[^<]+</title>", source):
    faults.append("a title for the page and one a picture, no more")
if page.tags.count("svg") != int(pictures):
    faults.append(f"{page.tags.count('svg')} pictures, {pictures} expected")
if page.tags.count("caption") != page.tags.count("table") or "table" not in page.tags:
    faults.append("a table without caption")
if page.headings[:1] != [1] or page.headings.count(1) != 1:
    faults.append("not one h1, first")
if any(b > a + 1 for a, b in zip(page.headings, page.headings[1:])):
    faults.append("headings leave out a level")
if any(re.search(r"\b(nan|inf)\b", text) for text in page.text):
    faults.append("a figure that is none is shown")
open(text_path, "w", encoding="utf-8").write(" ".join("".join(page.text).split()))
for fault in faults:
    print(f"{path}: {fault}")
sys.exit(1 if faults else 0)
PYTHON
}

odd='odd<b>&"'
report whole 2 "$PATH" --variant "factor-header-written=$HAKMEM_LIB" \
    --variant "factor-of-no-name=$HAKMEM_LIB" --variant "hakmem-again=$HAKMEM_LIB" \
    --variant "$odd=$HAKMEM_BUILD_DIR/libcountmutexes.so"
sound whole 4
says whole 'hakmem-header' 'factor-header-written' 'factor-of-no-name' 'hakmem-again' 'glibc' \
    'fixed_128' 'bench_fixed_size' "$odd failed on fixed_128" 'not loaded: malloc was served by' \
    'Warning: few samples.' 'the cost of writing' 'furthest apart on fixed_128' 'slot 0' \
    'multiple of 64 KiB'

report plain 0 "$PATH" --no-control
sound plain 3
says plain 'No factor was measured' 'The control was not part of this run' \
    'Instructions were not counted'

# Nothing is claimed about a library that did not run.
report failed 2 "$PATH" --variant "hakmem=$HAKMEM_BUILD_DIR/libcountmutexes.so" \
    --variant "factor-of-no-name=$HAKMEM_LIB"
sound failed 2
says failed 'hakmem failed on fixed_128' 'Against glibc. This was not measured.' \
    'hakmem was not measured against glibc' 'none of them could be compared'

report without_gnuplot 0 "$work/empty"
sound without_gnuplot 0
says without_gnuplot 'could not be drawn: gnuplot is not installed' 'fixed_128' 'hakmem-header'

report broken_gnuplot 0 "$work/broken"
sound broken_gnuplot 0
says broken_gnuplot 'could not be drawn: gnuplot: exit status 3 no such terminal <svg>'

if [[ -n $(ls -A "$work/tmp") ]]; then
    echo "files are left in the temporary directory"
    failures=$((failures + 1))
fi
((failures == 0)) || exit 1
echo "all pages as expected"
