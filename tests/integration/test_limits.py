# SPDX-License-Identifier: Apache-2.0
"""Every limit that a peer or a client can reach over a socket, driven to its
edge and one beyond: refused as documented, counted, memory within its bound,
and everybody else served meanwhile.  Limits without a socket of their own are
driven in the unit tests of their rooms."""
import contextlib
import json
import os
import re
import resource
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.parse

from support.souk import (BINARY, ROOT, Network, Node, figure, record, run,
                          wait_until)

RUDE = os.path.join(os.path.dirname(BINARY), "rude_peer")
MIB = 1 << 20
STANDALONE = ["--standalone", "--http-rate-limit=off"]


def limit(node, name):
    return next(row for row in node.http.get("/api/v1/node/limits")
                .expect(200).json["limits"] if row["name"] == name)


def refused(node, name):
    return limit(node, name)["refused"]


def wait_limit(node, name, condition, within=30.0):
    """The row once condition(row) holds; the core renews it by the clock."""
    def look():
        row = limit(node, name)
        return row if condition(row) else None
    return wait_until(look, lambda: limit(node, name), within)


def wait_refused(node, name, more_than=0, within=30.0):
    return wait_limit(node, name, lambda r: r["refused"] > more_than, within)


def is_served(node):
    """The rest of the world notices nothing."""
    node.http.get("/livez").expect(200)
    node.http.get("/api/v1/search?q=nothing&scope=local").expect(200)


