# SPDX-License-Identifier: Apache-2.0
"""What a node does when the world around it fails: it says so in its log, in
its metrics and to its clients, goes on with what it can, and is well again
without a restart when the world is.

Each case runs in network and mount namespaces of its own, several at a time:

    test_failures.py [CASE…]             the cases
    test_failures.py --inside CASE       one, in the namespaces we are in
"""
import concurrent.futures
import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from failures import (Clock, Names, NameServer, ReadOnly, Relay, Walls,
                      fails_in, fill, get_is_unknown, metric, run,
                      search_is_incomplete, small_disk, some_peer, wait_got,
                      wait_log, wait_metric, wait_not_ready)
from support.souk import Network, Node, free_port, record, wait_until

AT_ONCE = 4  # cases


def port_of(node):
    return int(node.address.split("/")[4])


def at_port(port):
    return ["--listen", f"/ip4/127.0.0.1/tcp/{port}"]


def is_alone(node):
    """Everything a node without peers says."""
    fails_in(node, "network")
    node.get("/livez").expect(200)
    get_is_unknown(node, "first/elsewhere")
    search_is_incomplete(node, "elsewhere", [])
    wait_log(node, "incomplete", "op=get")
    answer = node.post("/api/v1/packages?wait=one&timeout=500ms",
                       record("second/lone")).expect(201).json
    assert answer["stored"]["acked"] == 0, answer
    assert answer["stored"]["local"], answer
    wait_until(lambda: metric(node, "peers_connected") == 0, "no peers")
    wait_metric(node, 1, "souk_outbox")
    search_is_incomplete(node, "lone", ["second/lone"])


def bootstrap_peers_are_unreachable():
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        with Node(directory=data, args=at_port(port)) as first:
            first.publish("first/elsewhere")
            address = first.address
        with Node(bootstrap=[address]) as second:
            wait_log(second, "dial failed", first.id, "reason=")
            wait_metric(second, 1, "p2p_dials_failed_total")
            is_alone(second)
            with Node(directory=data, args=at_port(port)):
                second.wait_ready(75)
                wait_got(second, "first/elsewhere")
                second.wait_outbox()


def dns_fails():
    with tempfile.TemporaryDirectory() as own, Node() as first:
        names = Names(own)
        name = "souk.example.test"
        address = f"/dns4/{name}/tcp/{port_of(first)}/p2p/{first.id}"
        first.publish("first/elsewhere")
        with Node(bootstrap=[address]) as second:
            wait_log(second, "dial failed", first.id, "reason=")
            wait_log(second, "name not resolved", name, "reason=")
            wait_metric(second, 1, "p2p_names_failed_total")
            is_alone(second)
            names.add(name)
            second.wait_ready(75)
            wait_got(second, "first/elsewhere")
            second.wait_outbox()


def dns_fails_under_a_running_node():
    """The peer comes back elsewhere, and only its name says where."""
    name = "souk.example.test"
    with tempfile.TemporaryDirectory() as own, \
            tempfile.TemporaryDirectory() as data, \
            contextlib.ExitStack() as end:
        names, port = Names(own), free_port()

        def first_at(ip):
            return Node(directory=data, args=[
                "--standalone", "--listen", f"/ip4/{ip}/tcp/{port}"])

        names.add(name, "127.0.0.2")
        with first_at("127.0.0.2") as first:
            first.publish("first/elsewhere")
            address = f"/dns4/{name}/tcp/{port}/p2p/{first.id}"
            second = end.enter_context(Node(bootstrap=[address]))
            second.wait_ready(60)
            wait_got(second, "first/elsewhere")
            assert metric(second, "p2p_names_failed_total") == 0
            names.remove(name)
        with first_at("127.0.0.3") as first:
            wait_log(second, "peer disconnected", first.id)
            wait_log(second, "name not resolved", name, "reason=")
            wait_metric(second, 1, "p2p_names_failed_total")
            wait_until(lambda: metric(second, "peers_connected") == 0, "alone")
            second.get("/livez").expect(200)
            get_is_unknown(second, "org/missing")
            search_is_incomplete(second, "elsewhere", ["first/elsewhere"])
            names.add(name, "127.0.0.3")
            second.wait_connected(1, 80).wait_ready()
            second.publish("second/back", wait="one")
            wait_got(first, "second/back")


