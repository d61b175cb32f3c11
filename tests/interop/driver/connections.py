# SPDX-License-Identifier: Apache-2.0
"""Connections: handshake, identify, ping, keys, streams.  A case gets the
implementation it is run against, `kind` (driver/kinds.py)."""
import concurrent.futures
import contextlib

from driver import bulk, wire
from driver.stranger import Stranger, Stream, b64
from support.souk import Node, wait_until

PING, PUSH = "/ipfs/ping/1.0.0", "/ipfs/id/push/1.0.0"
KAD = "/souk/kad/1.0.0"


def souk_dials(node, peer):
    answer = node.post("/api/v1/peers?timeout=10s",
                       {"multiaddr": peer.address}).expect(200, 201)
    assert answer.json["id"] == peer.id, answer.text


def they_ping(node, peer):
    # js allows itself one ping at a time, and its DHT pings as well.
    wait_until(lambda: peer.ask("ping", peer=node.id)["ok"], "their ping")


def known(node, peer):
    return node.get(f"/api/v1/peers/{peer.id}").expect(200).json


def check_identity(kind, node, peer):
    seen = wait_until(lambda: peer.ask("identified", peer=node.id).get("agent")
                      and peer.do("identified", peer=node.id),
                      "identify by them")
    assert seen["agent"].startswith("souk/"), seen
    assert seen["protocolVersion"] == "/souk/1.0.0", seen
    for protocol in ("/ipfs/id/1.0.0", PUSH, PING, KAD, "/meshsub/1.2.0",
                     "/souk/search/1.0.0"):
        assert protocol in seen["protocols"], (protocol, seen)
    assert any(node.endpoints["listen"][0].startswith(address.split("/p2p")[0])
               for address in seen["addresses"]), seen
    if "records" in kind.can:
        assert seen["hasRecord"], "the signed peer record did not verify"
    about = wait_until(lambda: known(node, peer)["agent"] and
                       known(node, peer), "identify by souk")
    assert about["agent"].startswith(kind.agent), about
    assert PING in about["protocols"], about
    if "kad" in kind.can:
        assert KAD in about["protocols"], about


def was_reset(kind, got):
    """Whether that is what a reset looks like to them: to rust's reader it is
    an end like any other."""
    data, end = got
    return data == b"" and (end == "reset" or
                            end == "eof" and "resets" not in kind.can)


def check_connection(kind, node, peer, direction):
    """Identify and ping go both ways over it."""
    check_identity(kind, node, peer)
    they_ping(node, peer)
    wait_until(lambda: (known(node, peer)["latency_ms"] or -1) >= 0,
               "souk's ping")
    assert known(node, peer)["direction"] == direction


def they_dial(kind):
    """A handshake they begin; identify and ping both ways."""
    with Node() as node, Stranger(kind.name) as peer:
        assert peer.do("dial", address=node.address)["peer"] == node.id
        check_connection(kind, node, peer, "inbound")


def souk_dials_them(kind):
    """A handshake souk begins; identify and ping both ways."""
    with Node() as node, Stranger(kind.name) as peer:
        souk_dials(node, peer)
        check_connection(kind, node, peer, "outbound")


def identify_is_pushed(kind):
    """Theirs reaches souk, souk's reaches them."""
    new = "/souk/test/new/1.0.0"
    with Node() as node, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Stranger(kind.name)) for _ in range(4)]
        for peer in peers:
            peer.do("dial", address=node.address)
            check_identity(kind, node, peer)
        peers[0].do("offer", protocol=new)
        peers[0].ask("push", peer=node.id)  # some push by themselves
        wait_until(lambda: new in known(node, peers[0])["protocols"],
                   "their push")

        # An address that four peers saw souk at is souk's: it tells everybody.
        outside = "/ip4/93.184.216.34/tcp/4001"
        observed = bytes([4, 93, 184, 216, 34, 6, 4001 >> 8, 4001 & 255])
        for peer in peers:
            stream = peer.open(node.id, PUSH)
            stream.write(wire.framed(wire.message((4, observed))))
            stream.finish()
        for peer in peers:
            wait_until(lambda: outside in [
                address.split("/p2p")[0] for address in
                peer.do("identified", peer=node.id)["addresses"]],
                "souk's push")
            # What those pushes left out has not changed.
            assert PING in known(node, peer)["protocols"], known(node, peer)
            assert known(node, peer)["agent"], known(node, peer)


def every_key_type(kind):
    """Identities other than Ed25519, dialling and dialled."""
    for options in kind.key_types():
        # A node each: whoever has been connected may dial again by himself.
        with Stranger(kind.name, **options) as peer, Node() as ours, \
                Node() as theirs:
            souk_dials(ours, peer)
            they_ping(ours, peer)
            peer.do("dial", address=theirs.address)
            they_ping(theirs, peer)
            assert known(theirs, peer)["direction"] == "inbound"


