# SPDX-License-Identifier: Apache-2.0
"""What an operator is told: metrics and spans, of real nodes at work."""
import contextlib
import os
import pathlib
import re
import signal
import sqlite3
import statistics
import subprocess
import tempfile

from support.collector import Collector, Nonsense, Silence
from support.souk import (BINARY, ROOT, Network, Node, figure, free_port,
                          record, run, wait_until)

LOOKUP_ENDS = ("complete", "quorum", "deadline", "no-peers", "cancelled")
RPC_TYPES = ("put_value", "get_value", "add_provider", "get_providers",
             "find_node", "ping")
# Every metric that others may rely on, its type, and its labels.
PROMISED = {
    "http_server_request_duration_seconds":
        ("histogram", {"method", "route", "status"}),
    "souk_search_duration_seconds": ("histogram", {"scope", "outcome"}),
    "souk_packages": ("gauge", set()),
    "souk_cache_hits_total": ("counter", {"tier"}),
    "souk_cache_misses_total": ("counter", {"tier"}),
    "kad_lookup_duration_seconds": ("histogram", {"op", "outcome"}),
    "kad_rpc_total": ("counter", {"type", "direction", "outcome"}),
    "kad_routing_table_peers": ("gauge", set()),
    "kad_records": ("gauge", set()),
    "gossip_messages_total": ("counter", {"direction", "outcome"}),
    "gossip_mesh_peers": ("gauge", {"topic"}),
    "peers_connected": ("gauge", set()),
    "peer_score": ("histogram", set()),
    "loop_lag_seconds": ("gauge", set()),
    "limit_usage_ratio": ("gauge", {"limit"}),
    "limit_refused_total": ("counter", {"limit"}),
}
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')


class Metrics:
    """One scrape: {name: {labels as a frozenset: value}}, and the types."""

    def __init__(self, text):
        self.text, self.types, self.samples = text, {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"{name} stands there twice"
                self.types[name] = kind
            elif not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                key = frozenset(LABEL.findall(labels or ""))
                series = self.samples.setdefault(name, {})
                assert key not in series, f"{line} stands there twice"
                series[key] = float(value)

    def sum(self, name, **labels):
        """Of all series that have these labels."""
        return sum(value for key, value in self.samples.get(name, {}).items()
                   if labels.items() <= dict(key).items())


def scrape(node):
    return Metrics(node.admin.get("/metrics").expect(200).text)


def what_is_promised_is_there(metrics):
    for name, (kind, labels) in PROMISED.items():
        assert metrics.types.get(name) == kind, (name, metrics.types.get(name))
        if kind == "histogram":
            assert f"{name}_sum" in metrics.samples, name
            assert f"{name}_bucket" in metrics.samples, name
            name += "_count"
        for key in metrics.samples[name]:
            assert {label for label, _ in key} == labels, (name, key)


def histograms_add_up(metrics):
    for name, kind in metrics.types.items():
        if kind != "histogram":
            continue
        for key, count in metrics.samples[f"{name}_count"].items():
            steps = sorted(
                (float(dict(k)["le"]), value) for k, value
                in metrics.samples[f"{name}_bucket"].items()
                if key <= k)
            values = [value for _, value in steps]
            assert values == sorted(values), (name, steps)
            assert values[-1] == count, (name, steps, count)


def metrics_are_as_prometheus_wants_them():
    with Network(2) as net:
        net.wait_connected()
        net[0].publish("org/lib", wait="one")
        net[1].get("/api/v1/packages/org/lib").expect(200)
        net[1].search("lib")
        text = scrape(net[1]).text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text,
                             text=True, capture_output=True)
    told = checked.stdout + checked.stderr
    assert checked.returncode == 0 and not told.strip(), told


