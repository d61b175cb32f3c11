#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over every C file of core/ and gateway/.

Usage: tidy.py BUILD [FILE…]   (BUILD/compile_commands.json says how they are
compiled)

What a file was found clean as — its text, what the preprocessor makes of it,
the configuration and the tool's version — is remembered in the cache, so only
what changed is looked at again.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("SOUK_CACHE") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    / "souk") / "tidy"
KEPT_DAYS = 30


def output(command, cwd=ROOT):
    return subprocess.run(command, cwd=cwd, check=True,
                          stdout=subprocess.PIPE).stdout


def fingerprint(entry, common):
    """Of everything the verdict depends on."""
    words = shlex.split(entry["command"].replace("-isystem ", "-isystem"))
    flags = [w for w in words if re.match(r"-([IDU]|isystem|std)", w)]
    seen = output(["clang", "-E", "-P", "-w", *flags, entry["file"]],
                  entry["directory"])
    # Flags and assert() name the clone: another finds what this one has seen.
    parts = [common, " ".join(flags).replace(str(ROOT), "").encode(),
             pathlib.Path(entry["file"]).read_bytes(),
             seen.replace(str(ROOT).encode(), b"")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def look_at(build, entry, common):
    """(file, complaints, seconds); "" and 0 when known to be clean."""
    name = os.path.relpath(entry["file"], ROOT)
    known = CACHE / fingerprint(entry, common)
    if known.exists():
        os.utime(known)
        return name, "", 0
    start = time.monotonic()
    done = subprocess.run(["clang-tidy", "-p", build, "--quiet",
                           "--extra-arg=-Wno-unknown-warning-option", name],
                          cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode == 0:
        known.touch()
        return name, "", time.monotonic() - start
    return name, done.stdout or done.stderr, time.monotonic() - start


def main():
    build = sys.argv[1]
    wanted = sys.argv[2:] or output(
        ["git", "ls-files", "core/*.c", "gateway/*.c"]).decode().split()
    commands = {os.path.relpath(entry["file"], ROOT): entry for entry in
                json.load(open(pathlib.Path(build) / "compile_commands.json"))}
    missing = [name for name in wanted if name not in commands]
    CACHE.mkdir(parents=True, exist_ok=True)
    for known in CACHE.iterdir():
        if time.time() - known.stat().st_mtime > KEPT_DAYS * 86400:
            known.unlink(missing_ok=True)
    common = (ROOT / ".clang-tidy").read_bytes() + output(
        ["clang-tidy", "--version"])
    entries = [commands[name] for name in wanted if name in commands]
    # The slowest last would leave the other processors idle.
    entries.sort(key=lambda e: -os.path.getsize(e["file"]))
    unclean, looked = [], []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, complaints, seconds in pool.map(
                lambda e: look_at(build, e, common), entries):
            if seconds:
                looked.append((seconds, name))
            if complaints:
                unclean.append(name)
                print(complaints)
    for name in missing:
        print(f"{name}: no target compiles it")
    looked.sort(reverse=True)
    print(f"looked at {len(looked)} of {len(entries)} files, longest: "
          + ", ".join(f"{n} {s:.0f} s" for s, n in looked[:5]))
    return 1 if unclean or missing else 0


sys.exit(main())
