# SPDX-License-Identifier: Apache-2.0
"""What an operator is told: metrics, of real nodes at work."""
import re
import subprocess

from support.souk import ROOT, Network, Node, run, wait_until

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


if __name__ == "__main__":
    run([the_page_on_metrics_lists_them_all,
         metrics_are_as_prometheus_wants_them, what_happens_is_counted])
