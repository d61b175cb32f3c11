# SPDX-License-Identifier: Apache-2.0
"""The implementations, what they can do, and which cases that makes.

What is not in `can` has a reason in `lacks`, which docs/INTEROP.md shows: no
case is passed over in silence."""
import concurrent.futures
import dataclasses
import functools
import json
import os
import pathlib
import sys
import threading
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
    connections.a_long_identify_is_understood: ("splits",),
    **{case: ("kad",) for case in dht.CASES},
    **{case: ("gossip",) for case in gossip.CASES},
    dht.publisher_and_ttl_are_kept: ("kad", "ttl"),
    gossip.what_the_direct_link_lost_is_recovered: ("gossip", "mesh"),
}
# They wait for souk's patience to end: all at once, by test_patience.py.
ASIDE = {connections.who_is_stopped_is_let_go, connections.both_dial_at_once,
         gossip.crossed_dials_keep_the_gossip}
CASES = connections.CASES + dht.CASES + gossip.CASES + bulk.CASES


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    library: str   # and its version, as the lock file says
    agent: str     # what its identify says begins with
    keys: tuple    # besides Ed25519
    can: frozenset
    lacks: dict    # what of NEEDS it lacks, and why
    gossip: str = "1.2"  # the newest it has of those that souk has
    slower: int = 1      # bulk bytes are divided by this
    cases_at_once: int = 1

    def key_types(self):
        for key in self.keys:
            if key == "RSA" and self.name.startswith("rust"):
                yield {"keyType": key, "key": rsa_key()}
            else:
                yield {"keyType": key}


# What only one of them is asked: souk's side of it is the same for all.
ONLY_GO = {"late": "none lets its user leave the muxers out of the handshake; "
                   "go does, rust and py never name any",
           "splits": "asked of go, which splits what it says of itself",
           "many": "asked of go, which opens the most at once",
           "limits": "asked of go, which limits each peer's streams"}


def kind(name, library, agent, keys, can, lacks=None, **more):
    able = frozenset(can.split())
    others = {} if name == "go" else ONLY_GO
    return Kind(name, library, agent, keys, able, {**others, **(lacks or {})},
                **more)


KINDS = {k.name: k for k in [
    kind("js", "js-libp2p 3.3.11", "js-libp2p/", ("secp256k1", "RSA"),
         "early resets keys push kad gossip mesh records",
         {"ttl": "js knows neither publisher nor ttl of a record"},
         cases_at_once=2),
    kind("rust-0.54", "rust-libp2p 0.54.1", "rust-libp2p/",
         ("RSA", "ECDSA", "secp256k1"),
         "keys push kad ttl gossip mesh", gossip="1.1"),
    kind("rust-0.57", "rust-libp2p 0.57.1", "rust-libp2p/",
         ("RSA", "ECDSA", "secp256k1"),
         "keys push kad ttl gossip mesh"),
    kind("go", "go-libp2p 0.51.0", "go-libp2p/v0.51.0",
         ("RSA", "ECDSA", "secp256k1"),
         "early late many limits splits resets keys push records",
         {"kad": "go-libp2p's DHT is a module of its own",
          "gossip": "go-libp2p's gossip is a module of its own",
          "ttl": "no DHT", "mesh": "no gossip"}),
    kind("py", "py-libp2p 0.8.0", "py-libp2p/0.8.0", ("RSA", "secp256k1"),
         "keys push kad gossip records takes-clients",
         {"resets": "py reports the peer's reset as an end",
          "ttl": "py knows neither publisher nor ttl of a record",
          "mesh": "py offers messages by ids of its own making, and to nobody "
                  "whom it has pruned"},
         # It takes long to begin, and that is most of what it does.
         slower=16, cases_at_once=3),
]}


def cases(one):
    """The cases it can do."""
    return [case for case in CASES if set(NEEDS.get(case, ())) <= one.can]


def results_folder():
    folder = pathlib.Path(os.environ.get("SOUK_INTEROP_RESULTS",
                                         ROOT / "build/interop"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_writing = threading.Lock()


def note(name, case, result):
    """What the matrix is made of."""
    file = results_folder() / f"{name}.json"
    with _writing:
        results = json.loads(file.read_text()) if file.exists() else {}
        results[case.__name__] = result
        file.write_text(json.dumps(results, indent=1))


def noted(name, one, case):
    """The case, for run(); its result is written down."""
    def with_note():
        begun, result = time.monotonic(), "failed"
        try:
            case(one)
            result = round(time.monotonic() - begun, 2)
        finally:
            note(name, case, result)
    return functools.update_wrapper(with_note, case)


def begun(pool, name, one, case):
    """The case, begun now and waited for when it is its turn."""
    result = pool.submit(noted(name, one, case))
    return functools.update_wrapper(lambda: result.result(), case)


def main(name, of=None, under=None):
    """Run all cases of the implementation, or these, noted under that name."""
    one, wanted = KINDS.get(name), sys.argv[1:]
    mine = [case for case in of or cases(one) if case not in ASIDE and
            (not wanted or case.__name__ in wanted)]
    at_once = one.cases_at_once if one else 1
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        run([begun(pool, under or name, one, case)
             if at_once > 1 and case not in bulk.CASES else
             noted(under or name, one, case) for case in mine])


def main_aside():
    """What takes most of a minute of waiting, for all at once."""
    ready = []
    with concurrent.futures.ThreadPoolExecutor(
            len(KINDS) * len(ASIDE)) as pool:
        for one in KINDS.values():
            for case in cases(one):
                if case in ASIDE:
                    ready.append(begun(pool, one.name, one, case))
                    ready[-1].__name__ = f"{case.__name__}_{one.name}"
        run(ready)
