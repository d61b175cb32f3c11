# SPDX-License-Identifier: Apache-2.0
"""The DHT: records and providers, both ways."""
import hashlib

from driver import wire
from driver.connections import KAD, souk_dials, they_ping, was_reset
from driver.stranger import Stranger, b64
from support.souk import Node, wait_until


def in_table(node, peer):
    """Both hold each other for the DHT."""
    wait_until(lambda: node.count("routing_table_peers") >= 1,
               "them in souk's table")
    wait_until(lambda: peer.table() >= 1, "souk in their table")


def signed_record(package, **fields):
    """A record signed by a key nobody here has, as its bytes."""
    with Node(args=["--standalone"]) as other:
        other.publish(package, **fields)
        return other.get(f"/api/v1/packages/{package}").expect(200).body


def two_heads(package):
    """Two records of one publisher, the second with the higher sequence."""
    with Node(args=["--standalone"]) as other:
        heads = []
        for version in ("1.0.0", "1.1.0"):
            other.publish(package, version)
            heads.append(other.get(f"/api/v1/packages/{package}").body)
        return heads


def put(peer, node, package, record):
    """By hand, answered by the same value."""
    stream = peer.open(node.id, KAD)
    stream.write(wire.kad_put(f"/souk/{package}".encode(), record))
    stream.finish()
    assert record in stream.read()[0], "not taken"


def term_key(word):
    digest = hashlib.sha256(b"souk-term-v1:" + word.encode()).digest()
    return b64(b"\x12\x20" + digest)


def providers(peer, word):
    return peer.do("find", key=term_key(word))["providers"]


def records_both_ways(kind):
    """PUT_VALUE and GET_VALUE, theirs and souk's."""
    with Node() as node, Stranger(kind.name) as peer:
        souk_dials(node, peer)
        in_table(node, peer)
        # souk puts; it is in their store, and they get it.
        stored = node.publish("souk/put", wait="one").json["stored"]
        assert stored["acked"] == 1, stored
        mine = node.get("/api/v1/packages/souk/put").body
        assert mine in peer.values("/souk/souk/put")
        # They put; souk has it and gives it over REST.
        theirs = signed_record("theirs/put")
        acked = peer.put("/souk/theirs/put", theirs)
        assert acked == [node.id], acked
        got = node.get("/api/v1/packages/theirs/put").expect(200)
        assert got.body == theirs


def providers_both_ways(kind):
    """ADD_PROVIDER and GET_PROVIDERS, theirs and souk's."""
    with Node() as node, Stranger(kind.name) as one, \
            Stranger(kind.name) as two:
        souk_dials(node, one)
        in_table(node, one)
        node.publish("souk/put", wait="one", tags=["zanzibar"])
        wait_until(lambda: node.id in providers(one, "zanzibar"),
                   "souk as provider of its term")
        # What one provides another hears of from souk.
        one.do("provide", key=term_key("word"))
        two.do("dial", address=node.address)
        wait_until(lambda: two.table() >= 1, "souk in their table")
        wait_until(lambda: one.id in providers(two, "word"), "a provider")


def peers_are_found(kind):
    """FIND_NODE: souk hands on whom it knows, and finds through them."""
    with Node() as node, Stranger(kind.name) as one, \
            Stranger(kind.name) as two, Node() as far:
        for peer in (one, two):
            souk_dials(node, peer)
        wait_until(lambda: node.count("routing_table_peers") == 2,
                   "both in souk's table")
        wait_until(lambda: one.table() >= 1, "souk in their table")
        found = wait_until(
            lambda: two.id in one.do(
                "closest", key=b64(wire.peer_bytes(two.id)))["peers"],
            "one found by the other")
        assert found
        # far knows one stranger only; it learns of souk through it.
        souk_dials(far, one)
        wait_until(lambda: node.id in far.connected(),
                   "souk found through them", 30)


def a_lookup_passes_through_them(kind):
    """What one souk puts and provides, another finds, with them between."""
    with Node() as a, Node() as b, Stranger(kind.name) as peer:
        souk_dials(b, peer)
        in_table(b, peer)
        b.publish("far/away", wait="one", description="Behind them.",
                  tags=["timbuktu"])
        wait_until(lambda: b.id in providers(peer, "timbuktu"), "B's word")
        souk_dials(a, peer)
        wait_until(lambda: a.count("routing_table_peers") >= 1,
                   "them in A's table")
        assert a.get("/api/v1/packages/far/away").expect(200).body == \
            b.get("/api/v1/packages/far/away").body
        found = wait_until(lambda: a.search("timbuktu")["results"],
                           "far/away by search", 30)
        assert [r["id"] for r in found] == ["far/away"], found


