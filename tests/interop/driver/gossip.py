# SPDX-License-Identifier: Apache-2.0
"""Gossip: messages, mesh, and those that must not spread."""
import contextlib
import itertools
import json

from driver import wire
from driver.connections import connections, crossed, known, souk_dials
from driver.dht import signed_record
from driver.stranger import TOPIC, Stranger, b64
from support.souk import Node, wait_until


def has(node, package):
    return node.get(f"/api/v1/packages/{package}?scope=local").status == 200


def in_mesh(node, peer):
    wait_until(lambda: node.id in peer.mesh(), "souk in their mesh")
    wait_until(lambda: node.count("mesh_peers") >= 1, "them in souk's mesh")


@contextlib.contextmanager
def two_in_the_mesh(kind):
    """A node with two of them in its mesh."""
    with Node() as node, Stranger(kind.name) as one, \
            Stranger(kind.name) as two:
        for peer in (one, two):
            peer.do("dial", address=node.address)
            in_mesh(node, peer)
        yield node, one, two


def came_in(node, outcome):
    """How many messages of peers ended so."""
    text = node.admin.get("/metrics").expect(200).text
    return sum(int(line.split()[1]) for line in text.split("\n")
               if line.startswith("gossip_messages_total{")
               and 'direction="in"' in line
               and f'outcome="{outcome}"' in line)


def gossip_both_ways(kind):
    """Signed messages over the mesh, each once."""
    with Node() as node, Stranger(kind.name) as peer:
        peer.do("dial", address=node.address)
        in_mesh(node, peer)
        node.publish("by/souk")
        sender, data = peer.message()
        assert sender == node.id
        assert json.loads(data)["id"] == {"namespace": "by", "name": "souk"}
        peer.publish(signed_record("theirs/by"))
        wait_until(lambda: has(node, "theirs/by"), "the package they announced")
        # Nothing came twice.
        node.publish("by/souk-again")
        sender, data = peer.message()
        assert json.loads(data)["id"]["name"] == "souk-again", data
        assert peer.messages.empty()


def the_newest_version_is_agreed(kind):
    """1.2 with who has it, 1.1 with who offers no more; on both streams."""
    for wanted, options in ((kind.gossip, {}), ("1.1", {"gossipOld": True})):
        with Node(args=["--log-level", "debug"]) as node, \
                Stranger(kind.name, **options) as peer:
            peer.do("dial", address=node.address)
            in_mesh(node, peer)
            versions = peer.do("subscribers", topic=TOPIC)["versions"]
            assert versions == {node.id: wanted}, versions
            for direction in ("in", "out"):
                line = (f"gossip stream peer={peer.id} direction={direction} "
                        f"protocol=/meshsub/{wanted}.0")
                assert node.log().count(line) == 1, line
            node.publish("by/souk")
            assert peer.message()[0] == node.id


def souk_passes_on(kind):
    """A message of one of them reaches another through souk, as it was."""
    with two_in_the_mesh(kind) as (_, one, two):
        record = signed_record("passed/on")
        one.publish(record)
        assert two.message() == (one.id, record)


def rubbish_goes_no_further(kind):
    """What is no record costs its sender its good name, and stops here."""
    with two_in_the_mesh(kind) as (node, bad, good):
        score = known(node, bad)["score"]
        bad.publish(b'{"not":"a record"}')
        wait_until(lambda: came_in(node, "rejected") == 1, "it refused")
        wait_until(lambda: known(node, bad)["score"] < score, "a lower score")
        node.publish("by/souk")
        assert good.message()[0] == node.id