def what_happens_is_counted():
    with Network(3) as net:
        net.wait_connected()
        for node in net:
            wait_until(lambda: node.count("mesh_peers") == 2, "mesh")
        net[0].publish("org/lib", "1.0.0", wait="quorum")
        net[0].publish("org/more", "1.0.0", wait="quorum")
        wait_until(lambda: net[1].get(
            "/api/v1/packages/org/lib?scope=local").status == 200, "gossip")
        net[1].get("/api/v1/packages/org/lib?timeout=5s",
                   headers={"Cache-Control": "no-cache"}).expect(200)
        net[1].get("/api/v1/packages/org/lib").expect(200)
        net[1].get("/api/v1/packages/org/lib").expect(200)
        net[1].get("/api/v1/packages/org/none").expect(404)
        net[1].search("lib")
        net[1].search("lib")
        net[1].search("lib", scope="local")
        net[1].get("/api/v1/search?limit=0").expect(422)

        def counted(node, name, least, **labels):
            wait_until(lambda: scrape(node).sum(name, **labels) >= least,
                       lambda: f"{name} {labels} ≥ {least}: "
                       f"{scrape(node).samples.get(name)}", 10)

        counted(net[0], "kad_lookup_duration_seconds_count", 6,
                op="put", outcome="complete")
        counted(net[1], "kad_lookup_duration_seconds_count", 1, op="get")
        counted(net[0], "kad_rpc_total", 2, type="put_value", direction="out",
                outcome="answered")
        counted(net[1], "kad_rpc_total", 2, type="put_value", direction="in",
                outcome="answered")
        counted(net[0], "gossip_messages_total", 2, direction="out",
                outcome="published")
        counted(net[1], "gossip_messages_total", 2, direction="in",
                outcome="delivered")
        counted(net[1], "souk_cache_hits_total", 1, tier="hot")
        net[0].get("/api/v1/packages/org/lib").expect(200)
        counted(net[0], "souk_cache_hits_total", 1, tier="catalogue")
        counted(net[1], "souk_cache_misses_total", 1, tier="catalogue")
        counted(net[1], "peer_score_count", 2)
        metrics = scrape(net[1])
        what_is_promised_is_there(metrics)
        histograms_add_up(metrics)
        searches = "souk_search_duration_seconds_count"
        assert metrics.sum(searches, scope="network", outcome="complete") == 2
        assert metrics.sum(searches, scope="local", outcome="complete") == 1
        assert metrics.sum(searches) == 3, "a refused request is no search"
        assert {dict(k)["outcome"] for k in metrics.samples[
            "kad_lookup_duration_seconds_count"]} == set(LOOKUP_ENDS)
        assert {dict(k)["type"] for k in metrics.samples["kad_rpc_total"]} == \
            set(RPC_TYPES)
        assert metrics.sum("gossip_mesh_peers") == 2
        # REST and the metrics tell of the same limits.
        limits = net[1].get("/api/v1/node/limits").expect(200).json["limits"]
        for metric in ("limit_usage_ratio", "limit_refused_total"):
            told = {dict(key)["limit"] for key in metrics.samples[metric]}
            assert told == {limit["name"] for limit in limits
                            if limit["limit"] or "refused" in metric}, metric


def the_page_on_metrics_lists_them_all():
    page = (ROOT / "docs/METRICS.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (gauge|counter|histogram) \|",
                           page, re.M))
    with Node(args=["--standalone"]) as node:
        there = scrape(node).types
    assert told == there, set(told.items()) ^ set(there.items())


# ---- Spans. ----

SERVER = "SERVER"  # GET /api/v1/search and the like
# What lies under what; None: it begins a trace.
TREE = {
    "souk.search": {SERVER}, "souk.get": {SERVER}, "souk.publish": {SERVER},
    "souk.search.local": {"souk.search"}, "souk.search.peer": {"souk.search"},
    "souk.validate": {"souk.publish"}, "souk.store.commit": {"souk.publish"},
    "kad.put": {"souk.publish"}, "gossip.publish": {"souk.publish"},
    "kad.get": {"souk.get"}, "kad.rpc": {"kad.put", "kad.get"},
    "conn.upgrade": {"conn.dial"},
    "node.bootstrap": {None}, "gossip.receive": {None}, "conn.dial": {None},
}
# Which test sees which span end how; the outcomes that a span can have.
ENDS = {
    SERVER: {"ok": "a_search_is_told_to_its_last_peer",
             "not_found": "a_get_is_told_to_its_last_question",
             "timeout": "who_does_not_answer_is_told_of",
             "error": "what_is_refused_says_why"},
    "souk.search": {"ok": "a_search_is_told_to_its_last_peer",
                    "incomplete": "who_does_not_answer_is_told_of"},
    "souk.search.local": {"ok": "a_search_is_told_to_its_last_peer"},
    "souk.search.peer": {
        "ok": "a_search_is_told_to_its_last_peer",
        "timeout": "who_does_not_answer_is_told_of",
        "error": "unit a_search_of_who_left_is_told_as_answered"},
    "souk.publish": {"ok": "a_publish_is_told_to_its_last_question",
                     "error": "what_is_refused_says_why"},
    "souk.validate": {"ok": "a_publish_is_told_to_its_last_question",
                      "error": "what_is_refused_says_why"},
    "souk.store.commit": {"ok": "a_publish_is_told_to_its_last_question",
                          "timeout": "a_store_that_does_not_answer_is_told_of",
                          "error": "what_is_refused_says_why"},
    "kad.put": {"ok": "a_publish_is_told_to_its_last_question",
                "timeout": "unit a_put_that_nobody_answers_ends_as_a_timeout",
                "error": "unit a_put_that_nobody_takes_is_told_as_done"},
    "gossip.publish": {"ok": "a_publish_is_told_to_its_last_question"},
    "souk.get": {"ok": "a_get_is_told_to_its_last_question",
                 "not_found": "a_get_is_told_to_its_last_question",
                 "incomplete": "who_does_not_answer_is_told_of"},
    "kad.get": {"ok": "a_get_is_told_to_its_last_question",
                "timeout": "who_does_not_answer_is_told_of",
                "error": "unit without_a_peer_operations_are_told_as_done"},
    "kad.rpc": {"ok": "a_get_is_told_to_its_last_question",
                "timeout": "who_does_not_answer_is_told_of",
                "error":
                    "unit an_answer_that_is_malformed_is_told_as_a_good_one"},
    "node.bootstrap": {
        "ok": "connecting_is_told",
        "timeout": "unit joining_who_stays_unknown_is_told_as_done",
        "error": "connecting_is_told"},
    "gossip.receive": {
        "ok": "a_publish_is_told_to_its_last_question",
        "error": "unit gossip_that_is_no_record_is_told_as_received"},
    "conn.dial": {"ok": "connecting_is_told",
                  "timeout": "unit a_dial_that_nobody_takes_ends_at_its_time",
                  "error": "connecting_is_told"},
    "conn.upgrade": {
        "ok": "connecting_is_told",
        "timeout": "unit an_upgrade_that_never_ends_is_told_as_cancelled",
        "error": "connecting_is_told"},
}
PROXIED = ("--trusted-proxies", "127.0.0.1")
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"