def the_name_server_is_mute():
    """So many questions wait for it and no more; then it says too much."""
    with tempfile.TemporaryDirectory() as own, Node() as first, \
            Node() as second, \
            concurrent.futures.ThreadPoolExecutor(32) as askers:
        server = NameServer(own)

        def row(name):
            limits = second.get("/api/v1/node/limits").expect(200).json
            return next(r for r in limits["limits"] if r["name"] == name)

        def connect(n, peer, within):
            return second.post(f"/api/v1/peers?timeout={within}s", {
                "multiaddr": f"/dns4/n{n}.example.test/tcp/{port_of(first)}"
                f"/p2p/{peer}"})

        before = second.memory_kib()
        asked = [askers.submit(connect, n, some_peer(n), 4)
                 for n in range(1, 17)]
        wait_until(lambda: row("resolves_in_flight")["use"] == 16,
                   lambda: row("resolves_in_flight"))
        assert row("resolves_in_flight")["refused"] == 0
        start = time.monotonic()
        connect(17, some_peer(17), 4).problem(502, "dial-failed")
        assert time.monotonic() - start < 2, "one too many waits"
        wait_until(lambda: row("resolves_in_flight")["refused"] == 1,
                   lambda: row("resolves_in_flight"))
        # Nobody else waits for it.
        second.get("/livez").expect(200)
        second.publish("second/here")
        search_is_incomplete(second, "here", ["second/here"])
        for future in asked:
            future.result().problem(502, "dial-failed")
        wait_log(second, "name not resolved", "example.test", "reason=")
        wait_metric(second, 16, "p2p_names_failed_total")
        assert second.memory_kib() - before < 8192
        assert row("resolved_addresses")["refused"] == 0
        server.addresses = 20
        wait_until(lambda: connect(0, first.id, 5).status == 201, "the peer")
        wait_until(lambda: row("resolved_addresses")["refused"] >= 4,
                   lambda: row("resolved_addresses"))
        second.wait_ready()


def a_peer_never_answers():
    with Network(2) as net:
        net.wait_ready()
        net[0].publish("first/there", wait="one")
        net[1].publish("second/here", wait="one")
        net[0].process.send_signal(signal.SIGSTOP)
        try:
            get_is_unknown(net[1], "org/missing")
            search_is_incomplete(net[1], "here")
            net[1].get("/api/v1/packages/second/here").expect(200)
            net[1].get("/readyz").expect(200)  # it may be a moment only
            wait_log(net[1], "incomplete", "op=get", "answered=0")
            wait_until(lambda: sum(
                metric(net[1], "kad_lookup_duration_seconds_count", op="get",
                       outcome=how) for how in ("deadline", "no-peers")) >= 1,
                "a lookup that was not complete")
            wait_metric(net[1], 1, "kad_rpc_total", direction="out",
                        outcome="timeout", within=40)
        finally:
            net[0].process.send_signal(signal.SIGCONT)
        wait_until(lambda: net[1].get(
            "/api/v1/packages/org/missing",
            headers={"Cache-Control": "no-cache"}).status == 404,
            "a complete answer", 60)
        wait_until(lambda: net[1].search("there", timeout="2s")["lookup"][
            "complete"], "a complete search", 60)


@contextlib.contextmanager
def behind_a_relay():
    """Two nodes, the second knows the first through a relay."""
    with Node() as first:
        relay = Relay(port_of(first))
        first.publish("first/there")
        with Node(bootstrap=[relay.address(first)]) as second:
            second.wait_ready(60).wait_connected(1)
            yield first, second, relay


def a_peer_answers_late():
    with behind_a_relay() as (first, second, relay):
        relay.how = "late"
        get_is_unknown(second, "org/missing", "100ms")
        search_is_incomplete(second, "there", timeout="100ms")
        wait_log(second, "incomplete", "reason=deadline")
        # Who waits longer is served.
        second.get("/api/v1/packages/org/missing?timeout=8s").problem(
            404, "not-found")
        wait_metric(second, 1, "kad_rpc_total", direction="out",
                    outcome="answered", type="get_value")
        relay.how = "pass"
        wait_got(second, "first/there")


def the_answer_ends(how, reason):
    with behind_a_relay() as (first, second, relay):
        before = metric(second, "kad_rpc_total", direction="out",
                        outcome="failed")
        lines = len(second.lines)
        relay.how = how
        answer = second.get("/api/v1/packages/org/missing?timeout=500ms",
                            headers={"Cache-Control": "no-cache"})
        answer.problem(504, "lookup-incomplete")
        assert relay.hits > 0
        wait_log(second, "peer disconnected", first.id, reason, after=lines)
        wait_metric(second, before + 1, "kad_rpc_total", direction="out",
                    outcome="failed")
        second.get("/livez").expect(200)
        relay.how = "pass"
        second.wait_connected(1, 75)
        wait_got(second, "first/there")
        banned = second.get("/api/v1/peers?state=banned").expect(200).json
        assert banned["total"] == 0, banned  # once is bad luck


def a_peer_vanishes_in_the_middle_of_an_answer():
    the_answer_ends("cut", "reason=")


def an_answer_is_corrupted():
    the_answer_ends("spoil", "reason=")