def bad_signatures_are_dropped(kind):
    """Counted too, and they lower the score of who signed so."""
    with two_in_the_mesh(kind) as (node, bad, good):
        record = signed_record("bad/signature")
        author = wire.peer_bytes(bad.id)
        score = known(node, bad)["score"]
        stream = bad.open(node.id, "/meshsub/1.1.0")
        stream.write(wire.gossip_subscription(TOPIC))
        for seqno, signature in ((1, bytes(64)), (2, None), (3, b"short")):
            stream.write(wire.gossip_message(author, record, TOPIC, seqno,
                                             signature))
        wait_until(lambda: came_in(node, "bad-own-message") == 3,
                   lambda: node.admin.get("/metrics").text)
        wait_until(lambda: known(node, bad)["score"] < score, "a lower score")
        # What nobody subscribed to is passed over.
        stream.write(wire.gossip_message(author, record, "/no/such/topic", 4,
                                         bytes(64)))
        wait_until(lambda: came_in(node, "unknown-topic") == 1, "passed over")
        assert not has(node, "bad/signature")
        # The same record well signed is no duplicate of what was refused.
        # (Not by the bad one: it is out of the mesh as soon as souk has time.)
        good.publish(record)
        wait_until(lambda: has(node, "bad/signature"), "the record")
        # Nothing of it reached the other before.
        node.publish("by/souk")
        assert good.message()[0] == node.id


def leaving_the_topic_is_heard(kind):
    """Who unsubscribes is out of the mesh, who comes back is told again."""
    with Node() as node, Stranger(kind.name) as peer:
        souk_dials(node, peer)
        in_mesh(node, peer)
        peer.do("unsubscribe", topic=TOPIC)
        wait_until(lambda: node.count("mesh_peers") == 0, "souk's mesh empty")
        peer.do("subscribe", topic=TOPIC)
        wait_until(lambda: node.id in peer.subscribers(), "souk subscribed")
        heard, patches = [], iter(range(1000))

        def hears():
            node.publish("now/here", f"1.0.{next(patches)}")
            while not peer.messages.empty():
                heard.append(json.loads(peer.message()[1])["id"]["name"])
            return heard

        wait_until(hears, "a message to who came back")


def crossed_dials_keep_the_gossip(kind):
    """Messages pass both ways still when one of two connections has gone."""
    for is_smaller in (True, False):
        with crossed(kind, is_smaller) as (peer, node):
            in_mesh(node, peer)
            wait_until(lambda: connections(node, peer) == (1, 1),
                       lambda: connections(node, peer))
            records = (signed_record(f"said{i}/after")
                       for i in itertools.count())

            def is_heard():
                peer.ask("publish", topic=TOPIC, data=b64(next(records)))
                return came_in(node, "delivered") > 0

            wait_until(is_heard, "what they say")
            node.publish("by/souk")
            assert peer.message()[0] == node.id


@contextlib.contextmanager
def one_with_a_full_mesh(kind):
    """It has room for one, whom it has: others are pruned.  So it passes on to
    no other and is passed nothing, but offers and asks.  (DHT clients, so that
    nobody finds anybody by himself.)"""
    with Stranger(kind.name, meshMax=1, client=True) as peer, \
            Stranger(kind.name, client=True) as filler:
        filler.do("dial", address=peer.address)
        wait_until(lambda: peer.mesh() == [filler.id], "a full mesh")
        yield peer


def what_the_direct_link_lost_is_recovered(kind):
    """By IHAVE and IWANT, theirs and souk's."""
    with Node() as a, Node() as b, one_with_a_full_mesh(kind) as middle:
        for node in (a, b):
            souk_dials(node, middle)
            wait_until(lambda: node.id in middle.subscribers(), "souk there")
        # A's own message goes to all it knows: to the middle, not to B.
        wait_until(lambda: a.count("mesh_peers") == 0, "A pruned")
        a.publish("by/ihave")
        assert json.loads(middle.message()[1])["id"]["namespace"] == "by"
        wait_until(lambda: has(b, "by/ihave"), "B by IHAVE of theirs", 15)
    with Node() as node, one_with_a_full_mesh(kind) as far, \
            Stranger(kind.name, client=True) as near:
        near.do("dial", address=node.address)
        in_mesh(node, near)
        souk_dials(node, far)
        wait_until(lambda: node.id in far.subscribers(), "souk there")
        wait_until(lambda: node.count("mesh_peers") == 1, "far out of it")
        record = signed_record("from/near")
        near.publish(record)
        assert far.message() == (near.id, record)


CASES = [gossip_both_ways, the_newest_version_is_agreed, souk_passes_on,
         rubbish_goes_no_further, bad_signatures_are_dropped,
         leaving_the_topic_is_heard, crossed_dials_keep_the_gossip,
         what_the_direct_link_lost_is_recovered]
