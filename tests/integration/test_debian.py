# SPDX-License-Identifier: Apache-2.0
"""The packages of Debian's own index, all of them through one node of three.

    test_debian.py [--records N]

While `souk import` publishes them on the first node the two others answer
searches for words of the records.  Then every package is got from every node.
The figures tell how fast that went and what the memory of each node is made of.
"""
import argparse
import collections
import json
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

from support.souk import (BINARY, ROOT, Network, figure, percentile, run,
                          wait_until)

RECORDS = 20000
SEARCHES_PER_S = 50       # of each searcher
PIPELINED = 50            # gets on their way at once
THROUGH_THE_DHT_EVERY = 50  # of the packages, got with Cache-Control: no-cache
WORD = re.compile(r"[a-z]{4,}")


def debian_records(directory):
    """Their lines in a file, and what is wanted back: {id: version}."""
    path = pathlib.Path(directory) / "debian.ndjson"
    with open(path, "wb") as file:
        subprocess.run(["python3", str(ROOT / "bench/debian_records.py"),
                        "--limit", str(RECORDS)], stdout=file, check=True)
    wanted, words = {}, collections.Counter()
    for line in open(path, encoding="utf-8"):
        record = json.loads(line)
        wanted[record["id"]] = record["version"]
        words.update(WORD.findall(record["metadata"]["title"].lower()))
    assert len(wanted) == RECORDS, \
        f"the package index holds {len(wanted)} records; apt-get update?"
    return path, wanted, list(words)


def version_text(version):
    text = "{major}.{minor}.{patch}".format(**version)
    return text + (f"-{version['pre_release']}" if version.get("pre_release")
                   else "")


class Searcher(threading.Thread):
    """Asks one node for one real word after the other, until stopped."""

    def __init__(self, node, words, seed):
        super().__init__()
        self.node, self.words = node, words
        self.random = random.Random(seed)
        self.times, self.failures = [], []
        self.found = self.incomplete = 0
        self.is_over = threading.Event()

    def run(self):
        while not self.is_over.wait(1 / SEARCHES_PER_S):
            word = self.random.choice(self.words)
            start = time.monotonic()
            answer = self.node.get(f"/api/v1/search?q={word}")
            self.times.append((time.monotonic() - start) * 1000)
            if answer.status != 200:
                self.failures.append((word, answer.status, answer.text[:200]))
                continue
            self.found += answer.json["total"] > 0
            self.incomplete += not answer.json["lookup"]["complete"]

    def end(self):
        self.is_over.set()
        self.join()


class Memory:
    """Lines of what each node holds and takes, one each 1,000 records."""

    def __init__(self, net):
        self.net, self.next = net, 0

    def look(self):
        held = [node.count("packages") for node in self.net]
        if min(held) < self.next:
            return
        self.next = min(held) - min(held) % 1000 + 1000
        rss = " ".join(f"{node.memory_kib() / 1024:6.1f}" for node in self.net)
        figure(f"held by all {min(held):6}, published {held[0]:6}, "
               f"resident MiB {rss}")


def resident(node):
    """Resident memory by kind, in MiB."""
    kinds = {}
    for line in open(f"/proc/{node.process.pid}/smaps_rollup"):
        name, _, rest = line.partition(":")
        if rest.strip().endswith("kB"):
            kinds[name] = int(rest.split()[0]) / 1024
    return kinds


def explain(net, before):
    """What of a node's resident memory is what."""
    for i, node in enumerate(net):
        kinds = resident(node)
        use = {limit["name"]: limit["use"] for limit in
               node.admin.get("/api/v1/node/limits").expect(200)
               .json["limits"]}
        parts = {name: use[name] / 2**20 for name in
                 ("dht_record_bytes", "database_cache_bytes",
                  "search_lists_bytes", "gossip_cache_bytes",
                  "hot_cache_bytes")}
        rest = kinds["Anonymous"] - before[i]["Anonymous"] - \
            sum(parts.values())
        figure(f"node {i}: {kinds['Rss']:.1f} MiB resident = "
               f"{kinds['Rss'] - kinds['Anonymous']:.1f} files (program, "
               f"libraries, the database's shared index) + "
               f"{before[i]['Anonymous']:.1f} at start + "
               f"{parts['dht_record_bytes']:.1f} for {use['dht_records']} DHT "
               f"records and their distinct values + "
               f"{parts['database_cache_bytes']:.1f} SQLite + "
               f"{parts['search_lists_bytes']:.1f} words' lists + "
               f"{parts['gossip_cache_bytes']:.1f} gossip messages + "
               f"{parts['hot_cache_bytes']:.1f} answers + {rest:.1f} the rest "
               f"(maps, {use['gossip_seen']} seen ids, malloc)")