class Rude:
    """Peers that take all they can get: rude_peer.c says what."""

    def __init__(self, node, plan, conns=1, count=0, size=0):
        self.process = subprocess.Popen(
            [RUDE, node.address, plan, str(conns), str(count), str(size)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.last = dict.fromkeys(
            ("up", "closed", "ready", "reset", "ended", "sent"), 0)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.last = json.loads(line)

    def wait(self, condition, within=30.0):
        wait_until(lambda: condition(self.last), lambda: self.last, within)
        return self.last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            assert self.process.wait(20) == 0
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join(5)
            self.process.stdout.close()


@contextlib.contextmanager
def memory_within(node, mib, what):
    """Resident memory grows by less than that, whatever is tried."""
    before = node.memory_kib()
    yield
    grown = (node.memory_kib() - before) / 1024
    figure(f"{what}: memory {before / 1024:.0f} MiB, {grown:+.1f} MiB")
    assert grown < mib, f"{what}: {grown:.1f} MiB more, {mib} allowed"


# ---- The list itself. ----

def every_limit_is_told_and_has_a_number():
    table = (ROOT / "include/souk/tbl/usage.h").read_text()
    names = re.findall(r'^USAGE\(\w+, "(\w+)"', table, re.M)
    assert len(names) == len(set(names)) > 40, names
    with Node(private=False, args=["--standalone"]) as node:
        rows = node.http.get("/api/v1/node/limits").expect(200).json["limits"]
        assert [row["name"] for row in rows] == names
        assert not [row for row in rows if row["limit"] == 0], rows
        assert not [row for row in rows if row["use"] > row["limit"]], rows
        text = node.admin.get("/metrics").expect(200).text
        for name in names:
            assert f'limit_usage_ratio{{limit="{name}"}}' in text, name
            assert f'limit_refused_total{{limit="{name}"}}' in text, name


# Which test takes which row to its edge, and one beyond.
DRIVEN = {
    "connections": "connections_beyond_the_last_are_closed",
    "connections_of_ip":
        "unit/node_test.c one_address_takes_all_the_connections",
    "connections_trim":
        "unit/node_test.c each_connection_too_many_is_closed_once",
    "dials": "unit/node_limits_test.c more_dials_than_that_are_under_way",
    "resolves_in_flight":
        "integration/test_failures.py the_name_server_is_mute",
    "resolved_addresses":
        "integration/test_failures.py the_name_server_is_mute",
    "streams_in": "streams_beyond_the_last_are_reset",
    "streams_out": "unit/node_limits_test.c more_streams_than_that_are_opened",
    "unsent_bytes": "who_never_reads_is_owed_no_more",
    "partial_bytes": "messages_that_never_end_get_no_more_memory",
    "message_bytes": "a_message_that_is_too_long_costs_its_stream",
    "identify_pushes":
        "unit/node_trouble_test.c pushes_without_end_are_all_gone_through",
    "rpcs_waiting":
        "unit/node_limits_test.c more_questions_than_that_wait_for_a_peer",
    "peers_known": "unit/node_test.c the_peer_idle_for_longest_makes_room",
    "dht_records": "unit/kad_store_test.c a_full_store_takes_more",
    "dht_record_bytes": "records_and_catalogue_stay_within_their_bytes",
    "dht_record_publishers": "unit/kad_store_test.c "
        "a_fifth_publisher_gets_in_without_being_better",
    "dht_providers": "providers_beyond_the_last_are_refused",
    "dht_provider_keys": "providers_beyond_the_last_are_refused",
    "dht_provided": "unit/kad_test.c limits_do_not_hold",
    "dht_operations": "unit/kad_test.c limits_do_not_hold",
    "dht_rpcs": "unit/kad_test.c limits_do_not_hold",
    "dht_contacts": "unit/kad_test.c limits_do_not_hold",
    "dht_group_peers": "unit/kad_test.c neighbours_enter_all",
    "terms": "records_and_catalogue_stay_within_their_bytes",
    "gossip_peers":
        "unit/node_limits_test.c gossip_refuses_more_peers_uncounted",
    "gossip_pending": "unit/gossip_limits_test.c waiting_messages_are_limited",
    "gossip_pending_bytes":
        "unit/gossip_limits_test.c waiting_messages_are_limited",
    "gossip_seen": "unit/gossip_limits_test.c caches_are_limited",
    "gossip_cache_bytes": "unit/gossip_limits_test.c caches_are_limited",
    "gossip_events": "unit/gossip_limits_test.c caches_are_limited",
    "gossip_scores_left": "unit/gossip_score_test.c "
        "bad_scores_of_those_who_left_have_no_limit",
    "gossip_backoffs": "unit/gossip_limits_test.c backoffs_are_limited",
    "gossip_unwanted": "unit/gossip_px_test.c the_unwanted_have_no_limit",
    "gossip_px":
        "unit/gossip_px_test.c strangers_are_believed_whom_they_tell_of",
    "gossip_peer_messages": "gossip_beyond_the_budget_is_dropped",
    "searches_served": "more_searches_than_that_are_told_to_wait",
    "search_rate": "searches_beyond_the_pace_are_told_to_wait",
    "reader_queue": "unit/host_test.c a_full_reader_refuses_and_counts",
    "mailbox": "unit/host_test.c a_full_mailbox_refuses_and_counts",
    "requests": "unit/node_test.c requests_beyond_the_limit_are_told_so",
    "outbox": "a_full_outbox_refuses_publishes",
    "outbox_in_flight":
        "unit/node_limits_test.c more_publishes_than_that_are_under_way",
    "outbox_held":
        "unit/host_test.c more_than_is_held_is_forgotten_uncounted",
    "writes_waiting": "a_store_that_stands_still_refuses_writes_alone",
    "writes_behind": "a_store_that_stands_still_refuses_writes_alone",
    "writes_bytes":
        "unit/store_worker_test.c big_jobs_are_bounded_by_their_bytes",
    "catalogue_bytes": "records_and_catalogue_stay_within_their_bytes",
    "catalogue_versions": "unit/store_publish_test.c "
        "versions_of_anothers_package_are_bounded",
    "database_cache_bytes":
        "unit/store_open_test.c pages_beyond_their_memory_make_way",
    "search_lists_bytes":
        "unit/store_rank_test.c lists_stay_within_their_limit",
    "hot_cache_bytes": "answers_kept_ready_make_way_for_others",
    "http_connections": "http_connections_beyond_the_last_cut_the_oldest",
    "http_request_body_bytes": "bodies_and_heads_are_bounded",
    "http_header_bytes": "bodies_and_heads_are_bounded",
    "http_body_bytes": "bodies_together_are_bounded",
    "http_rate": "clients_beyond_their_rate_are_told_to_wait",
    "http_rate_clients": "clients_beyond_their_rate_are_told_to_wait",
    "file_descriptors": "without_descriptors_the_rest_goes_on",
}


def every_limit_has_a_test():
    table = (ROOT / "include/souk/tbl/usage.h").read_text()
    names = set(re.findall(r'^USAGE\(\w+, "(\w+)"', table, re.M))
    assert set(DRIVEN) == names, set(DRIVEN) ^ names
    for row, where in DRIVEN.items():
        file, _, case = where.rpartition(" ")
        text = (ROOT / "tests" / (file or "integration/test_limits.py")
                ).read_text()
        begins = (r"cmocka_unit_test\(\s*%s\)" if file.endswith(".c")
                  else r"^def %s\(") % case
        assert re.search(begins, text, re.M), f"{row}: no {where}"
        assert len(re.findall(rf"\b{case}\b", text)) >= 2, f"{where} is not run"


# ---- Connections and streams of peers. ----

def connections_beyond_the_last_are_closed():
    args = ["--standalone", "--conns-max=8", "--conns-trim=8",
            "--dials-max=4"]
    with Node(args=args) as node:
        with Rude(node, "hold", conns=8) as held:
            held.wait(lambda r: r["up"] == 8)
            wait_limit(node, "connections", lambda r: r["use"] == 8)
            assert refused(node, "connections") == 0
            with Rude(node, "hold", conns=1) as late:
                late.wait(lambda r: r["closed"] == 1)
            assert wait_refused(node, "connections")["refused"] == 1
            with memory_within(node, 8, "200 connections refused"):
                with Rude(node, "hold", conns=200) as many:
                    many.wait(lambda r: r["closed"] == 200)
                wait_refused(node, "connections", 200)
            is_served(node)
            assert held.last["up"] == 8, held.last
        wait_limit(node, "connections", lambda r: r["use"] == 0)
        with Rude(node, "hold", conns=1) as again:
            again.wait(lambda r: r["up"] == 1)


def streams_beyond_the_last_are_reset():
    with Node(args=["--standalone"]) as node:
        with Rude(node, "streams", count=256) as full:
            full.wait(lambda r: r["ready"] == 256)
            row = wait_limit(node, "streams_in", lambda r: r["use"] == 256)
            assert row == {"name": "streams_in", "limit": 256, "use": 256,
                           "refused": 0}, row
        with memory_within(node, 8, "2,000 streams refused"):
            with Rude(node, "streams", count=2256) as many:
                many.wait(lambda r: r["ready"] + r["reset"] == 2256)
                assert many.last["ready"] == 256, many.last
                row = wait_refused(node, "streams_in", 1999)
                assert row["refused"] == 2000, row
                is_served(node)
                with Rude(node, "streams", count=1) as other:
                    other.wait(lambda r: r["ready"] == 1)
        # What a connection refused is not forgotten with it.
        assert wait_limit(node, "streams_in", lambda r: r["use"] == 0)[
            "refused"] == 2000


def messages_that_never_end_get_no_more_memory():
    args = ["--standalone", "--partial-bytes-max=2MiB"]
    with Node(args=args) as node:
        with memory_within(node, 16, "48 MiB of unfinished messages"):
            with Rude(node, "partial", conns=8, count=96, size=65000) as rude:
                rude.wait(lambda r: r["reset"] > 600)
                row = wait_refused(node, "partial_bytes", 600)
                assert row["limit"] == 2 * MIB, row
                assert MIB < row["use"] <= 2 * MIB, row
                is_served(node)
                # Who speaks in whole messages needs none of it.
                with Rude(node, "provide", count=10) as polite:
                    polite.wait(lambda r: r["ready"] == 1)
                    wait_limit(node, "dht_providers", lambda r: r["use"] == 10)
        wait_limit(node, "partial_bytes", lambda r: r["use"] == 0)


def one_connection_does_not_take_all_of_it():
    with Node(args=["--standalone"]) as node:
        with Rude(node, "partial", count=128, size=65000) as rude:
            rude.wait(lambda r: r["reset"] > 50)
            row = wait_refused(node, "partial_bytes", 50)
            assert row["limit"] == 64 * MIB and row["use"] <= 4 * MIB, row
            is_served(node)


def a_message_that_is_too_long_costs_its_stream():
    with Node(args=["--standalone"]) as node:
        with Rude(node, "long", count=1, size=65536) as edge:
            edge.wait(lambda r: r["ready"] == 1)
            with Rude(node, "long", count=1, size=65537) as beyond:
                beyond.wait(lambda r: r["reset"] == 1)
                wait_refused(node, "message_bytes")
            assert edge.last["reset"] == 0, edge.last
        is_served(node)


def who_never_reads_is_owed_no_more():
    """Pings echo what they get; a peer that reads nothing is owed 4 MiB, all
    such peers together what unsent_bytes_max says."""
    args = ["--standalone", "--unsent-bytes-max=6MiB"]
    with Node(args=args) as node:
        with memory_within(node, 24, "64 MiB of echoes nobody reads"):
            with Rude(node, "deaf", conns=4, count=64, size=250000):
                row = wait_refused(node, "unsent_bytes", 0)
                row = wait_limit(node, "unsent_bytes",
                                 lambda r: r["use"] > 5 * MIB)
                assert row["use"] <= row["limit"] == 6 * MIB, row
                is_served(node)
        wait_limit(node, "unsent_bytes", lambda r: r["use"] == 0)


# ---- What the DHT keeps. ----

def providers_beyond_the_last_are_refused():
    with Node(args=["--standalone"]) as node:
        with Rude(node, "provide", count=1001) as one:
            one.wait(lambda r: r["reset"] == 1)
            wait_refused(node, "dht_provider_keys")
            assert limit(node, "dht_providers")["use"] == 1000
        with memory_within(node, 112, "105,000 provider records"):
            with Rude(node, "provide", conns=104, count=1000):
                wait_limit(node, "dht_providers",
                           lambda r: r["refused"] > 0 and
                           r["use"] == r["limit"] == 100000, 60)
                is_served(node)
        wait_limit(node, "connections", lambda r: r["use"] == 0)
        with memory_within(node, 16, "50,000 more"):
            with Rude(node, "provide", conns=50, count=1000) as more:
                more.wait(lambda r: r["reset"] == 50, 60)
                is_served(node)
        assert limit(node, "dht_providers")["use"] == 100000


def gossip_beyond_the_budget_is_dropped():
    def heard(node, outcome):
        return int(re.search(r'^gossip_messages_total\{direction="in",'
                             rf'outcome="{outcome}"\}} (\d+)$',
                             node.admin.get("/metrics").text, re.M)[1])

    with Node(args=["--standalone"]) as node:
        with Rude(node, "gossip", count=1000):
            wait_until(lambda: heard(node, "duplicate") == 999, "all of it")
        assert refused(node, "gossip_peer_messages") == 0
        with memory_within(node, 24, "40,000 messages at once"):
            with Rude(node, "gossip", count=40000):
                row = wait_refused(node, "gossip_peer_messages")
                assert row["limit"] == 4096, row
                is_served(node)
        known = heard(node, "rejected")
        with Rude(node, "gossip", count=1):
            wait_until(lambda: heard(node, "rejected") == known + 1,
                       "who came later")


def searches_beyond_the_pace_are_told_to_wait():
    with Node(args=["--standalone"]) as node:
        node.publish("org/thing")
        with Rude(node, "search", count=250) as polite:
            polite.wait(lambda r: r["ended"] == 250)
        assert refused(node, "search_rate") == 0
        with Rude(node, "search", conns=1, count=2000) as rude:
            rude.wait(lambda r: r["ended"] + r["reset"] == 2000, 60)
        wait_refused(node, "search_rate")
        is_served(node)


def more_searches_than_that_are_told_to_wait():
    """Each of them slowly enough, all of them at once."""
    with Node(args=["--standalone"]) as node:
        for i in range(200):
            node.publish(f"org/thing{i}", description="thing " * 150)
        with memory_within(node, 48, "12,800 searches at once"):
            with Rude(node, "search", conns=64, count=200) as rude:
                row = wait_refused(node, "searches_served", 0, 60)
                assert row["use"] <= row["limit"] == 64, row
                is_served(node)
                rude.wait(lambda r: r["ended"] + r["reset"] == 12800, 60)
        row = limit(node, "reader_queue")
        assert row["use"] <= row["limit"] == 256, row
        wait_limit(node, "searches_served", lambda r: r["use"] == 0)


def records_and_catalogue_stay_within_their_bytes():
    """One node publishes more than the other may keep."""
    many = 700
    words = "stays within what it may keep of others " * 45
    with Network(1, args=["--terms-max=50"]) as net:
        small = net.add([0], args=["--records-bytes-max=1MiB",
                                   "--catalogue-bytes-max=1MiB"])
        big = net[0]
        net.wait_connected()
        net.wait_ready()
        for i in range(many):
            big.publish(f"many/p{i}", description=f"Number {i}. {words}",
                        title=f"word{i}")
        row = wait_refused(small, "dht_record_bytes", 0, 60)
        assert row["use"] <= row["limit"] == MIB, row
        row = wait_refused(small, "catalogue_bytes", 0, 60)
        wait_limit(small, "catalogue_bytes",
                   lambda r: r["use"] <= r["limit"] == MIB)
        row = wait_refused(big, "terms")
        assert row["use"] == row["limit"] == 50, row
        # Nothing is lost for that: its owner keeps it and is asked, also for
        # the last, though those before it wait for somebody to keep them.
        small.get("/api/v1/packages/many/p0").expect(200)
        wait_until(lambda: small.get(
            f"/api/v1/packages/many/p{many - 1}",
            headers={"Cache-Control": "no-cache"}).status == 200,
            lambda: f"the last; outbox {big.count('outbox')}", 5)
        # Nothing is refused for the pages of the database: they make way.
        row = limit(big, "database_cache_bytes")
        assert 0 < row["use"] <= row["limit"] == 64 * MIB, row
        for i in range(many):
            big.get(f"/api/v1/packages/many/p{i}?scope=local").expect(200)


def answers_kept_ready_make_way_for_others():
    with Node(args=[*STANDALONE, "--hot-cache-bytes-max=64KiB"]) as node:
        for i in range(1000):
            node.get(f"/api/v1/search?q=word{i}").expect(200)
        row = limit(node, "hot_cache_bytes")
        assert row["refused"] > 0, row
        assert 0 < row["use"] <= row["limit"] == 65536, row


def a_full_outbox_refuses_publishes():
    with Node(args=["--standalone", "--outbox-max=3"]) as node:
        for i in range(3):
            node.publish(f"out/p{i}")
        again = node.post("/api/v1/packages", record("out/p3"))
        assert again.problem(503, "busy")["retryable"]
        assert again.headers["Retry-After"]
        row = wait_refused(node, "outbox")
        assert (row["use"], row["limit"], row["refused"]) == (3, 3, 1), row
        node.get("/api/v1/packages/out/p3?scope=local").expect(404)
        # What is there already needs no place in it.
        node.post("/api/v1/packages", record("out/p0")).expect(200)
        node.http.get("/livez").expect(200)


FLOOD = """
local n = 0
local post = {["Content-Type"] = "application/json",
  ["Authorization"] = "Bearer TOKEN"}
request = function()
  n = n + 1
  return wrk.format("POST", "/api/v1/packages?timeout=50ms", post,
    '{"id": "flood/p' .. n .. '", "version": "1.0.0", "metadata": ' ..
    '{"title": "One", "description": "Of many."}}')
end
"""


@contextlib.contextmanager
def held_database(node):
    """Another program is writing, and does not come to an end."""
    other = sqlite3.connect(node.dir / "souk.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def a_store_that_stands_still_refuses_writes_alone():
    with Node(args=STANDALONE) as node, \
            tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(FLOOD.replace("TOKEN", node.token))
        script.flush()
        node.publish("org/before")
        with memory_within(node, 256, "writes to a store that stands still"):
            with held_database(node):
                flood = subprocess.Popen(
                    ["wrk", "-t1", "-c400", "-d8s", "-s", script.name,
                     node.endpoints["http"]], stdout=subprocess.DEVNULL)
                row = wait_refused(node, "writes_waiting", 0, 60)
                assert row["limit"] == 4096, row
                again = node.post("/api/v1/packages", record("org/during"))
                problem = again.expect(503).json
                assert problem["code"] in ("busy", "store"), problem
                assert problem["retryable"], problem
                assert again.headers["Retry-After"]
                node.get("/api/v1/packages/org/before").expect(200)
                is_served(node)
                assert flood.wait(60) == 0
            with held_database(node), \
                    Rude(node, "provide", conns=104, count=1000):
                row = wait_refused(node, "writes_behind", 0, 120)
                assert row["limit"] == 65536, row
                node.get("/api/v1/packages/org/before").expect(200)
                is_served(node)
        for name in ("writes_waiting", "writes_behind", "writes_bytes"):
            wait_limit(node, name, lambda r: r["use"] == 0, 60)
        node.wait_ready()
        node.publish("org/after")
        node.get("/api/v1/packages/org/before").expect(200)


# ---- HTTP. ----

class Http:
    """A connection to write to at will."""

    def __init__(self, node):
        at = urllib.parse.urlsplit(node.endpoints["http"])
        self.host = at.netloc
        self.socket = socket.create_connection((at.hostname, at.port), 30)

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def get(self, path, headers=""):
        return self.send(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n"
                         f"{headers}\r\n")

    def status(self):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            data += piece
        return int(data.split(b" ")[1])

    def is_open(self):
        """Not closed by the other side, as far as it is known by now."""
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.socket.settimeout(30)

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def clients(node, count):
    all_of_them = []
    try:
        for _ in range(count):
            all_of_them.append(Http(node))
        yield all_of_them
    finally:
        for one in all_of_them:
            one.close()


def http_connections_beyond_the_last_cut_the_oldest():
    args = [*STANDALONE, "--http-conns-max=16", "--gateway-threads=1"]
    with Node(args=args) as node:
        assert limit(node, "http_connections")["limit"] == 16
        assert refused(node, "http_connections") == 0
        with clients(node, 15) as idle:
            wait_limit(node, "http_connections", lambda r: r["use"] == 16)
            assert all(one.is_open() for one in idle)
            with clients(node, 1) as late:
                late[0].get("/livez")
                assert late[0].status() == 200
                wait_until(lambda: not idle[0].is_open(), "the oldest cut")
                assert all(one.is_open() for one in idle[1:])
                assert refused(node, "http_connections") >= 1
        with memory_within(node, 16, "2,000 HTTP connections"):
            for _ in range(20):
                with clients(node, 100):
                    is_served(node)
        assert refused(node, "http_connections") > 1000
        wait_limit(node, "http_connections", lambda r: r["use"] <= 2)


def bodies_and_heads_are_bounded():
    with Node(args=STANDALONE) as node:
        post = dict(headers={"Content-Type": "application/json"})
        edge = b"[" + b" " * (MIB - 2) + b"]"
        node.post("/api/v1/packages", edge, **post).problem(422, "schema")
        node.post("/api/v1/packages", edge + b" ", **post).problem(
            413, "body-too-large")
        assert refused(node, "http_request_body_bytes") == 1
        node.get("/livez", headers={"X-Large": "x" * 15000}).expect(200)
        node.get("/livez", headers={"X-Large": "x" * 16384}).problem(
            431, "headers-too-large")
        assert refused(node, "http_header_bytes") == 1


def bodies_together_are_bounded():
    """64 of a mebibyte each; the next is told to come again."""
    head = ("POST /api/v1/packages HTTP/1.1\r\nHost: {}\r\n"
            "Content-Type: application/json\r\nAuthorization: Bearer {}\r\n"
            "Content-Length: {}\r\n\r\n")
    with Node(args=STANDALONE) as node:
        with memory_within(node, 96, "80 MiB of request bodies"):
            with clients(node, 80) as senders:
                for one in senders:
                    one.send(head.format(one.host, node.token, MIB))
                    with contextlib.suppress(OSError):
                        one.send(b" " * (MIB - 1))
                row = wait_refused(node, "http_body_bytes")
                assert row["use"] <= row["limit"] == 64 * MIB, row
                assert row["use"] > 60 * MIB, row
                is_served(node)
                small = node.post("/api/v1/packages", "x" * MIB)
                assert small.problem(503, "busy")["retryable"]
            wait_limit(node, "http_body_bytes", lambda r: r["use"] == 0)
        node.publish("org/after")


def clients_beyond_their_rate_are_told_to_wait():
    args = ["--standalone", "--http-rate-limit=1", "--http-rate-burst=5",
            "--trusted-proxies=127.0.0.1", "--gateway-threads=1"]

    def ask(node, number):
        return node.get("/version", auth=False, headers={
            "X-Forwarded-For": f"192.0.2.{number}"})

    with Node(args=args) as node:
        statuses = [ask(node, 1).status for _ in range(5)]
        assert statuses == [200] * 5, statuses
        beyond = ask(node, 1)
        assert beyond.problem(429, "rate-limited")["retryable"]
        assert int(beyond.headers["Retry-After"]) >= 1
        assert refused(node, "http_rate") >= 1
        ask(node, 2).expect(200)
        with memory_within(node, 32, "68,000 clients"):
            with clients(node, 1) as one:
                pour(one[0], 68000)
            row = wait_refused(node, "http_rate_clients")
            assert row["use"] <= row["limit"] == 65536, row
        ask(node, 3).expect(200)


def pour(client, count):
    """A request each of so many clients, none waiting for its answer."""
    got, want = 0, count

    def read():
        nonlocal got
        last = b""
        while got < want:
            data = client.socket.recv(1 << 20)
            if not data:
                return
            data = last + data
            got += data.count(b"HTTP/1.1 ")
            last = data[-8:] if b"HTTP/1.1 " not in data[-8:] else b""

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for i in range(0, count, 200):
        client.send("".join(
            f"GET /version HTTP/1.1\r\nHost: {client.host}\r\n"
            f"X-Forwarded-For: 10.{n >> 16}.{n >> 8 & 255}.{n & 255}\r\n\r\n"
            for n in range(i, i + 200)))
    reader.join(60)
    assert got == want, f"{got} answers of {want}"


# ---- The process. ----

def without_descriptors_the_rest_goes_on():
    with Node(args=["--standalone"]) as node:
        pid = node.process.pid
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        with Rude(node, "hold", conns=1) as before:
            before.wait(lambda r: r["up"] == 1)
            is_served(node)  # its connection is kept
            use = limit(node, "file_descriptors")["use"]
            assert 10 < use < 200, use
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (use, hard[1]))
            assert limit(node, "file_descriptors")["limit"] == use
            with Rude(node, "hold", conns=20) as late:
                late.wait(lambda r: r["closed"] >= 19)
                wait_refused(node, "file_descriptors", 18)
                is_served(node)
                assert before.last["up"] == 1, before.last
            assert any("no file descriptor" in line for line in node.lines)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, hard)
            with Rude(node, "hold", conns=5) as after:
                after.wait(lambda r: r["up"] == 5)


def too_few_descriptors_to_start_are_an_error():
    def fewer():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [BINARY, "serve", "--data", folder, "--http", "127.0.0.1:0",
             "--admin", "127.0.0.1:0", "--listen", "/ip4/127.0.0.1/tcp/0"],
            preexec_fn=fewer, stderr=subprocess.PIPE, text=True, timeout=30,
            env=Node(directory=folder).environment())
    assert ended.returncode == 1, ended
    assert re.search(r"\d+ file descriptors may be needed and the process may "
                     r"open 256", ended.stderr), ended.stderr


if __name__ == "__main__":
    begun = time.monotonic()
    run([every_limit_is_told_and_has_a_number, every_limit_has_a_test,
         connections_beyond_the_last_are_closed,
         streams_beyond_the_last_are_reset,
         messages_that_never_end_get_no_more_memory,
         one_connection_does_not_take_all_of_it,
         a_message_that_is_too_long_costs_its_stream,
         who_never_reads_is_owed_no_more,
         providers_beyond_the_last_are_refused,
         gossip_beyond_the_budget_is_dropped,
         searches_beyond_the_pace_are_told_to_wait,
         more_searches_than_that_are_told_to_wait,
         records_and_catalogue_stay_within_their_bytes,
         answers_kept_ready_make_way_for_others,
         a_full_outbox_refuses_publishes,
         a_store_that_stands_still_refuses_writes_alone,
         http_connections_beyond_the_last_cut_the_oldest,
         bodies_and_heads_are_bounded,
         bodies_together_are_bounded,
         clients_beyond_their_rate_are_told_to_wait,
         without_descriptors_the_rest_goes_on,
         too_few_descriptors_to_start_are_an_error])
    figure(f"limits: {time.monotonic() - begun:.0f} s")
