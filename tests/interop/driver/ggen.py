# SPDX-License-Identifier: Apache-2.0
"""The swarm of the ggen marketplace, set up as its nodes are, and souk on its
network.  Such a node answers and never asks, closes connections without
streams at once, pings nobody, and waits for full packets."""
import json
import queue
import time

from driver.stranger import Stranger, b64
from support.souk import Node, wait_until

SWARM = {"kad": "/ipfs/kad/1.0.0", "topic": "/ggen/packages/v1",
         "protocolVersion": "/ggen/1.0.0", "messageId": "default",
         "heartbeatMs": 10000, "idleMs": 0, "ping": False, "nodelay": False,
         "learn": False}


def ggen_node(**more):
    return Node(args=["--network", "ggen"], **more)


def swarm_node():
    return Stranger("rust-0.54", **SWARM)


def connect(node, peer):
    """A dial now and then meets the moment in which no stream is open."""
    wait_until(lambda: node.post("/api/v1/peers?timeout=5s",
                                 {"multiaddr": peer.address}).status
               in (200, 201), "a connection")
    wait_until(lambda: node.count("routing_table_peers") >= 1, "in the table")
    wait_until(lambda: node.id in peer.subscribers(), "souk subscribed")


def package(namespace, name, **metadata):
    """As their serde writes it: every member, unsigned."""
    at = "2025-11-02T22:20:00.123456789Z"
    none = dict.fromkeys(["long_description", "homepage", "repository",
                          "documentation", "readme", "changelog"])
    return {
        "id": {"namespace": namespace, "name": name},
        "version": {"major": 1, "minor": 2, "patch": 3,
                    "pre_release": "beta.1"},
        "metadata": {
            "title": name, "description": "Of the marketplace.", **none,
            "categories": ["WebService", {"Custom": "crypto"}],
            "tags": ["rust"], "license": "MIT",
            "authors": [{"id": "alice", "name": "Alice", "email": None,
                         "public_key": {"algorithm": "Ed25519",
                                        "key_data": [0, 1, 255],
                                        "fingerprint": "00" * 32},
                         "metadata": {}}],
            "custom_fields": {}, **metadata},
        "content_id": {"hash": "00" * 32, "algorithm": "Sha256"},
        "dependencies": [{"package_id": {"namespace": "a", "name": "b"},
                          "version_requirement": {"Compatible": {
                              "major": 1, "minor": 0, "patch": 0,
                              "pre_release": None}},
                          "optional": False},
                         {"package_id": {"namespace": "a", "name": "c"},
                          "version_requirement": "Any", "optional": True}],
        "stats": {"downloads": 1, "stars": 2, "watchers": 3, "forks": 4,
                  "contributors": 5, "last_updated": at},
        "created_at": at, "updated_at": at}


def their_bytes(peer, made):
    """Through their own model, which must take it."""
    return json.dumps(peer.do("parse", data=b64(json.dumps(made)))["package"],
                      separators=(",", ":")).encode()


def parsed(peer, data):
    return peer.do("parse", data=b64(data))["package"]


def what_the_swarm_holds_is_found(kind):
    """A record put there is found over souk's REST, unverified."""
    del kind
    with ggen_node() as node, swarm_node() as peer:
        made = package("theirs", "stored")
        data = their_bytes(peer, made)
        peer.ask("put", key=b64("theirs/stored"), value=b64(data))
        assert peer.stored("theirs/stored")["value"] == data
        connect(node, peer)
        answer = node.get("/api/v1/packages/theirs/stored").expect(200)
        assert answer.headers["Souk-Trust"] == "unverified", answer.headers
        assert answer.body == data, answer.text


def what_the_swarm_announces_is_found(kind):
    """What is announced on its topic is found by search, unverified."""
    del kind
    with ggen_node() as node, swarm_node() as peer:
        connect(node, peer)
        wait_until(lambda: peer.ask(
            "publish", topic=SWARM["topic"], data=b64(their_bytes(
                peer, package("theirs", "announced"))))["ok"], "publish")
        found = wait_until(
            lambda: node.search("announced", scope="local")["results"],
            "the announced package")
        assert [(r["id"], r["trust"]) for r in found] == [
            ("theirs/announced", "unverified")], found