def kind_of(span):
    return SERVER if span.kind == 2 else span.name


def the_tree_is_as_promised(collector):
    """Of all that came: its parent, its outcome, its times."""
    spans = collector.spans()
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans), "a span came twice"
    for span in spans:
        assert span["outcome"], span
        assert span.start <= span.end, span
        assert (span["error.type"] is not None) >= span.failed, span
        if span.kind == 2:
            continue
        assert span.name in TREE, span
        if not span.parent:
            assert None in TREE[span.name], span
            continue
        parent = by_id.get(span.parent)
        assert parent is None or kind_of(parent) in TREE[span.name], \
            (span, parent)
        if parent is not None:
            assert parent.trace == span.trace, (span, parent)
            assert parent.start <= span.start, (span, parent)


class Asker:
    """A proxy in front of a node, which traces what it passes on."""

    def __init__(self, node, collector):
        self.node, self.collector = node, collector

    def ask(self, method, path, body=None, flags="01", **headers):
        trace, parent = os.urandom(16).hex(), os.urandom(8).hex()
        answer = self.node.http.request(
            method, path, body, headers={
                "traceparent": f"00-{trace}-{parent}-{flags}",
                "tracestate": STATE, **headers})
        return trace, parent, answer

    def server_span(self, trace, parent, name, status):
        span = self.collector.wait(trace=trace, name=name)
        assert span.parent == parent, span
        assert span.state == STATE, span.state
        assert span["http.response.status_code"] == status, span
        return span

    def under(self, parent, name, count=1):
        """Its children of that name, when there are so many."""
        found = wait_until(
            lambda: (lambda s: s if len(s) >= count else None)(
                self.collector.spans(parent=parent.id, name=name)),
            lambda: f"{count} {name} under {parent} in\n" + "\n".join(
                map(repr, self.collector.spans(trace=parent.trace))))
        for span in found:
            assert span.trace == parent.trace and span.state == parent.state
        return found


def identified(node):
    """Peers that said what they can do."""
    peers = node.get("/api/v1/peers?limit=100").expect(200).json["peers"]
    return sum(bool(peer["protocols"]) for peer in peers)


@contextlib.contextmanager
def traced_network(count, **options):
    with Collector() as collector:
        env = collector.environment(**options.pop("environment", {}))
        with Network(count, args=PROXIED, env=env, **options) as net:
            net.wait_connected()
            for node in net:
                wait_until(lambda: identified(node) >= count - 1, "identify")
            yield net, collector
        the_tree_is_as_promised(collector)