def publisher_and_ttl_are_kept(kind):
    """The record's two members that only rust knows come back as they went."""
    with Node() as node, Stranger(kind.name) as one, \
            Stranger(kind.name) as two:
        record = signed_record("kept/fields")
        souk_dials(node, one)
        in_table(node, one)
        one.put("/souk/kept/fields", record, ttl=3600)
        souk_dials(node, two)
        in_table(node, two)
        got = wait_until(lambda: [r for r in two.get("/souk/kept/fields")
                                  if r["from"] == node.id], "the record")[0]
        assert got["value"] == record
        assert got["publisher"] == one.id, got["publisher"]
        assert 3500 < got["ttl"] <= 3600, got["ttl"]
        # What souk puts there itself names souk, and lasts two days.
        node.publish("souk/kept", wait="one")
        kept = wait_until(lambda: two.stored("/souk/souk/kept"), "souk's own")
        assert kept["publisher"] == node.id, kept["publisher"]
        assert 47 * 3600 < kept["ttl"] <= 48 * 3600, kept["ttl"]


def what_is_no_record_is_refused(kind):
    """Wrong keys, wrong bytes, old sequences: refused, and survived."""
    with Node() as node, Stranger(kind.name) as peer:
        record = signed_record("a/b")
        peer.do("dial", address=node.address)
        wait_until(lambda: peer.do("identified", peer=node.id).get("agent"),
                   "identify")
        broken = record.replace(b'"title":"b"', b'"title":"c"')
        assert broken != record
        refused = {
            "another package's key": wire.kad_put(b"/souk/a/c", record),
            "no namespace of ours": wire.kad_put(b"/other/a/b", record),
            "no key of a package": wire.kad_put(b"/souk/a", record),
            "a signature that does not fit": wire.kad_put(
                b"/souk/a/b", broken),
            "no record at all": wire.kad_put(b"/souk/a/b", b"{}"),
            "a record for another key": wire.kad_put(
                b"/souk/a/b", record, record_key=b"/souk/a/c"),
            "more than 12 KiB": wire.kad_put(b"/souk/a/b", bytes(13000)),
            "a provider that is somebody else": wire.kad(
                wire.ADD_PROVIDER, b"\x12\x20" + bytes(32),
                (9, wire.message((1, wire.peer_bytes(node.id))))),
            "no type there is": wire.kad(9, b"/souk/a/b"),
        }
        for why, request in refused.items():
            stream = peer.open(node.id, KAD)
            stream.write(request)
            got = stream.read()
            assert was_reset(kind, got), f"{why}: {got}"
        assert node.count("records") == 0, node.status()["counts"]
        # The right one is still taken, an older one of its publisher not.
        older, newer = two_heads("c/d")
        put(peer, node, "c/d", newer)
        stream = peer.open(node.id, KAD)
        stream.write(wire.kad_put(b"/souk/c/d", older))
        got = stream.read()
        assert was_reset(kind, got), f"a stale sequence: {got}"
        stream = peer.open(node.id, KAD)
        stream.write(wire.kad(wire.GET_VALUE, b"/souk/c/d"))
        stream.finish()
        assert newer in stream.read()[0], "not the newer one"
        they_ping(node, peer)


def clients_stay_out_of_tables(kind):
    """Who only asks is answered, and asked nothing, on both sides."""
    with Node(args=["--kad-mode", "client"]) as client, \
            Stranger(kind.name, client=True) as their_client, \
            Node() as node, Stranger(kind.name) as peer:
        record = signed_record("by/client")
        their_client.do("dial", address=node.address)
        wait_until(lambda: their_client.table() >= 1, "souk in their table")
        assert their_client.put("/souk/by/client", record) == [node.id]
        assert record in their_client.values("/souk/by/client")
        souk_dials(client, peer)
        wait_until(lambda: client.count("routing_table_peers") >= 1,
                   "them in the client's table")
        client.publish("by/souk-client", wait="one")
        assert peer.values("/souk/by/souk-client")
        assert node.count("routing_table_peers") == 0
        assert client.id not in peer.do("table")["peers"] or \
            "takes-clients" in kind.can


CASES = [records_both_ways, providers_both_ways, peers_are_found,
         a_lookup_passes_through_them, publisher_and_ttl_are_kept,
         what_is_no_record_is_refused, clients_stay_out_of_tables]
