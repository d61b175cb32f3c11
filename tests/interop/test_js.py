# SPDX-License-Identifier: Apache-2.0
"""js-libp2p as a stranger: it dials souk and souk dials it."""
import base64
import hashlib
import json
import os
import subprocess

from support.js import JsPeer, TOPIC
from support.souk import BINARY, Node, figure, run, wait_until

BULK_PEER = os.path.join(os.path.dirname(BINARY), "bulk_peer")
BULK = 100_000_000


def souk_dials(node, js):
    answer = node.post("/api/v1/peers?timeout=10s",
                       {"multiaddr": js.listen[0]}).expect(200, 201)
    assert answer.json["id"] == js.id, answer.text


def in_table(node, js):
    """Both hold each other for the DHT."""
    wait_until(lambda: node.count("routing_table_peers") >= 1,
               "js in souk's table")
    wait_until(lambda: js.do("table")["size"] >= 1, "souk in js's table")


def signed_record(package, **fields):
    """A record signed by a key nobody here has, as its bytes."""
    with Node(args=["--standalone"]) as other:
        other.publish(package, **fields)
        return other.get(f"/api/v1/packages/{package}").expect(200).body


def term_key(word):
    digest = hashlib.sha256(b"souk-term-v1:" + word.encode()).digest()
    return base64.b64encode(b"\x12\x20" + digest).decode()


def js_pings(node, js):
    # js allows itself one ping at a time, and its DHT pings as well.
    wait_until(lambda: js.ask("ping", peer=node.id)["ok"], "a ping by js")


def check_identity(node, js):
    seen = wait_until(lambda: js.ask("identified", peer=node.id).get("agent")
                      and js.do("identified", peer=node.id), "identify by js")
    assert seen["agent"].startswith("souk/"), seen
    assert seen["protocolVersion"] == "/souk/1.0.0", seen
    for protocol in ("/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0",
                     "/ipfs/ping/1.0.0", "/souk/kad/1.0.0", "/meshsub/1.2.0",
                     "/souk/search/1.0.0"):
        assert protocol in seen["protocols"], (protocol, seen)
    assert seen["hasRecord"], "the signed peer record did not verify"
    known = node.get(f"/api/v1/peers/{js.id}").expect(200).json
    assert known["agent"].startswith("js-libp2p/"), known
    assert "/souk/kad/1.0.0" in known["protocols"], known
    js_pings(node, js)
    wait_until(lambda: (node.get(f"/api/v1/peers/{js.id}").expect(200)
                        .json["latency_ms"] or -1) >= 0, "souk's ping of js")


def js_dials_souk():
    with Node() as node, JsPeer() as js:
        dialled = js.do("dial", address=node.address)
        assert dialled == {**dialled, "peer": node.id,
                           "muxer": "/yamux/1.0.0", "encryption": "/noise"}
        check_identity(node, js)
        assert node.get(f"/api/v1/peers/{js.id}").json["direction"] == \
            "inbound"


def souk_dials_js():
    with Node() as node, JsPeer() as js:
        souk_dials(node, js)
        check_identity(node, js)
        assert node.get(f"/api/v1/peers/{js.id}").json["direction"] == \
            "outbound"


def every_key_type_is_accepted():
    with Node() as node:
        for key_type in ("Ed25519", "secp256k1", "RSA"):
            with JsPeer(keyType=key_type) as js:
                souk_dials(node, js)
                js.do("hangup", peer=node.id)
                js.do("dial", address=node.address)
                js_pings(node, js)


def a_wrong_peer_id_is_refused():
    with Node() as node, JsPeer() as js, JsPeer() as other:
        wrong = js.listen[0].replace(js.id, other.id)
        node.post("/api/v1/peers?timeout=10s", {"multiaddr": wrong}).problem(
            502, "dial-failed")
        # js notices too, when it dials souk under another's name.
        answer = js.ask("dial",
                        address=node.address.replace(node.id, other.id))
        assert not answer["ok"], answer


def both_dial_at_once():
    with Node() as node, JsPeer() as js:
        import threading
        dial = threading.Thread(target=souk_dials, args=(node, js))
        dial.start()
        js.do("dial", address=node.address)
        dial.join()
        js_pings(node, js)
        wait_until(lambda: node.count("routing_table_peers") >= 1,
                   "js in souk's table")
        stored = node.publish("crossed/dials", wait="one").json["stored"]
        assert stored["acked"] == 1, stored
        assert node.connected() == {js.id}