def a_publish_is_told_to_its_last_question():
    with traced_network(3) as (net, collector):
        wait_until(lambda: net[0].count("mesh_peers") == 2, "mesh")
        asker = Asker(net[0], collector)
        for wait in ("quorum", "local"):
            trace, parent, answer = asker.ask(
                "POST", f"/api/v1/packages?wait={wait}",
                record(f"org/{wait}", "1.0.0"))
            answer.expect(201)
            server = asker.server_span(trace, parent,
                                       "POST /api/v1/packages", 201)
            assert server["http.route"] == "/api/v1/packages"
            assert server["outcome"] == "ok" and not server.failed
            publish, = asker.under(server, "souk.publish")
            assert publish["package.id"] == f"org/{wait}", publish
            for step in ("souk.validate", "souk.store.commit"):
                assert asker.under(publish, step)[0]["outcome"] == "ok"
            told, = asker.under(publish, "gossip.publish")
            assert told["package.id"] == f"org/{wait}", told
            assert told["peers_queried"] == 2 and told["outcome"] == "ok"
            puts = asker.under(publish, "kad.put", 3)
            keys = {put["kad.key"] for put in puts}
            assert len(keys) == 3 and all(f"org/{wait}" in k for k in keys), \
                keys
            peers = {net[1].id, net[2].id}
            for put in puts:
                assert put["outcome"] == "ok", put
                assert put["peers_queried"] == put["peers_responded"] == 2
                rpcs = asker.under(put, "kad.rpc", 2)
                assert {r["peer.id"] for r in rpcs} == peers, rpcs
                assert {r["outcome"] for r in rpcs} == {"ok"}, rpcs
                assert "put_value" in {r["rpc.method"] for r in rpcs}
        heard = collector.wait(lambda s: s["package.id"] == "org/local",
                               name="gossip.receive")
        assert heard["outcome"] == "ok" and heard["peer.id"], heard
        assert heard.resource["service.instance.id"] in peers


def a_search_is_told_to_its_last_peer():
    with traced_network(3) as (net, collector):
        net[0].publish("org/apple", wait="quorum")
        net[1].publish("org/apple-pie", wait="quorum")
        asker = Asker(net[2], collector)
        trace, parent, answer = asker.ask(
            "GET", "/api/v1/search?q=apple&fan_out=2")
        assert answer.expect(200).json["lookup"]["complete"]
        server = asker.server_span(trace, parent, "GET /api/v1/search", 200)
        search, = asker.under(server, "souk.search")
        assert search["fan_out"] == search["peers_queried"] == 2, search
        assert search["peers_responded"] == search["results"] == 2, search
        assert search["cache.hit"] is False and search["outcome"] == "ok"
        local, = asker.under(search, "souk.search.local")
        assert local["results"] == 2, local
        peers = asker.under(search, "souk.search.peer", 2)
        assert {p["peer.id"] for p in peers} == {net[0].id, net[1].id}, peers
        assert {p["outcome"] for p in peers} == {"ok"}, peers
        # From the hot cache there is nobody to ask.
        trace, parent, answer = asker.ask(
            "GET", "/api/v1/search?q=apple&fan_out=2")
        server = asker.server_span(trace, parent, "GET /api/v1/search", 200)
        search, = asker.under(server, "souk.search")
        assert search["cache.hit"] is True, search
        assert not collector.spans(parent=search.id)
        # Nor for a local one.
        trace, _, _ = asker.ask("GET", "/api/v1/search?q=pie&scope=local")
        search = collector.wait(trace=trace, name="souk.search")
        asker.under(search, "souk.search.local")
        assert not collector.spans(trace=trace, name="souk.search.peer")


def a_get_is_told_to_its_last_question():
    with traced_network(3) as (net, collector):
        net[0].publish("org/lib", wait="quorum")
        asker = Asker(net[2], collector)
        fresh = {"Cache-Control": "no-cache"}
        trace, parent, answer = asker.ask("GET", "/api/v1/packages/org/lib",
                                          **fresh)
        answer.expect(200)
        route = "/api/v1/packages/{namespace}/{name}"
        server = asker.server_span(trace, parent, f"GET {route}", 200)
        get, = asker.under(server, "souk.get")
        assert get["package.id"] == "org/lib" and get["cache.hit"] is False
        lookup, = asker.under(get, "kad.get")
        assert "org/lib" in lookup["kad.key"], lookup
        assert lookup["outcome"] == "ok" and lookup["results"] == 1, lookup
        assert lookup["peers_responded"] >= 1 and lookup["hops"] >= 1, lookup
        rpcs = asker.under(lookup, "kad.rpc", lookup["peers_responded"])
        assert {r["peer.id"] for r in rpcs} <= {net[0].id, net[1].id}, rpcs
        assert {r["rpc.method"] for r in rpcs} == {"get_value"}, rpcs
        # Not there, which is an answer and no failure.
        trace, parent, answer = asker.ask("GET", "/api/v1/packages/org/none")
        answer.expect(404)
        server = asker.server_span(trace, parent, f"GET {route}", 404)
        get, = asker.under(server, "souk.get")
        assert server["outcome"] == get["outcome"] == "not_found"
        assert not server.failed and not get.failed