def a_wrong_peer_id_is_refused(kind):
    """By whoever dialled."""
    with Node() as node, Stranger(kind.name) as peer, \
            Stranger(kind.name) as other:
        wrong = peer.address.replace(peer.id, other.id)
        node.post("/api/v1/peers?timeout=10s", {"multiaddr": wrong}).problem(
            502, "dial-failed")
        answer = peer.ask("dial",
                          address=node.address.replace(node.id, other.id))
        assert not answer["ok"], answer
        assert node.connected() == set(), node.connected()


@contextlib.contextmanager
def node_beside(peer, is_smaller):
    """A node whose id is smaller than the peer's, or larger: by that goes
    which connection is kept."""
    while True:
        with Node() as node:
            if is_smaller == (wire.peer_bytes(node.id) <
                              wire.peer_bytes(peer.id)):
                yield node
                return


def is_dialled(address):
    """Whether somebody's socket is connected to it."""
    port = f":{int(address.split('/')[4]):04X}"
    rows = [line.split() for line in open("/proc/net/tcp")]
    return any(row[2].endswith(port) and row[3] == "01" for row in rows[1:])


def cross(node, peer):
    """Both dial before either has heard of it: the peer sleeps meanwhile."""
    with concurrent.futures.ThreadPoolExecutor(1) as aside:
        peer.freeze()
        ours = aside.submit(souk_dials, node, peer)
        wait_until(lambda: is_dialled(peer.address), "souk's dial")
        theirs = peer.begin("dial", address=node.address)
        peer.thaw()
        ours.result()
        # Some say of the one they give up that it failed.
        theirs.get(timeout=60)


@contextlib.contextmanager
def crossed(kind, is_smaller):
    """A peer and a node with two connections, one dialled by each.  (Now and
    then one of them was quicker than the other.)"""
    for _ in range(10):
        with Stranger(kind.name) as peer, \
                node_beside(peer, is_smaller) as node:
            cross(node, peer)
            if peer.do("connections")["count"] == 2:
                yield peer, node
                return
    raise AssertionError("their dials never crossed")


def connections(node, peer):
    """How many there are between them, as each sees it."""
    log = node.log()
    mine = log.count(f"peer connected peer={peer.id}") - \
        log.count(f"peer disconnected peer={peer.id}")
    return mine, peer.do("connections")["count"]


def check_asked(kind, node, peer, times):
    """Whichever connection it goes over, there is an answer to everything."""
    for _ in range(times):
        stream = ask_on_a_stream(node, peer)
        assert stream, "no answer"
        stream.finish()
        if "kad" in kind.can:
            node.get("/api/v1/packages/no/such").expect(404)


def both_dial_at_once(kind):
    """Crossed dials leave one connection, and nothing asked is lost."""
    for is_smaller in (True, False):
        with crossed(kind, is_smaller) as (peer, node):
            check_identity(kind, node, peer)
            check_asked(kind, node, peer, 10)
            wait_until(lambda: connections(node, peer) == (1, 1),
                       lambda: connections(node, peer))
            check_asked(kind, node, peer, 10)
            they_ping(node, peer)
            assert node.connected() == {peer.id}
            if "kad" in kind.can:
                wait_until(lambda: node.count("routing_table_peers") >= 1,
                           "them in souk's table")
                stored = node.publish("crossed/dials", wait="one")
                assert stored.json["stored"]["acked"] == 1, stored.text


def streams_end_as_they_should(kind):
    """Half-closed, reset, refused: each ends one stream and no more."""
    with Node() as node, Stranger(kind.name) as peer:
        peer.do("dial", address=node.address)
        check_identity(kind, node, peer)
        # Half-close: we are done, the other side still answers.
        stream = peer.open(node.id, KAD)
        stream.write(wire.kad(wire.FIND_NODE, b"anything"))
        stream.finish()
        answer, _ = stream.read(1)
        rest, end = stream.read()
        assert end == "eof", end
        kinds = dict(wire.fields(wire.unframed(answer + rest)[0]))
        assert kinds.get(1) == wire.FIND_NODE, kinds
        # Reset in the middle of a message.
        broken = peer.open(node.id, KAD)
        broken.write(b"\x7f\x08")
        broken.reset()
        # What nobody may say on a stream is answered by a reset.
        wrong = peer.open(node.id, KAD)
        wrong.write(wire.framed(b"\xff\xff\xff\xff"))
        assert was_reset(kind, wrong.read()), "no reset"
        # A protocol nobody speaks.
        refused = peer.ask("open", peer=node.id, protocol="/no/such/1.0.0")
        if refused["ok"]:  # opened lazily: seen at the first use
            assert peer.ask("read", stream=refused["stream"], bytes=1,
                            ms=5000).get("end") != "open"
        # The connection has lived through it all, and is still the same.
        echo = peer.open(node.id, PING)
        echo.write(bytes(range(32)))
        assert echo.read(32) == (bytes(range(32)), "open")
        echo.finish()
        assert echo.read(1) == (b"", "eof")
        assert peer.closed.empty(), peer.closed.get()


