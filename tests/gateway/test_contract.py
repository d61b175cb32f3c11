# SPDX-License-Identifier: Apache-2.0
"""Every operation and every documented answer of openapi.yaml, on real nodes.

    world.py     the nodes, and a good request for each operation
    contract.py  judges each answer, and remembers what was seen
    answers.py   good answers and their manners
    spoilt.py    each good request, spoilt
    records.py   records that may not be published
    network.py   other peers, one that never answers among them
    trouble.py   a node whose core stands, whose store fails, without memory
    wire.py      HTTP that no decent client sends

The last case fails with a list of what is documented and was not seen.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import answers  # noqa: E402
import network  # noqa: E402
import records  # noqa: E402
import spoilt  # noqa: E402
import trouble  # noqa: E402
import wire  # noqa: E402
from support.souk import figure, run  # noqa: E402
from world import CONTRACT, WORLD  # noqa: E402


def everything_documented_was_seen():
    missing = CONTRACT.missing()
    documented = CONTRACT.documented()
    figure(f"{len(CONTRACT.seen & documented)} of {len(documented)} documented "
           "answers seen, by operation, status and code")
    bad = ["never seen: " + " ".join(map(str, answer)) for answer in missing]
    bad += CONTRACT.bad
    assert not bad, "\n" + "\n".join(bad)


if __name__ == "__main__":
    with WORLD:
        run([*answers.CASES, *spoilt.CASES, *records.CASES, *network.CASES,
             *trouble.CASES, *wire.CASES, everything_documented_was_seen])