def what_is_refused_says_why():
    with traced_network(1, private=False) as (net, collector):
        asker = Asker(net[0], collector)

        def refused(body, status, step, error, authorized=True):
            trace, parent, answer = asker.ask(
                "POST", "/api/v1/packages", body,
                **({} if authorized else {"Authorization": "Bearer no"}))
            answer.expect(status)
            server = asker.server_span(trace, parent,
                                       "POST /api/v1/packages", status)
            assert server["outcome"] == "error" and not server.failed, server
            assert server["error.type"] == error, server
            if step is None:
                assert not collector.spans(parent=server.id)
                return
            publish, = asker.under(server, "souk.publish")
            failed, = asker.under(publish, step)
            for span in (publish, failed):
                assert span["outcome"] == "error" and span.failed, span
                assert span["error.type"] == error, span

        refused({"id": "org/lib"}, 422, "souk.validate", "schema")
        refused(record("org/lib"), 401, None, "unauthorized", False)
        net[0].publish("org/lib")
        refused(record("org/lib", description="Other."), 409,
                "souk.store.commit", "version-exists")


def every_end_of_a_span_has_a_test():
    assert set(ENDS) == {SERVER, *TREE}, set(ENDS) ^ {SERVER, *TREE}
    unit = (ROOT / "tests/unit/node_trace_test.c").read_text()
    for span, ends in ENDS.items():
        for outcome, where in ends.items():
            kind, _, case = where.rpartition(" ")
            there = (f"cmocka_unit_test({case})" in " ".join(unit.split())
                     .replace("( ", "(") if kind else case in globals())
            assert there, f"{span} {outcome}: no {where}"