def publish_more(node):
    return node.post("/api/v1/packages",
                     record(f"org/during-{time.monotonic_ns()}",
                            description="x" * 1500))


def nothing_can_be_written(node, why):
    """Everything a node says that was given org/before, and cannot write."""
    wait_until(lambda: publish_more(node).status == 503, why)
    problem = publish_more(node).problem(503, "store")
    assert problem["retryable"], problem
    wait_not_ready(node, "store")
    wait_log(node, "error", "store", why)
    wait_log(node, "error", "nothing can be written", "souk.db")
    wait_metric(node, 1, "souk_store_failures_total")
    # What was there is served, and it stays not ready.
    node.get("/livez").expect(200)
    node.get("/api/v1/packages/org/before").expect(200)
    assert [r["id"] for r in node.search("before")["results"]] == [
        "org/before"]
    failures = metric(node, "souk_store_failures_total")
    wait_metric(node, failures + 2, "souk_store_failures_total")
    fails_in(node, "store")


def writes_work_again(node, lines):
    node.wait_ready()  # nobody has written anything
    wait_log(node, "writes work again", after=lines)
    node.publish("org/after")
    found = {r["id"] for r in node.search("", limit=100)["results"]}
    assert {"org/before", "org/after"} <= found, found


def the_disk_is_full():
    with tempfile.TemporaryDirectory() as data, small_disk(data), \
            Node(directory=data, args=["--standalone"]) as node:
        node.wait_ready()
        node.publish("org/before")
        filler = pathlib.Path(data) / "filler"
        fill(filler)
        nothing_can_be_written(node, "disk is full")
        lines = len(node.lines)
        filler.unlink()
        writes_work_again(node, lines)


def the_data_directory_turns_read_only():
    with tempfile.TemporaryDirectory() as data, small_disk(data), \
            tempfile.TemporaryDirectory() as own, Node() as other:
        disk = ReadOnly(data, own)
        with Node(directory=data, bootstrap=[other.address],
                  env=disk.env) as node:
            node.wait_ready(60)
            node.publish("org/before", wait="one")
            other.publish("far/away", wait="one")
            with disk.now():
                nothing_can_be_written(node, "Read-only file system")
                # Its own answers need the network, not the disk.
                assert node.search("away", timeout="2s")["total"] >= 0
                node.wait_connected(1)
                wait_got(other, "org/before")
            lines = len(node.lines)
            writes_work_again(node, lines)
            wait_got(node, "far/away")
            wait_got(other, "org/after")
            node.wait_outbox()
        # And what was said to be there is.
        with Node(directory=data, args=["--standalone"]) as node:
            for name in ("before", "after"):
                node.get(f"/api/v1/packages/org/{name}").expect(200)


def the_data_directory_is_read_only():
    with tempfile.TemporaryDirectory() as data, small_disk(data):
        with Node(directory=data, args=["--standalone"]) as node:
            identity = node.id
            node.publish("org/before")
        run("mount", "-o", "remount,ro", data)
        node = Node(directory=data, args=["--standalone"])
        stale = pathlib.Path(data) / "endpoints.json"
        assert not stale.exists()
        process = subprocess.run(node.command(), capture_output=True,
                                 env=node.environment(), text=True, timeout=30)
        assert process.returncode == 1, process
        assert data in process.stderr, process.stderr
        assert "ead-only" in process.stderr, process.stderr
        run("mount", "-o", "remount,rw", data)
        with Node(directory=data, args=["--standalone"]) as node:
            assert node.id == identity
            node.get("/api/v1/packages/org/before").expect(200)


def the_store_is_slow():
    """Another program holds the database: a publish is told that it may come
    yet, and to say it again is safe.  It goes to the network when it is done,
    though nobody waits for it any more."""
    with Network(2) as net:
        net.wait_ready()
        node, far = net[0], net[1]
        other = sqlite3.connect(node.dir / "souk.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = node.post("/api/v1/packages?timeout=200ms",
                           record("org/slow"))
        problem = answer.problem(503, "busy")
        assert "safe" in problem["detail"], problem
        assert int(answer.headers["Retry-After"]) >= 1
        other.execute("ROLLBACK")
        other.close()
        wait_got(node, "org/slow")
        node.wait_outbox(10)
        wait_got(far, "org/slow")
        node.post("/api/v1/packages", record("org/slow")).expect(200)
        node.wait_ready()


