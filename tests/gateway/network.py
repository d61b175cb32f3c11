# SPDX-License-Identifier: Apache-2.0
"""Other peers: known, banned, unreachable, silent, or none at all."""
import contextlib
import signal
import time

from faults import AT_THE_END, Faults
from keys import cid, stranger
from raw import Raw
from rows import unchanged
from support.souk import Network, Node, record, wait_until
from world import (CONTRACT, LOOKUPS, NO_CACHE, OF_THE_CORE, OPS, PEER_PATH,
                   SOMEBODY, WORLD, ask, beside, expect_problem, limit_of,
                   points_at)


def peers_come_and_go():
    a, b = WORLD.a, WORLD.b
    a.wait_connected(1)
    path = PEER_PATH.format(b.id)
    listed = a.get("/api/v1/peers").expect(200).json
    assert [p["id"] for p in listed["peers"]] == [b.id], listed
    assert a.get(path).expect(200).json["state"] == "connected"
    # Its CID is as good a name.
    assert a.get(PEER_PATH.format(cid(b.id))).expect(200).json["id"] == b.id
    seen = a.get(path + "/reputation").expect(200).json
    assert abs(min(1, sum(seen["terms"].values())) - seen["score"]) < 0.01
    connect = {"multiaddr": b.address}
    again = a.post("/api/v1/peers", connect).expect(200)
    assert again.headers["Location"] == path
    a.delete(path).expect(204)
    wait_until(lambda: b.id not in a.connected(), "to be gone")
    a.post("/api/v1/peers", connect).expect(200, 201)
    a.delete(path + "?ban=1h").expect(204)
    wait_until(lambda: b.id not in a.connected(), "to be banned")
    assert a.get(path).json["state"] == "banned"
    banned = a.get("/api/v1/peers?state=banned").expect(200).json
    assert [p["id"] for p in banned["peers"]] == [b.id], banned
    assert banned["peers"][0]["banned_until"]
    a.post("/api/v1/peers", connect).problem(403, "banned")
    a.delete(path + "?ban=1s").expect(204)
    wait_until(lambda: a.post("/api/v1/peers", connect).status in (200, 201),
               "the ban to end")
    # A ban may precede acquaintance.
    a.delete(PEER_PATH.format(SOMEBODY) + "?ban=1h").expect(204)
    a.get("/api/v1/peers?state=known").expect(200)


def a_new_connection_is_201():
    with Node(watch=CONTRACT.watch) as visitor:
        answer = visitor.post("/api/v1/peers",
                              {"multiaddr": WORLD.free.address}).expect(201)
        assert answer.json["id"] == WORLD.free.id
        assert answer.headers["Location"] == PEER_PATH.format(WORLD.free.id)
        visitor.delete(PEER_PATH.format(WORLD.free.id)).expect(204)
        visitor.get(PEER_PATH.format(WORLD.free.id)).expect(200)


def a_dial_that_fails_is_502():
    node = WORLD.b
    wrong = WORLD.other.address.replace(WORLD.other.id, stranger())
    mute = WORLD.silence.address(stranger())
    closed = f"/ip4/127.0.0.1/tcp/1/p2p/{stranger()}"
    for address in (wrong, mute, closed):
        start = time.monotonic()
        problem = node.post("/api/v1/peers?timeout=1s",
                            {"multiaddr": address}).problem(502, "dial-failed")
        assert time.monotonic() - start < 2, address
        assert problem["detail"] and problem["retryable"], problem
    WORLD.alone.post("/api/v1/peers", {"multiaddr": closed}).problem(
        502, "dial-failed")
    for body, pointer in (({}, "#/multiaddr"), ({"multiaddr": 5},
                                                "#/multiaddr"),
                          ({"multiaddr": "x"}, "#/multiaddr"),
                          ({"multiaddr": "/ip4/127.0.0.1/tcp/1"},
                           "#/multiaddr"),
                          ({"multiaddr": node.address}, "#/multiaddr"),
                          ({"multiaddr": f"/ip4/127.0.0.1/udp/1/quic-v1/p2p/"
                            f"{SOMEBODY}"}, "#/multiaddr")):
        points_at(ask(node, "connectPeer", body=body), "schema", pointer)


def too_many_dials_are_503():
    node = WORLD.lonely
    waiting = []
    try:
        for _ in range(32):
            raw = Raw(node.endpoints["http"])
            waiting.append(raw)
            body = ('{"multiaddr":"%s"}' % WORLD.silence.address(stranger()))
            raw.send(raw.head("POST", "/api/v1/peers?timeout=25s", {
                "Authorization": f"Bearer {node.token}",
                "Content-Type": "application/json",
                "Content-Length": len(body)}) + "\r\n" + body)
        wait_until(lambda: limit_of(node, "dials")["use"] == 32, "32 dials")
        ask(node, "connectPeer").problem(503, "limit")
    finally:
        for raw in waiting:
            raw.close()


def a_package_comes_over_the_network():
    a, b = WORLD.a, WORLD.b
    a.publish("net/lib", wait="quorum", description="Found afar.")
    got = b.get("/api/v1/packages/net/lib").expect(200)
    assert got.headers["Souk-Trust"] in ("signed", "pinned")
    assert b.get("/api/v1/packages/net/lib").headers["Souk-Trust"] == "pinned"
    b.get("/api/v1/packages/net/lib/versions/1.0.0").expect(200)
    b.get("/api/v1/packages/net/lib/versions").expect(200)
    with unchanged(b, "another's namespace"):
        b.post("/api/v1/packages", record("net/lib", "2.0.0")).problem(
            403, "not-owner")
    for name in ("search", "ggenSearch"):
        ask(b, name, "q=afar", headers=NO_CACHE).expect(200)
    one = a.post("/api/v1/packages?wait=one", record("net/one")).expect(201)
    assert one.json["stored"]["acked"] >= 1, one.json["stored"]
    b.get("/api/v1/packages/no/such").problem(404, "not-found")