def a_store_that_does_not_answer_is_told_of():
    with traced_network(1, private=False) as (net, collector):
        other = sqlite3.connect(net[0].dir / "souk.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            asker = Asker(net[0], collector)
            trace, parent, answer = asker.ask(
                "POST", "/api/v1/packages?timeout=200ms", record("org/slow"))
            answer.problem(503, "busy")
            server = asker.server_span(trace, parent,
                                       "POST /api/v1/packages", 503)
            assert server["outcome"] == "error" and server.failed, server
            assert server["error.type"] == "busy", server
            publish, = asker.under(server, "souk.publish")
            commit, = asker.under(publish, "souk.store.commit")
            assert publish["outcome"] == "error" and publish.failed, publish
            assert publish["error.type"] == "busy", publish
            assert commit["outcome"] == "timeout" and commit.failed, commit
            assert commit["error.type"] == "timeout", commit
        finally:
            other.execute("ROLLBACK")
            other.close()


def who_does_not_answer_is_told_of():
    with traced_network(3) as (net, collector):
        net[0].publish("org/lib", wait="quorum")
        asker, mute = Asker(net[2], collector), net[0]
        mute.process.send_signal(signal.SIGSTOP)
        try:
            trace, parent, answer = asker.ask(
                "GET", "/api/v1/search?q=lib&fan_out=2&timeout=600ms")
            assert not answer.expect(200).json["lookup"]["complete"]
            server = asker.server_span(trace, parent, "GET /api/v1/search",
                                       200)
            search, = asker.under(server, "souk.search")
            assert search["outcome"] == "incomplete", search
            peers = {p["peer.id"]: p
                     for p in asker.under(search, "souk.search.peer", 2)}
            assert peers[net[1].id]["outcome"] == "ok", peers
            late = peers[mute.id]
            assert late["outcome"] == late["error.type"] == "timeout", late
            assert late.failed and late.end - late.start > 400e6, late

            trace, parent, answer = asker.ask(
                "GET", "/api/v1/packages/org/none?timeout=600ms")
            answer.expect(504)
            server = asker.server_span(
                trace, parent, "GET /api/v1/packages/{namespace}/{name}", 504)
            assert server["outcome"] == "timeout" and server.failed, server
            get, = asker.under(server, "souk.get")
            assert get["outcome"] == "incomplete" and get.failed, get
            assert get["error.type"] == "lookup-incomplete", get
            lookup, = asker.under(get, "kad.get")
            assert lookup["outcome"] == "timeout" and lookup.failed, lookup
            # The question outlives the lookup by what a peer may take.
            rpc = collector.wait(
                lambda s: s["peer.id"] == mute.id, within=20,
                parent=lookup.id, name="kad.rpc")
            assert rpc["outcome"] == "timeout" and rpc.failed, rpc
        finally:
            mute.process.send_signal(signal.SIGCONT)


def connecting_is_told():
    with traced_network(2) as (net, collector):
        dial = collector.wait(lambda s: s["peer.id"] == net[0].id,
                              name="conn.dial")
        assert dial["outcome"] == "ok" and not dial.parent, dial
        upgrade = collector.wait(parent=dial.id, name="conn.upgrade")
        assert upgrade["outcome"] == "ok", upgrade
        assert upgrade["peer.id"] == net[0].id, upgrade
        joined = collector.wait(name="node.bootstrap")
        assert joined["outcome"] == "ok" and joined["results"] >= 1, joined
        collector.clear()
        # Nobody listens there; nor is the one who does the one we want.
        address = net[0].address.split("/p2p/")[0]
        nobody = f"/ip4/127.0.0.1/tcp/{free_port()}/p2p/{net[0].id}"
        stranger = f"{address}/p2p/{'12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXw'}" \
            "DDUA2kj6vnc6iDEp"
        with Node(bootstrap=[nobody], env=collector.environment()) as lone:
            missed = collector.wait(lambda s: s["outcome"] == "error",
                                    name="node.bootstrap")
            assert missed.failed and missed["error.type"] == "dial-failed"
            dial = collector.wait(lambda s: s["peer.id"] == net[0].id,
                                  name="conn.dial")
            assert dial["outcome"] == "error" and dial.failed, dial
            lone.post("/api/v1/peers?timeout=5s",
                      {"multiaddr": stranger}).expect(502)
            dial = collector.wait(
                lambda s: s["peer.id"] == stranger.split("/")[-1],
                name="conn.dial")
            upgrade = collector.wait(parent=dial.id, name="conn.upgrade")
            for span in (dial, upgrade):
                assert span["outcome"] == "error" and span.failed, span


def the_environment_is_obeyed():
    with Collector() as collector:
        env = collector.environment(
            OTEL_SERVICE_NAME="market", OTEL_EXPORTER_OTLP_HEADERS=
            "x-tenant=my%20team , authorization=Bearer%20abc",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,"
            "service.name=not-this")
        with Node(args=["--standalone", *PROXIED], env=env) as node:
            asker = Asker(node, collector)
            trace, _, _ = asker.ask("GET", "/api/v1/search")
            span = collector.wait(trace=trace, name="souk.search")
            assert span.resource["service.name"] == "market", span.resource
            assert span.resource["deployment.environment.name"] == "test"
            assert span.resource["service.instance.id"] == node.id
            path, headers = collector.requests[0]
            assert path == "/v1/traces", path
            assert headers["x-tenant"] == "my team", headers
            assert headers["authorization"] == "Bearer abc", headers
            assert headers["Content-Type"] == "application/x-protobuf"
            # Who traces nothing is followed in that as well.
            quiet, _, _ = asker.ask("GET", "/api/v1/search", flags="00")
            probe, _, _ = asker.ask("GET", "/livez")
            last, _, _ = asker.ask("GET", "/api/v1/search")
            collector.wait(trace=last, name="souk.search")
            assert not collector.spans(trace=quiet)
            assert not collector.spans(trace=probe)
        # A parent counts only from a proxy that is trusted.
        collector.clear()
        with Node(args=["--standalone"], env=env) as node:
            trace, _, _ = Asker(node, collector).ask("GET", "/api/v1/search")
            span = collector.wait(name="GET /api/v1/search")
            assert span.trace != trace and not span.parent, span
        before = len(collector.requests)
        for off in ({"OTEL_SDK_DISABLED": "true"},
                    {"OTEL_TRACES_SAMPLER": "always_off"},
                    {"OTEL_TRACES_EXPORTER": "none"},
                    {"OTEL_TRACES_SAMPLER": "traceidratio",
                     "OTEL_TRACES_SAMPLER_ARG": "0"}):
            with Node(args=["--standalone", *PROXIED],
                      env={**env, **off}) as node:
                Asker(node, collector).ask("GET", "/api/v1/search")
        assert len(collector.requests) == before, "what is off sends"


def what_waits_is_sent_at_the_end():
    with Collector() as collector:
        env = collector.environment(OTEL_BSP_SCHEDULE_DELAY="3600000")
        with Node(args=["--standalone"], env=env) as node:
            node.get("/api/v1/search").expect(200)
            wait_until(lambda: scrape(node).sum("souk_spans_waiting") == 3,
                       lambda: str(scrape(node).samples["souk_spans_waiting"]))
            assert not collector.requests
        assert len(collector.spans(name="souk.search")) == 1


def dropped(node, reason):
    return scrape(node).sum("souk_spans_dropped_total", reason=reason)


def exported(node):
    return scrape(node).sum("souk_spans_exported_total")


def what_a_collector_does_not_take_is_counted():
    with Collector(status=400) as collector:
        env = collector.environment()
        with Node(args=["--standalone"], env=env) as node:
            node.get("/api/v1/search?q=one")
            wait_until(lambda: dropped(node, "refused") == 3, "refused")
            wait_until(lambda: any("spans are not taken" in line
                                   for line in node.lines), "a line in the log")
            assert collector.seen == 3, "what is refused comes again"
            collector.status, collector.refuses = 200, 1
            node.get("/api/v1/search?q=two")
            wait_until(lambda: dropped(node, "refused") > 3, "one refused")
            wait_until(lambda: dropped(node, "refused") + exported(node) == 6,
                       "the others")
            before = exported(node)
            # Busy: it comes again, and nothing is lost.
            collector.status, collector.refuses = 503, 0
            collector.clear()
            node.get("/api/v1/search?q=three")
            wait_until(lambda: collector.seen > 6, "an attempt")
            collector.status = 200
            wait_until(lambda: exported(node) == before + 3, "all of them")
            assert len(collector.spans(name="souk.search")) == 1
    # Nobody there: the queue fills, the rest is counted, requests go on.
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
           "OTEL_BSP_MAX_QUEUE_SIZE": "8",
           "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
           "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BSP_EXPORT_TIMEOUT": "3000"}
    with Node(args=["--standalone"], env=env) as node:
        for _ in range(40):
            node.get("/api/v1/search").expect(200)
        wait_until(lambda: dropped(node, "queue-full") > 0, "a full queue")
        wait_until(lambda: dropped(node, "not-taken") > 0, "a batch let go")