def read_answer(file):
    """One HTTP answer: status, body."""
    status, length = int(file.readline().split()[1]), 0
    while (line := file.readline().strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, file.read(length)


def get_all(node, names, header=""):
    """(name, status, body) of each, over one connection, pipelined."""
    url = node.http.url
    with socket.create_connection((url.hostname, url.port)) as s, \
            s.makefile("rb") as file:
        for at in range(0, len(names), PIPELINED):
            some = names[at:at + PIPELINED]
            s.sendall("".join(
                f"GET /api/v1/packages/{name} HTTP/1.1\r\n"
                f"Host: {url.netloc}\r\n{header}\r\n"
                for name in some).encode())
            for name in some:
                yield name, *read_answer(file)


def lost_on(node, wanted, names, header=""):
    lost, start = [], time.monotonic()
    for name, status, body in get_all(node, names, header):
        if status == 200:
            record = json.loads(body)
            got = (f"{record['id']['namespace']}/{record['id']['name']}",
                   version_text(record["version"]))
            if got == (name, wanted[name]):
                continue
        lost.append((name, status, body[:200]))
    return lost, time.monotonic() - start


def check_all_are_there(net, wanted):
    names = list(wanted)
    some = names[::THROUGH_THE_DHT_EVERY]
    found = {}

    def check(i):
        lost, took = lost_on(net[i], wanted, names)
        lost_in_dht, dht_took = lost_on(net[i], wanted, some,
                                        "Cache-Control: no-cache\r\n")
        found[i] = lost, took, lost_in_dht, dht_took

    threads = [threading.Thread(target=check, args=(i,))
               for i in range(len(net))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(len(net)):
        lost, took, lost_in_dht, dht_took = found[i]
        figure(f"node {i}: lost {len(lost)} of {len(names)}, got at "
               f"{len(names) / took:.0f}/s; asking the network again lost "
               f"{len(lost_in_dht)} of {len(some)}, at "
               f"{len(some) / dht_took:.0f}/s")
    for lost, _, lost_in_dht, _ in found.values():
        assert not lost, lost[:5]
        assert not lost_in_dht, lost_in_dht[:5]


def import_all(net, path, memory):
    """`souk import` on the first node, until its outbox is empty."""
    start = time.monotonic()
    with subprocess.Popen(
            [BINARY, "import", str(path), "--restart",
             "--api", net[0].endpoints["http"],
             "--token-file", str(net[0].dir / "admin-token")],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as importing:
        def is_done():
            memory.look()
            return importing.poll() is not None

        wait_until(is_done, "the import to end", within=600)
        assert importing.returncode == 0, importing.stderr.read()[-2000:]
    took = time.monotonic() - start
    figure(f"{RECORDS} records published in {took:.1f} s, "
           f"{RECORDS / took:.0f}/s")

    def is_told():
        memory.look()
        return net[0].count("outbox") == 0 and \
            all(node.count("packages") == RECORDS for node in net)

    wait_until(is_told, lambda: "the network to know: " + str(
        [node.status()["counts"] for node in net]), within=600)
    figure(f"outbox empty and all held by all "
           f"{time.monotonic() - start:.1f} s after the first publish")


def the_debian_index_through_one_node_of_three():
    with tempfile.TemporaryDirectory(prefix="souk-debian-") as directory, \
            Network(3) as net:
        path, wanted, words = debian_records(directory)
        net.wait_connected()
        for node in net:
            wait_until(lambda: node.count("mesh_peers") == 2, "mesh")
        before = [resident(node) for node in net]
        memory = Memory(net)
        searchers = [Searcher(net[i], words, seed=i) for i in (1, 2)]
        for searcher in searchers:
            searcher.start()
        try:
            import_all(net, path, memory)
        finally:
            for searcher in searchers:
                searcher.end()
        times = [t for s in searchers for t in s.times]
        failures = [f for s in searchers for f in s.failures]
        figure(f"{len(times)} searches answered meanwhile: "
               f"p50 {percentile(times, .5):.2f} ms, "
               f"p99 {percentile(times, .99):.2f} ms, max {max(times):.1f} ms;"
               f" {sum(s.found for s in searchers)} found something, "
               f"{sum(s.incomplete for s in searchers)} incomplete")
        assert not failures, failures[:5]
        explain(net, before)
        check_all_are_there(net, wanted)
        for node in net:
            refused = {limit["name"]: limit["refused"] for limit in
                       node.admin.get("/api/v1/node/limits").json["limits"]
                       if limit["refused"]}
            # So many packages have too many terms, also for who keeps them
            # for others, and got one by one they are more than the hot cache
            # keeps.
            assert set(refused) <= {"terms", "dht_provider_keys",
                                    "hot_cache_bytes"}, refused


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=RECORDS)
    arguments, sys.argv[1:] = parser.parse_known_args()
    RECORDS = arguments.records
    run([the_debian_index_through_one_node_of_three])