def the_clock_jumps():
    with tempfile.TemporaryDirectory() as own, Node() as first:
        clock = Clock(own)
        first.publish("first/there")
        with Node(bootstrap=[first.address], env=clock.env) as second:
            second.wait_ready(60)
            wait_got(second, "first/there")
            for n, (offset, sign) in enumerate((("+3d", "by_s=25"),
                                                ("-3d", "by_s=-51"),
                                                ("+0", "by_s=25"))):
                lines = len(second.lines)
                clock.set(offset)
                wait_log(second, "the clock was set", sign, after=lines)
                wait_metric(second, n + 1, "souk_clock_jumps_total")
                # Whatever time it is, it goes on.
                second.get("/livez").expect(200)
                second.get("/readyz").expect(200)
                wait_got(second, "first/there")
                name = f"second/at{n}"
                second.publish(name)
                second.get(f"/api/v1/packages/{name}").expect(200)
                assert second.search(f"at{n}", timeout="2s")["total"] >= 1
                wait_until(lambda: metric(second, "peers_connected") == 1,
                           "the peer")
            second.publish("second/last", wait="one")
            wait_got(first, "second/last")
            assert metric(second, "loop_lag_seconds") < 2


def a_network_parts_and_heals():
    walls = Walls()
    hosts = ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
    nodes = []
    try:
        for host in hosts:
            nodes.append(Node(
                bootstrap=[n.address for n in nodes[:1]],
                args=["--listen", f"/ip4/{host}/tcp/0"]).start())
        for node in nodes:
            node.wait_ready(60).wait_connected(2)
        nodes[0].publish("org/before", wait="quorum")
        with walls.around(*hosts):
            # Connections are there yet, and nothing comes through.
            get_is_unknown(nodes[1], "org/missing")
            search_is_incomplete(nodes[1], "before")
            for i, node in enumerate(nodes):
                node.publish(f"side{i}/made")
                node.get(f"/api/v1/packages/side{i}/made").expect(200)
                wait_log(node, "peer disconnected", "reason=", within=80)
                wait_log(node, "no peer is connected", within=80)
                wait_metric(node, 1, "souk_outbox")
                wait_until(lambda: metric(node, "peers_connected") == 0,
                           "no peers")
        for node in nodes:
            node.wait_connected(2, 80)
            node.wait_outbox(80)
        for node in nodes:
            for i in range(len(nodes)):
                wait_got(node, f"side{i}/made")
    finally:
        for node in nodes:
            node.__exit__(*sys.exc_info())


def all_peers_are_banned():
    with Network(2) as net:
        net.wait_ready()
        net[0].publish("first/elsewhere", wait="one")
        net[1].delete(f"/api/v1/peers/{net[0].id}?ban=8s").expect(200, 204)
        wait_log(net[1], "peer banned", net[0].id)
        wait_log(net[1], "no peer is connected")
        wait_until(lambda: metric(net[1], "peers_connected") == 0, "alone")
        banned = net[1].get("/api/v1/peers?state=banned").expect(200).json
        assert [p["id"] for p in banned["peers"]] == [net[0].id], banned
        get_is_unknown(net[1], "org/missing")
        search_is_incomplete(net[1], "elsewhere")
        net[1].get("/livez").expect(200)
        # The other may dial as it likes: it is not let in.
        net[1].post("/api/v1/peers", {"multiaddr": net[0].address},
                    timeout=20).expect(403, 502)
        net[1].wait_connected(1, 80)
        wait_got(net[1], "first/elsewhere")
        net[1].wait_ready()


CASES = {case.__name__: case for case in (
    a_network_parts_and_heals,  # the longest first
    a_peer_never_answers,
    bootstrap_peers_are_unreachable,
    dns_fails,
    dns_fails_under_a_running_node,
    the_name_server_is_mute,
    all_peers_are_banned,
    a_peer_answers_late,
    a_peer_vanishes_in_the_middle_of_an_answer,
    an_answer_is_corrupted,
    the_disk_is_full,
    the_data_directory_is_read_only,
    the_data_directory_turns_read_only,
    the_store_is_slow,
    the_clock_jumps,
)}


def inside(name):
    run("ip", "link", "set", "lo", "up")
    # Names are resolved only where there is an address besides 127.0.0.1.
    run("ip", "address", "add", "10.254.254.1/32", "dev", "lo")
    CASES[name]()


def beside(name):
    """In namespaces of its own; who is not root is root in there."""
    command = ["unshare", "--mount", "--net"]
    if os.geteuid() != 0:
        command.append("--map-root-user")
    start = time.monotonic()
    done = subprocess.run(
        [*command, sys.executable, __file__, "--inside", name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", timeout=600)
    return done, time.monotonic() - start


def main(names):
    failed = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        begun = {name: pool.submit(beside, name) for name in names}
        for name, future in begun.items():
            done, took = future.result()
            print(f"{'FAIL' if done.returncode else 'ok'}   {name} "
                  f"{took:.2f} s", flush=True)
            if done.returncode:
                failed.append(name)
                print(done.stdout, flush=True)
    if failed:
        sys.exit("failed: " + ", ".join(failed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2])
    else:
        main(sys.argv[1:] or list(CASES))