def libraries(node):
    text = pathlib.Path(f"/proc/{node.process.pid}/maps").read_text()
    return set(re.findall(r"/(lib\w+)[^/]*\.so", text))


def libcurl_is_carried_by_who_has_a_collector_only():
    with Node(args=["--standalone"]) as node:
        node.get("/api/v1/search").expect(200)
        assert "libcrypto" in libraries(node), libraries(node)
        assert not {"libcurl", "libgnutls"} & libraries(node), libraries(node)
    with Collector() as collector, \
            Node(args=["--standalone"], env=collector.environment()) as node:
        assert "libcurl" in libraries(node), libraries(node)


def without_libcurl_a_node_says_so_and_serves():
    with tempfile.TemporaryDirectory() as directory, \
            Collector() as collector:
        # The first of that name, and no library.
        pathlib.Path(directory, "libcurl.so.4").write_text("not a library")
        env = {"LD_LIBRARY_PATH": directory}
        with Node(args=["--standalone"],
                  env={**collector.environment(), **env}) as node:
            wait_until(lambda: any("libcurl cannot be loaded" in line
                                   for line in node.lines), node.log)
            node.publish("org/apple")
            node.get("/api/v1/search?q=apple").expect(200)
            status = subprocess.run(
                [BINARY, "status", "--api", node.endpoints["http"]],
                env={**os.environ, **env}, capture_output=True, text=True)
            assert status.returncode == 1, status
            assert "libcurl cannot be loaded" in status.stderr, status
            assert "libcurl.so.4" in status.stderr, status
        assert not collector.requests


# What collectors have said, and what nobody should.
NONSENSE = (
    b"", b"\0" * 70000, b"HTTP/1.1", b"HTTP/1.1 200\r\n",
    b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n\x0a\x02\x08\x01",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100000,
    b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
    b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 Later\r\nRetry-After: 99999999999999999999\r\n"
    b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 400 Bad\r\nContent-Length: 2000000\r\n\r\n" +
    b"x" * 2000000,
    b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n\x0a\x0b\x08" +
    b"\xff" * 9 + b"\x01",  # fewer than none were refused
)


def a_collector_that_talks_nonsense_harms_nobody():
    with Nonsense(NONSENSE) as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
               "OTEL_BSP_SCHEDULE_DELAY": "20",
               "OTEL_EXPORTER_OTLP_TIMEOUT": "1000",
               "OTEL_BSP_EXPORT_TIMEOUT": "1000"}
        with Node(args=["--standalone"], env=env) as node:
            def more():
                node.get("/api/v1/search").expect(200)
                return collector.said >= 2 * len(NONSENSE)

            wait_until(more, lambda: f"{collector.said} answers", 90)
            assert any("spans are not taken" in line for line in node.lines)
            ended = ("souk_spans_exported_total", "souk_spans_dropped_total")
            wait_until(lambda: all(scrape(node).sum(name) for name in ended),
                       lambda: scrape(node).text, 10)
            assert node.memory_kib() < 64 << 10


# ---- Speed. ----

# From the hot cache, where a request is cheapest and a span would show most.
HOT = """
local paths = {"/api/v1/search?q=apple", "/api/v1/packages/org/apple"}
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", paths[n % 2 + 1])
end
"""
# What a market does: of ten requests one publishes, two are searches that
# nobody has made before, and the others gets, of which one asks the network.
MIXED = """
local n, run = 0, os.time() % 1000000
local record = '{"id": "load/m%d-%d", "version": "1.0.0", "metadata": ' ..
  '{"title": "Load %d", "description": "What is published under load."}}'
local fresh = {["Cache-Control"] = "no-cache"}
local post = {["Content-Type"] = "application/json",
  ["Authorization"] = "Bearer TOKEN"}
request = function()
  n = n + 1
  local kind = n % 10
  if kind == 0 then
    return wrk.format("POST", "/api/v1/packages", post,
      record:format(run, n, n % 50))
  elseif kind < 3 then
    return wrk.format("GET",
      "/api/v1/search?scope=local&q=apple+or" .. run .. "x" .. n)
  elseif kind == 3 then
    return wrk.format("GET", "/api/v1/packages/org/apple?timeout=5s", fresh)
  end
  return wrk.format("GET", "/api/v1/packages/org/apple")
end
"""


