#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom.  Usage: layers.py ROOT."""
import pathlib
import re
import sys

GROUND = {"base", "souk", "tbl", "crypto", "multi", "wire"}
PROTOCOLS = {"mss", "noise", "yamux", "identify", "ping", "kad", "gossip",
             "search"}
# A room may include itself and these.
MAY_INCLUDE = {
    "base": {"souk"},
    "tbl": {"base", "souk"},
    "crypto": {"base", "souk"},
    "multi": {"base", "souk", "crypto"},
    "wire": {"base", "souk", "crypto", "multi"},
    **{room: GROUND for room in PROTOCOLS},
    "conn": GROUND | {"mss", "noise", "yamux"},
    "reputation": GROUND,
    "market": GROUND,
    "node": GROUND | PROTOCOLS | {"conn", "market", "reputation"},
    "store": GROUND | {"market", "reputation", "node"},
    "libcurl": {"base", "souk"},
    "telemetry": GROUND | {"libcurl"},
    "host": GROUND | {"node", "market", "reputation", "store", "telemetry"},
}


def wrong_includes(path, room):
    allowed = MAY_INCLUDE[room] | {room}
    for number, line in enumerate(path.read_text().split("\n"), 1):
        found = re.match(r'#include "(\w+)/', line)
        if found and found[1] not in allowed:
            yield f"{path}:{number}: {room} may not include {found[1]}/"


def main():
    core = pathlib.Path(sys.argv[1]) / "core"
    rooms = sorted(p.name for p in core.iterdir() if p.is_dir())
    errors = [f"core/{room}: a room without a place in the order"
              for room in rooms if room not in MAY_INCLUDE]
    errors += [error for room in rooms if room in MAY_INCLUDE
               for path in sorted((core / room).glob("**/*.[ch]"))
               for error in wrong_includes(path, room)]
    print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors else 0


sys.exit(main())