def no_peers_is_504():
    node = WORLD.lonely
    for name in LOOKUPS:
        answer = expect_problem(ask(node, name), 504, "lookup-incomplete")
        if answer.body:
            assert not answer.json["lookup"]["complete"], answer.json
        expect_problem(ask(node, name, "scope=local"), 404, "not-found")
    # An outage degrades a search to the catalogue.
    found = ask(node, "search", "q=lib").expect(200)
    assert not found.json["lookup"]["complete"], found.json
    assert found.headers["Cache-Control"] == "no-store"
    assert found.headers["ETag"] is None
    ask(node, "readyz", "verbose").expect(503)
    ask(node, "health").expect(503)
    ask(node, "livez").expect(200)
    # What can be done alone is done.
    quick = node.post("/api/v1/packages?wait=quorum&timeout=100ms",
                      record("lone/lib")).expect(201)
    assert quick.json["stored"]["acked"] == 0
    node.get("/api/v1/packages/lone/lib").expect(200)


@contextlib.contextmanager
def deaf_node(faults):
    """A node whose one peer has been stopped after they met."""
    with Network(2, watch=CONTRACT.watch, env=faults.env,
                 args=["--http-conns-max", "4096"]) as net:
        net.wait_connected()
        wait_until(lambda: net[1].count("routing_table_peers") >= 1, "table")
        net[0].process.send_signal(signal.SIGSTOP)
        try:
            yield net[1]
        finally:
            net[0].process.send_signal(signal.SIGCONT)


@beside
def a_peer_that_never_answers_ends_with_the_deadline():
    faults = Faults(WORLD.folder, "deaf")
    with deaf_node(faults) as node:
        for name in LOOKUPS:
            for query, headers, least, most in (
                    ("timeout=150ms", {}, 0.15, 1.15),
                    ("", {"Prefer": "respond-async, wait=1"}, 1, 2)):
                if headers and name != "getPackage":
                    continue
                start = time.monotonic()
                expect_problem(ask(node, name, query, headers=headers), 504,
                               "lookup-incomplete")
                took = time.monotonic() - start
                assert least * 0.9 < took < most, (name, query, took)
        start = time.monotonic()
        found = ask(node, "search", "q=lib&timeout=100ms").expect(200)
        assert time.monotonic() - start < 1.1
        assert not found.json["lookup"]["complete"], found.json
        assert found.headers["Cache-Control"] == "no-store"
        start = time.monotonic()
        answer = node.post("/api/v1/packages?wait=one&timeout=200ms",
                           record("deaf/lib")).expect(201)
        assert time.monotonic() - start < 1.2
        assert answer.json["stored"]["acked"] == 0, answer.json["stored"]
        flood(node)
        with faults.core_stands(AT_THE_END):
            second_sigterm_says_draining(node, faults)
        assert node.process.wait(30) == 0


def flood(node):
    """As many lookups as the core takes; then it says so, and goes on."""
    waiting = []

    def one_more():
        raw = Raw(node.endpoints["http"])
        waiting.append(raw)
        raw.send(raw.head("GET", "/api/v1/packages/flood/lib?timeout=25s")
                 + "\r\n")

    def is_full():
        limit = limit_of(node, "requests")
        if limit["use"] < 1024 and len(waiting) < 4096:
            one_more()      # a busy machine refused some on their way
        return limit["use"] == 1024 and limit["refused"] > 0

    try:
        for _ in range(1024):
            one_more()
        wait_until(lambda: ask(node, "listPeers").status == 503, "a flood")
        wait_until(is_full, lambda: limit_of(node, "requests"))
        with unchanged(node, "a flooded node"):
            for name in [*OF_THE_CORE, *LOOKUPS, "search", "ggenSearch",
                         "connectPeer"]:
                expect_problem(ask(node, name, headers=NO_CACHE), 503, "busy")
        ask(node, "livez").expect(200)
        ask(node, "getNode").expect(200)
    finally:
        for raw in waiting:
            raw.close()
    wait_until(lambda: ask(node, "listPeers").status == 200, "room again")


def second_sigterm_says_draining(node, faults):
    """Who is impatient skips the wait for requests in flight; those that come
    after the core has ended are told."""
    half = []
    for name in OF_THE_CORE + LOOKUPS:
        op, raw = OPS[name], Raw(node.endpoints["http"], CONTRACT.watch)
        half.append((op, raw.send(raw.head(op.method, op.path, {
            "Authorization": f"Bearer {node.token}", **NO_CACHE}))))
    node.process.send_signal(signal.SIGTERM)
    wait_until(lambda: any("finishing requests" in line
                           for line in node.lines), "the first")
    node.process.send_signal(signal.SIGTERM)
    wait_until(lambda: faults.is_standing, "the second")
    for op, raw in half:
        raw.send("\r\n")
        expect_problem(raw.answer(op.method, op.path), 503, "draining")
        raw.close()


CASES = [
    peers_come_and_go,
    a_new_connection_is_201,
    a_dial_that_fails_is_502,
    a_package_comes_over_the_network,
    no_peers_is_504,
    too_many_dials_are_503,
    a_peer_that_never_answers_ends_with_the_deadline,
]