def cpu_seconds(node):
    fields = pathlib.Path(f"/proc/{node.process.pid}/stat").read_text().split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def load(node, script):
    """One second of it: requests a second, and CPU seconds a request, with
    what a publish does after its answer."""
    served = "http_server_request_duration_seconds_count"
    before, cpu = scrape(node).sum(served), cpu_seconds(node)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script.replace("TOKEN", node.token))
        file.flush()
        out = subprocess.run(
            ["wrk", "-t1", "-c8", "-d1s", "-s", file.name,
             node.endpoints["http"]],
            capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out, out
    wait_until(lambda: scrape(node).sum("souk_outbox") == 0, "the outbox", 60)
    cpu = cpu_seconds(node) - cpu
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            cpu / (scrape(node).sum(served) - before))


def undisturbed(values, is_best_high):
    """The median of the best third: whatever else a machine does makes a load
    slower, never faster."""
    best = sorted(values, reverse=is_best_high)
    return statistics.median(best[:max(3, len(best) // 3)])


@contextlib.contextmanager
def market(env):
    with Network(2, env=env, args=["--gateway-threads", "1"]) as net:
        net.wait_connected()
        net[1].publish("org/apple", wait="quorum")
        net[0].get("/api/v1/packages/org/apple").expect(200)
        yield net[0]


def ratios(plain, traced, script):
    """Of requests a second, and of requests a CPU second, with and without:
    both in turn, as often as a busy machine needs."""
    without, with_it = [], []
    for node in (plain, traced):
        load(node, script)
    while True:
        for node, loads in ((plain, without), (traced, with_it))[
                ::-1 if len(without) % 2 else 1]:
            loads.append(load(node, script))
        rate, cpu = zip(*without)
        traced_rate, traced_cpu = zip(*with_it)
        speed = undisturbed(traced_rate, True) / undisturbed(rate, True)
        work = undisturbed(cpu, False) / undisturbed(traced_cpu, False)
        if len(without) >= 12 and (
                work >= 0.95 and speed >= 0.7 or len(without) == 40):
            return speed, work, undisturbed(rate, True), len(without)


def is_not_slowed_down(name, script):
    """What a request costs decides: on a machine with other work the same load
    is a fifth faster or slower from one second to the next, its CPU time is
    nearly the same.  That nobody waits is seen in the rate."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    with Silence() as silence:
        for what, url in (("unreachable", nowhere), ("mute", silence.url)):
            with market({}) as plain, \
                    market({"OTEL_EXPORTER_OTLP_ENDPOINT": url}) as traced:
                speed, work, rate, pairs = ratios(plain, traced, script)
                lost = sum(dropped(traced, reason)
                           for reason in ("queue-full", "not-taken"))
            figure(f"{name} load with a collector that is {what}: {work:.3f} "
                   f"of the requests a CPU second, {speed:.3f} of {rate:.0f} "
                   f"a second, {pairs} pairs; {lost:.0f} spans dropped")
            assert lost > 0
            assert work >= 0.95, work
            assert speed >= 0.7, speed


def a_collector_that_is_away_slows_nobody_down():
    is_not_slowed_down("hot", HOT)


def a_collector_that_is_away_slows_no_market_down():
    is_not_slowed_down("mixed", MIXED)


if __name__ == "__main__":
    run([the_page_on_metrics_lists_them_all,
         metrics_are_as_prometheus_wants_them, what_happens_is_counted,
         a_publish_is_told_to_its_last_question,
         a_search_is_told_to_its_last_peer,
         a_get_is_told_to_its_last_question, what_is_refused_says_why,
         every_end_of_a_span_has_a_test,
         a_store_that_does_not_answer_is_told_of,
         who_does_not_answer_is_told_of, connecting_is_told,
         the_environment_is_obeyed, what_waits_is_sent_at_the_end,
         what_a_collector_does_not_take_is_counted,
         libcurl_is_carried_by_who_has_a_collector_only,
         without_libcurl_a_node_says_so_and_serves,
         a_collector_that_talks_nonsense_harms_nobody,
         a_collector_that_is_away_slows_nobody_down,
         a_collector_that_is_away_slows_no_market_down])
