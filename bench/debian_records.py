#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn the Debian package index of this machine into souk package records.

    bench/debian_records.py [--limit N] > records.ndjson

One record a line, as `souk import` takes them: what the node fills in by itself
(content id, times, stats) is left out.  Reads `apt-cache dumpavail`; a package
whose name or version has no counterpart is counted on stderr and left out.
"""
import argparse
import collections
import json
import re
import subprocess
import sys

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
# upstream version: up to three numbers, then perhaps a pre-release after "~"
VERSION = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?")
NUMBER_MAX = 2**32 - 1
SECTIONS = {
    "database": "Database",
    "doc": "Documentation",
    "httpd": "WebService",
    "web": "WebService",
    "utils": "Utility",
    "admin": "Deployment",
}


def paragraphs(lines):
    """The index, a dict a package; a field's continuation lines are joined."""
    fields, last = {}, None
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            if fields:
                yield fields
            fields, last = {}, None
        elif line[0] in " \t" and last:
            fields[last] += "\n" + line[1:]
        elif ":" in line:
            last, value = line.split(":", 1)
            fields[last] = value.strip()
    if fields:
        yield fields


def semver(debian):
    """1:2.36~rc1-9+deb12u14 -> 2.36.0-rc1; None without a number in front."""
    upstream = debian.split(":", 1)[-1].rsplit("-", 1)[0]
    found = VERSION.match(upstream)
    if not found:
        return None
    numbers = [int(n or 0) for n in found.groups()]
    if max(numbers) > NUMBER_MAX:
        return None
    text = ".".join(map(str, numbers))
    pre = re.search(r"~([A-Za-z][0-9A-Za-z]*)", upstream)
    return f"{text}-{pre[1]}" if pre else text


def dependencies(field):
    """The first alternative of each relation, a minimum where one is told."""
    seen, wanted = set(), []
    for relation in field.split(","):
        found = re.match(r"\s*([a-z0-9][a-z0-9.+-]*)(?::\w+)?"
                         r"(?:\s*\((>=|=)\s*([^)]+)\))?", relation)
        if not found or not NAME.match(found[1]) or found[1] in seen:
            continue
        seen.add(found[1])
        requirement, version = "Any", found[3] and semver(found[3])
        if version:
            numbers, _, pre = version.partition("-")
            major, minor, patch = map(int, numbers.split("."))
            requirement = {"Minimum" if found[2] == ">=" else "Exact": {
                "major": major, "minor": minor, "patch": patch,
                "pre_release": pre or None}}
        wanted.append({"package_id": {"namespace": "debian", "name": found[1]},
                       "version_requirement": requirement, "optional": False})
    return wanted[:64]


def description(fields):
    short, _, long = fields.get("Description", "").partition("\n")
    text = "\n".join("" if line == "." else line for line in long.split("\n"))
    return short[:200], (text or short)[:2000]


def record(fields):
    name, version = fields.get("Package", ""), semver(fields.get("Version", ""))
    if not NAME.match(name) or version is None:
        return None
    title, text = description(fields)
    section = fields.get("Section", "misc").split("/")[-1]
    maintainer = re.match(r"\s*(.*?)\s*(?:<([^>]*)>)?\s*$",
                          fields.get("Maintainer", ""))
    tags = [tag.strip() for tag in re.split(r"[,\n]", fields.get("Tag", ""))]
    tags = list(dict.fromkeys(t for t in tags if t and len(t) <= 64))[:32]
    return {
        "id": f"debian/{name}",
        "version": version,
        "metadata": {
            "title": title or name,
            "description": text,
            "categories": [SECTIONS.get(section, {"Custom": section})],
            "tags": tags,
            "license": "UNLICENSED",
            "authors": [{
                "id": maintainer[2] or maintainer[1] or "unknown",
                "name": maintainer[1] or "unknown",
                "email": maintainer[2] or None,
                "public_key": None,
                "metadata": {},
            }],
            "homepage": fields.get("Homepage"),
        },
        "dependencies": dependencies(fields.get("Depends", "")),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--limit", type=int, default=0,
                        help="stop after this many records (0: all)")
    args = parser.parse_args()

    left_out, written, names = collections.Counter(), 0, set()
    with subprocess.Popen(["apt-cache", "dumpavail"], text=True,
                          stdout=subprocess.PIPE) as index:
        for fields in paragraphs(index.stdout):
            made = record(fields)
            if made is None:
                left_out["no counterpart of the name or version"] += 1
            elif made["id"] in names:
                left_out["another version of a package already taken"] += 1
            else:
                names.add(made["id"])
                print(json.dumps(made, ensure_ascii=False,
                                 separators=(",", ":")))
                written += 1
                if written == args.limit:
                    index.terminate()
                    break
    for why, count in left_out.items():
        print(f"left out {count}: {why}", file=sys.stderr)
    if written == 0:
        sys.exit("no package index here: run apt-get update first")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(1)
