# SPDX-License-Identifier: Apache-2.0
"""Networks of everybody: souk among all implementations at once."""
import collections
import contextlib
import json
import time

from driver import dht, wire
from driver.kinds import KINDS
from driver.stranger import Stranger, b64
from support.souk import Node, figure, wait_until


def who_can(what):
    return [kind for kind in KINDS.values() if what in kind.can]


@contextlib.contextmanager
def network(what, count, before):
    """(souk's nodes, strangers, all of them): two of each that can, the rest
    souk.  Number i knows those numbered before(i), and nobody else to begin
    with; no souk knows a souk."""
    kinds = who_can(what)
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(Stranger(kind.name))
                     for kind in kinds for _ in range(2)]
        nodes = [stack.enter_context(Node())
                 for _ in range(count - len(strangers))]
        assert len(nodes) >= 2, "no room for souk"
        everybody, left = [], list(nodes)
        for i, stranger in enumerate(strangers):
            everybody.append(stranger)
            if left and i % 2 == 0:
                everybody.append(left.pop())
        everybody += left
        for i, one in enumerate(everybody):
            for k in before(i):
                join(one, everybody[k])
        yield nodes, strangers, everybody


def join(one, other):
    if isinstance(one, Node):
        one.post("/api/v1/peers?timeout=20s",
                 {"multiaddr": other.address}).expect(200, 201)
    else:
        one.do("dial", address=other.address)


def records(count, namespace):
    """Signed ones of as many packages: name → bytes.  Each in a namespace of
    its own: of one whose owner it knows, souk asks for the owner's key."""
    with Node(args=["--standalone"]) as signer:
        made = {}
        for i in range(count):
            name = f"{namespace}{i}/package"
            signer.publish(name, tags=[f"{namespace}{i}"])
            made[name] = signer.get(f"/api/v1/packages/{name}").body
        return made


def table_size(one):
    return one.count("routing_table_peers") if isinstance(one, Node) \
        else one.table()


def a_dht_of_ten(kind):
    """Each knew one other: what any of them puts all others get."""
    del kind
    with network("kad", 10, lambda i: [i - 1] if i else []) as (
            nodes, strangers, everybody):
        for one in strangers:
            # Looking for oneself is how each comes to know the others.
            wait_until(lambda: one.table() >= 1, "a first peer")
            one.ask("closest", key=b64(wire.peer_bytes(one.id)))
        for one in everybody:
            wait_until(lambda: table_size(one) >= 3, "a table of three", 60)
        made = records(len(strangers), "chain")
        begun = time.monotonic()
        for one, (name, record) in zip(strangers, made.items()):
            acked = one.put(f"/souk/{name}", record)
            assert acked, f"{one.kind} put it nowhere"
        for i, node in enumerate(nodes):
            stored = node.publish(f"souk/n{i}", wait="one", tags=["mixed"])
            assert stored.json["stored"]["acked"] >= 1, stored.text
        for name, record in made.items():
            for node in nodes:
                got = wait_until(lambda: (
                    lambda r: r if r.status == 200 else None)(
                        node.get(f"/api/v1/packages/{name}")), name)
                assert got.body == record, name
        for i, node in enumerate(nodes):
            mine = node.get(f"/api/v1/packages/souk/n{i}").body
            for one in strangers:
                wait_until(lambda: mine in one.values(f"/souk/souk/n{i}"),
                           f"souk/n{i} at {one.kind}")
        wait_until(lambda: set(n.id for n in nodes) <= set(
            dht.providers(strangers[0], "mixed")), "all providers", 30)
        figure(f"ten mixed nodes: {len(made) + len(nodes)} records put, each "
               f"got by all others in {time.monotonic() - begun:.1f} s")


def a_gossip_of_twelve(kind):
    """A message of any reaches all, each once."""
    del kind
    with network("gossip", 12, lambda i: [k for k in (i - 1, i - 3)
                                          if k >= 0]) as (
            nodes, strangers, everybody):
        for one in everybody:
            wait_until(lambda: one.count("mesh_peers") >= 2
                       if isinstance(one, Node) else len(one.mesh()) >= 2,
                       "a mesh", 60)
        made = records(len(strangers), "ring")
        for one, record in zip(strangers, made.values()):
            one.publish(record)
        for i, node in enumerate(nodes):
            node.publish(f"souk-{i}/said")
        said = set(made) | {f"souk-{i}/said" for i in range(len(nodes))}
        for node in nodes:
            wait_until(lambda: all(
                node.get(f"/api/v1/packages/{name}?scope=local").status == 200
                for name in said), "all at souk", 30)
        for one, mine in zip(strangers, made):
            heard = collections.Counter()

            def hears_all():
                while not one.messages.empty():
                    package = json.loads(one.message()[1])["id"]
                    heard[f"{package['namespace']}/{package['name']}"] += 1
                return set(heard) >= said - {mine}

            wait_until(hears_all, lambda: f"{one.kind} heard {heard}", 30)
            assert set(heard.values()) == {1}, (one.kind, heard)
            assert mine not in heard, (one.kind, heard)


CASES = [a_dht_of_ten, a_gossip_of_twelve]
