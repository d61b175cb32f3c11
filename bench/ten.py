# SPDX-License-Identifier: Apache-2.0
"""Souks among each other on loopback, asked over HTTP: one put, one get, one
announcement at a time, and rest between them."""
import contextlib
import time

from measure import Wire, cpu_s
from support.souk import Network, record, wait_until

FRESH = "Cache-Control: no-cache\r\n"


def rest(net, within=20, share=0.01, quiet=0.15):
    """Until nobody is busy for so many seconds: less than that part of a
    processor each."""
    def used():
        return [cpu_s(node.process.pid) for node in net]

    before, since = used(), time.monotonic()

    def is_quiet():
        nonlocal before, since
        took = time.monotonic() - since
        if took < quiet:
            return False
        now = used()
        busiest = max(b - a for a, b in zip(before, now)) / took
        before, since = now, time.monotonic()
        return busiest < share

    wait_until(is_quiet, "the nodes to come to rest", within)


class Souks:
    """Nodes in each other's table and mesh, a kept connection to each."""

    def __init__(self, net):
        self.net = net
        self.wires = [Wire(node.endpoints["http"], node.token) for node in net]

    def __len__(self):
        return len(self.wires)

    def at_rest(self, package):
        """Everybody has it, and nobody is busy any more with what else follows
        a publish: its other records at once, its terms 100 ms later."""
        for wire in self.wires:
            wait_until(lambda: wire.get(f"/api/v1/packages/{package}"
                                        "?scope=local").status == 200, package)
        rest(self.net)

    def put(self, n, package, wait):
        """ms from the POST to the 201."""
        took = self.wires[n].post(f"/api/v1/packages?wait={wait}",
                                  record(package)).expect(201).ms
        self.at_rest(package)
        return took

    def get(self, n, package):
        """ms of a GET that asks the others."""
        return self.wires[n].get(f"/api/v1/packages/{package}",
                                 FRESH).expect(200).ms

    def announce(self, n, package):
        """ms until the last has it, from the 201 and from the POST, and of
        each turn.  All others are asked at once, again and again: a turn's
        length is how exact the time is."""
        path, turns = f"/api/v1/packages/{package}?scope=local", []
        posted = time.perf_counter()
        self.wires[n].post("/api/v1/packages", record(package)).expect(201)
        created = time.perf_counter()
        waiting = [wire for k, wire in enumerate(self.wires) if k != n]
        while waiting:
            start = time.perf_counter()
            for wire in waiting:
                wire.send_get(path)
            waiting = [wire for wire in waiting
                       if wire.read().expect(200, 404).status == 404]
            turns.append((time.perf_counter() - start) * 1000)
        now = time.perf_counter()
        self.at_rest(package)
        return (now - created) * 1000, (now - posted) * 1000, turns


@contextlib.contextmanager
def souks(count):
    with Network(count) as net:
        net.wait_connected()
        for node in net:
            wait_until(lambda: node.count("routing_table_peers") == count - 1,
                       "everybody in every table")
            wait_until(lambda: node.count("mesh_peers") >= min(count - 1, 5),
                       "a mesh")
        yield Souks(net)
