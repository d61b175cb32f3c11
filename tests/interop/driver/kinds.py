# SPDX-License-Identifier: Apache-2.0
"""The implementations, what they can do, and which cases that makes.

What is not in `can` has a reason in `lacks`, which docs/INTEROP.md shows: no
case is passed over in silence."""
import dataclasses
import functools
import json
import os
import pathlib
import time

from driver import bulk, connections, dht, gossip
from driver.stranger import rsa_key
from support.souk import ROOT, run

# A case needs of the implementation:
NEEDS = {
    connections.every_key_type: ("keys",),
    connections.identify_is_pushed: ("push",),
    connections.the_muxer_is_agreed_late: ("late",),
    connections.streams_beyond_the_limit_are_refused: ("many",),
    connections.their_limits_are_borne: ("limits",),
    **{case: ("kad",) for case in dht.CASES},
    **{case: ("gossip",) for case in gossip.CASES},
    dht.publisher_and_ttl_are_kept: ("kad", "ttl"),
    gossip.what_the_direct_link_lost_is_recovered: ("gossip", "mesh"),
}
CASES = connections.CASES + dht.CASES + gossip.CASES + bulk.CASES


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    library: str   # and its version, as the lock file says
    agent: str     # what its identify says begins with
    keys: tuple    # besides Ed25519
    can: frozenset
    lacks: dict    # what of NEEDS it lacks, and why
    slower: int = 1     # bulk bytes are divided by this
    streams: int = 512  # on one connection at once

    def key_types(self):
        for key in self.keys:
            if key == "RSA" and self.name.startswith("rust"):
                yield {"keyType": key, "key": rsa_key()}
            else:
                yield {"keyType": key}


def kind(name, library, agent, keys, can, lacks=None, **more):
    return Kind(name, library, agent, keys, frozenset(can.split()),
                lacks or {}, **more)


KINDS = {k.name: k for k in [
    kind("js", "js-libp2p 3.3.11", "js-libp2p/", ("secp256k1", "RSA"),
         "early resets keys push kad gossip mesh records",
         {"ttl": "js knows neither publisher nor ttl of a record"}),
    kind("rust-0.54", "rust-libp2p 0.54.1", "rust-libp2p/",
         ("RSA", "ECDSA", "secp256k1"),
         "keys push kad ttl gossip mesh"),
    kind("rust-0.57", "rust-libp2p 0.57.1", "rust-libp2p/",
         ("RSA", "ECDSA", "secp256k1"),
         "keys push kad ttl gossip mesh"),
    kind("go", "go-libp2p 0.51.0", "go-libp2p/v0.51.0",
         ("RSA", "ECDSA", "secp256k1"),
         "early late many limits resets keys push records",
         {"kad": "go-libp2p's DHT is a module of its own",
          "gossip": "go-libp2p's gossip is a module of its own",
          "ttl": "no DHT"}),
    kind("py", "py-libp2p 0.8.0", "py-libp2p/0.8.0", ("RSA", "secp256k1"),
         "resets keys push kad gossip mesh records",
         {"ttl": "py knows neither publisher nor ttl of a record"},
         slower=16, streams=100),
]}


def cases(one):
    """The cases it can do."""
    return [case for case in CASES if set(NEEDS.get(case, ())) <= one.can]


def results_folder():
    folder = pathlib.Path(os.environ.get("SOUK_INTEROP_RESULTS",
                                         ROOT / "build/interop"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def noted(name, one, case):
    """The case, for run(); its result is written down for the matrix."""
    def with_note():
        file = results_folder() / f"{name}.json"
        results = json.loads(file.read_text()) if file.exists() else {}
        begun, results[case.__name__] = time.monotonic(), "failed"
        try:
            case(one)
            results[case.__name__] = round(time.monotonic() - begun, 2)
        finally:
            file.write_text(json.dumps(results, indent=1))
    return functools.update_wrapper(with_note, case)


def main(name, of=None, under=None):
    """Run all cases of the implementation, or these, noted under that name."""
    one = KINDS[name]
    run([noted(under or name, one, case) for case in of or cases(one)])