def what_souk_publishes_reaches_the_swarm(kind):
    """Announced on its topic, stored in its MemoryStore, read by its model."""
    del kind
    with ggen_node() as node, swarm_node() as peer:
        connect(node, peer)
        node.publish("ours/package", "1.2.3", wait="one", tags=["a", "b"],
                     categories=["Database", {"Custom": "odd"}])
        sender, data = peer.message()
        assert sender == node.id
        announced = parsed(peer, data)
        assert announced["id"] == {"namespace": "ours", "name": "package"}
        stored = wait_until(lambda: peer.stored("ours/package"), "stored")
        assert parsed(peer, stored["value"]) == announced
        mine = node.get("/api/v1/packages/ours/package").expect(200)
        assert stored["value"] == mine.body
        assert announced["metadata"]["categories"] == [
            "Database", {"Custom": "odd"}]
        assert mine.headers["Souk-Trust"] != "unverified"
        # What is unsigned does not take its place.
        peer.ask("publish", topic=SWARM["topic"], data=b64(their_bytes(
            peer, package("ours", "package"))))
        peer.ask("publish", topic=SWARM["topic"], data=b64(their_bytes(
            peer, package("theirs", "later"))))
        wait_until(lambda: node.get(
            "/api/v1/packages/theirs/later?scope=local").status == 200,
            "what came after")
        assert node.get("/api/v1/packages/ours/package?scope=local").body == \
            mine.body


def lasts(node, peer):
    """For 5 s, a hundred times what it waits, the last one does not close."""
    end = time.monotonic() + 5
    while not peer.closed.empty():
        peer.closed.get()
    while time.monotonic() < end:
        try:
            closed = peer.closed.get(timeout=end - time.monotonic())
            assert closed["left"] > 0, closed
        except queue.Empty:
            break
    assert node.connected() == {peer.id}


def connections_to_the_swarm_last(kind):
    """Whoever dialled, although it closes one without a stream at once."""
    del kind
    with ggen_node() as node, swarm_node() as peer:
        connect(node, peer)
        lasts(node, peer)
    with ggen_node() as node, swarm_node() as peer:
        wait_until(lambda: peer.ask("dial", address=node.address)["ok"] and
                   node.id in peer.subscribers(), "a connection")
        lasts(node, peer)


def its_rest_client_is_served(kind):
    """The paths ggen's client asks, and their shape; it sends no token."""
    del kind
    with ggen_node(env={"SOUK_HTTP_WRITE_AUTH": "none"}) as node, \
            swarm_node() as peer:
        made = package("client", "package")
        node.post("/api/v1/packages", made, auth=False).expect(200, 201)
        got = node.get("/api/v1/packages/client/package", auth=False)
        assert parsed(peer, got.expect(200).body)["stats"]["stars"] == 2
        found = node.get("/api/v1/packages/search?q=package", auth=False) \
            .expect(200).json
        assert found["total"] == 1, found
        assert parsed(peer, json.dumps(found["packages"][0]))["id"] == \
            made["id"]
        index = node.get("/api/v1/index", auth=False).expect(200).json
        assert [p["id"] for p in index["packages"]] == [made["id"]], index
        about = node.get("/api/v1/metadata", auth=False).expect(200).json
        assert about["package_count"] == 1, about
        versions = node.get("/api/v1/packages/client/package/versions",
                            auth=False).expect(200).json["versions"]
        assert [parsed(peer, json.dumps(v))["version"]["patch"]
                for v in versions] == [3]


CASES = [what_the_swarm_holds_is_found, what_the_swarm_announces_is_found,
         what_souk_publishes_reaches_the_swarm, connections_to_the_swarm_last,
         its_rest_client_is_served]