def go_away_is_heard(kind):
    """Whoever leaves is missed at once, whoever stays lives on."""
    with Stranger(kind.name) as peer:
        with Node() as node:
            peer.do("dial", address=node.address)
            check_identity(kind, node, peer)
        gone = peer.closed.get(timeout=10)
        assert gone["peer"] == node.id, gone
        with Node() as node:
            souk_dials(node, peer)
            peer.do("hangup", peer=node.id)
            # It may be dialled again before anybody looks.
            wait_until(lambda: "peer disconnected" in node.log(),
                       "them gone", 5)
            souk_dials(node, peer)
            they_ping(node, peer)


def who_stops_reading_is_bounded(kind):
    """Answers nobody reads do not pile up, and others are served."""
    with Node() as node, Stranger(kind.name) as peer, \
            Stranger(kind.name) as other:
        peer.do("dial", address=node.address)
        other.do("dial", address=node.address)
        check_identity(kind, node, peer)
        before = node.memory_kib()
        # 64 MiB of questions on each of four streams, answered by as much;
        # more than any window.
        questions = b64(64 * wire.kad(wire.KAD_PING, b"k" * 500))
        for _ in range(4):
            stream = peer.open(node.id, KAD, paused=True)
            answer = peer.ask("write", stream=stream.number, times=2048,
                              data=questions, ms=2000)
            assert not answer["ok"] or answer["stalled"], \
                "souk took everything"
        grown = node.memory_kib() - before
        assert grown < 16 * 1024, f"{grown} KiB"
        they_ping(node, other)


def who_is_stopped_is_let_go(kind):
    """A peer that has stopped, its connection open, is closed in time."""
    with Node() as node, Stranger(kind.name) as peer:
        peer.do("dial", address=node.address)
        check_identity(kind, node, peer)
        peer.freeze()
        wait_until(lambda: node.connected() == set(), "let go", 75)


def the_muxer_is_agreed_late(kind):
    """With who names no muxers in the handshake, and both ways."""
    with Stranger(kind.name, noEarly=True) as peer:
        assert not bulk.dial(peer.address, 1000, 1000)["early_muxer"]
        with bulk.listening() as souk:
            assert not peer.do("dial", address=souk["listen"])["early"]
            moved = peer.do("bulk", peer=souk["peer"], send=1000, receive=1000)
        assert moved["received"] and moved["sent"], moved


def ask_on_a_stream(node, peer):
    """The stream, when it was answered."""
    opened = peer.ask("open", peer=node.id, protocol=KAD)
    if not opened["ok"]:
        return None
    stream = Stream(peer, opened["stream"])
    asked = peer.ask("write", stream=stream.number,
                     data=b64(wire.kad(wire.FIND_NODE, b"anything")))
    return stream if asked["ok"] and stream.read(1)[1] == "open" else None


def streams_beyond_the_limit_are_refused(kind):
    """By souk, and nothing else is lost."""
    with Node() as node, Stranger(kind.name) as peer:
        peer.do("dial", address=node.address)
        check_identity(kind, node, peer)
        streams = [ask_on_a_stream(node, peer) for _ in range(300)]
        answered = [stream for stream in streams if stream]
        assert 200 <= len(answered) <= 256, len(answered)
        limits = node.get("/api/v1/node/limits").expect(200).text
        assert '"streams_in"' in limits, limits
        for stream in answered:
            stream.finish()
            assert stream.read()[1] == "eof"
        assert ask_on_a_stream(node, peer), "no stream after the others' end"
        they_ping(node, peer)
        assert peer.closed.empty(), peer.closed.get()


def their_limits_are_borne(kind):
    """Who allows us one stream at a time is known all the same, and kept."""
    with Node() as node, Stranger(kind.name, streamsMax=1) as peer:
        souk_dials(node, peer)
        wait_until(lambda: (known(node, peer)["agent"] or "").startswith(
            kind.agent), "identify by souk")
        wait_until(lambda: (known(node, peer)["latency_ms"] or -1) >= 0,
                   "souk's ping")
        they_ping(node, peer)
        assert peer.closed.empty(), peer.closed.get()


def a_long_identify_is_understood(kind):
    """In several messages, the signed record in the last."""
    offered = [f"/souk/test/{'long' * 8}/{i}" for i in range(80)]
    with Node() as node, Stranger(kind.name) as peer:
        for protocol in offered:
            peer.do("offer", protocol=protocol)
        souk_dials(node, peer)
        check_identity(kind, node, peer)
        missing = set(offered) - set(known(node, peer)["protocols"])
        assert not missing, missing
        assert peer.address.split("/p2p")[0] in known(node, peer)["addresses"]


CASES = [they_dial, souk_dials_them, identify_is_pushed, every_key_type,
         a_wrong_peer_id_is_refused, both_dial_at_once,
         streams_end_as_they_should, go_away_is_heard,
         who_stops_reading_is_bounded, who_is_stopped_is_let_go,
         the_muxer_is_agreed_late, streams_beyond_the_limit_are_refused,
         their_limits_are_borne, a_long_identify_is_understood]