def records_and_providers_both_ways():
    with Node() as node, JsPeer() as js:
        souk_dials(node, js)
        in_table(node, js)

        # souk puts, js gets: from js's own store, where souk put it.
        stored = node.publish("souk/put", wait="one",
                              tags=["zanzibar"]).json["stored"]
        assert stored["acked"] == 1, stored
        mine = node.get("/api/v1/packages/souk/put").body
        assert mine in js.values("/souk/souk/put")

        # js puts, souk has it and gives it over REST.
        theirs = signed_record("theirs/put")
        assert js.put("/souk/theirs/put", theirs) == [node.id]
        got = node.get("/api/v1/packages/theirs/put").expect(200)
        assert got.body == theirs
        # souk refuses what is not a record of that key, and lives on.
        assert js.ask("put", key="/souk/theirs/other",
                      value=base64.b64encode(theirs).decode()).get(
                          "acked", []) == []

        # souk provides its terms, js finds it as provider.
        wait_until(lambda: node.id in js.do(
            "find", key=term_key("zanzibar"))["providers"],
            "souk as provider of its term")
        js_pings(node, js)


def a_search_finds_its_provider_through_js():
    """A and B know only js.  B provides its words there, A finds B by them."""
    with Node() as a, Node() as b, JsPeer() as js:
        souk_dials(b, js)
        in_table(b, js)
        b.publish("far/away", wait="one", description="Behind js.",
                  tags=["timbuktu"])
        wait_until(lambda: b.id in js.do(
            "find", key=term_key("timbuktu"))["providers"], "B's word at js")
        souk_dials(a, js)
        wait_until(lambda: a.count("routing_table_peers") >= 1, "js in A")
        found = wait_until(lambda: a.search("timbuktu")["results"],
                           "far/away by search", 30)
        assert [r["id"] for r in found] == ["far/away"], found


def what_js_provides_is_handed_on():
    with Node() as node, JsPeer() as one, JsPeer() as two:
        souk_dials(node, one)
        in_table(node, one)
        one.do("provide", key=term_key("word"))
        two.do("dial", address=node.address)
        wait_until(lambda: two.do("table")["size"] >= 1, "souk in js's table")
        wait_until(lambda: one.id in two.do(
            "find", key=term_key("word"))["providers"], "js as provider")


def gossip_both_ways():
    with Node() as node, JsPeer() as js:
        js.do("dial", address=node.address)
        wait_until(lambda: node.id in js.do("subscribers", topic=TOPIC)[
            "mesh"], "souk in js's mesh")
        wait_until(lambda: node.count("mesh_peers") >= 1, "js in souk's mesh")
        node.publish("by/souk")
        sender, data = js.message()
        assert sender == node.id
        assert json.loads(data)["id"] == {"namespace": "by", "name": "souk"}

        record = signed_record("js/by")
        js.do("publish", topic=TOPIC,
              data=base64.b64encode(record).decode())
        wait_until(lambda: node.get(
            "/api/v1/packages/js/by?scope=local").status == 200,
            "the package js announced")
        # What is no record goes no further and costs js its good name only.
        js.do("publish", topic=TOPIC,
              data=base64.b64encode(b'{"not":"a record"}').decode())
        node.publish("by/souk-again")
        assert js.message()[0] == node.id
        assert node.get("/api/v1/packages/not/there?scope=local").status == 404


def bulk(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def a_hundred_megabytes_over_a_stream_each_way():
    with JsPeer() as js:
        ours = bulk([BULK_PEER, "dial", js.listen[0], str(BULK), str(BULK)])
        assert ours["received"] and ours["sent"], ours
        with subprocess.Popen([BULK_PEER, "listen"], text=True,
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as peer:
            told = json.loads(peer.stdout.readline())
            js.do("dial", address=told["listen"])
            theirs = js.do("bulk", 120, peer=told["peer"], send=BULK,
                           receive=BULK)
            peer.stdin.close()
        assert theirs["received"] and theirs["sent"], theirs
    figure("100 MB each way on one stream: "
           f"souk as opener {2 * BULK / 1e6 / ours['seconds']:.0f} MB/s, "
           f"js as opener {2 * BULK / 1e6 / theirs['seconds']:.0f} MB/s")


if __name__ == "__main__":
    run([js_dials_souk, souk_dials_js, every_key_type_is_accepted,
         a_wrong_peer_id_is_refused, both_dial_at_once,
         records_and_providers_both_ways,
         a_search_finds_its_provider_through_js,
         what_js_provides_is_handed_on, gossip_both_ways,
         a_hundred_megabytes_over_a_stream_each_way])
