# SPDX-License-Identifier: Apache-2.0
"""The matrix of docs/INTEROP.md, made from what the last run wrote down.

    tests/support/python.sh tests/interop/driver/matrix.py           rewrite it
    tests/support/python.sh tests/interop/driver/matrix.py --check   is it so?
"""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from driver import ggen, kinds, mixed           # noqa: E402
from support.souk import ROOT                   # noqa: E402

PAGE = ROOT / "docs/INTEROP.md"
BEGIN, END = "<!-- made by tests/interop/driver/matrix.py -->", "<!-- end -->"
NETWORKS = {"ggen": ("The ggen swarm", ggen.CASES),
            "mixed": ("All in one network", mixed.CASES)}


def results(name):
    file = kinds.results_folder() / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def what(case):
    """The first line of what it says of itself."""
    return re.split(r"(?<=\.)\s", " ".join(case.__doc__.split()))[0]


def cell(result):
    if result is None:
        return "not run"
    return "**failed**" if result == "failed" else "yes"


class Notes:
    """Why something is not asked of somebody; the same reason once."""

    def __init__(self):
        self.texts = []

    def mark(self, text):
        if text not in self.texts:
            self.texts.append(text)
        return f"– ({self.texts.index(text) + 1})"


def reason(one, case):
    """Why this case is not asked of it: what it lacks first."""
    for need in kinds.NEEDS.get(case, ()):
        if need not in one.can:
            return one.lacks[need]
    return None


def by_kind(notes):
    everybody = list(kinds.KINDS.values())
    seen = {one.name: results(one.name) for one in everybody}
    yield "| | " + " | ".join(one.library for one in everybody) + " |"
    yield "|---|" + "---|" * len(everybody)
    for case in kinds.CASES:
        cells = []
        for one in everybody:
            why = reason(one, case)
            cells.append(notes.mark(why) if why else
                         cell(seen[one.name].get(case.__name__)))
        yield f"| `{case.__name__}`: {what(case)} | " + \
            " | ".join(cells) + " |"


def networks():
    for name, (title, cases) in NETWORKS.items():
        seen = results(name)
        yield f"| {title} | |"
        yield "|---|---|"
        for case in cases:
            yield f"| `{case.__name__}`: {what(case)} | " \
                f"{cell(seen.get(case.__name__))} |"
        yield ""


def made():
    notes = Notes()
    lines = [BEGIN, "", *by_kind(notes), ""]
    lines += [f"{i}. {text}." for i, text in enumerate(notes.texts, 1)]
    lines += ["", *networks(), END]
    return "\n".join(lines)


def main():
    page = PAGE.read_text()
    begin, end = page.index(BEGIN), page.index(END) + len(END)
    now = page[:begin] + made() + page[end:]
    if "--check" not in sys.argv:
        PAGE.write_text(now)
    elif now != page:
        sys.exit(f"{PAGE} does not say what the last run has shown:\n{made()}")


if __name__ == "__main__":
    main()
