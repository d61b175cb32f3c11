# SPDX-License-Identifier: Apache-2.0
"""The nodes of the contract's tests, a good request for each operation, and
what the cases do with them."""
import collections
import contextlib
import pathlib
import socket
import sys
import tempfile
import threading

from contract import Contract
from faults import Faults
from keys import stranger
from support.souk import Network, Node, record

CONTRACT = Contract()
PUBLISH_TOKEN = "publish-token-of-the-tests"
SHOP = "https://shop.example"
FORWARDED = {"X-Forwarded-For": "192.0.2.7"}
NO_CACHE = {"Cache-Control": "no-cache"}
BODY_MAX, DRAIN_MAX = 1 << 20, 16 << 20

Op = collections.namedtuple("Op", "method path body scope", defaults=(None,
                                                                      None))
PEER_PATH = "/api/v1/peers/{}"
LIB = "/api/v1/packages/org/lib"
SOMEBODY = stranger()
OPS = {
    "search": Op("GET", "/api/v1/search"),
    "publish": Op("POST", "/api/v1/packages", record("org/lib"), "publish"),
    "getPackage": Op("GET", LIB),
    "headPackage": Op("HEAD", LIB),
    "listVersions": Op("GET", f"{LIB}/versions"),
    "getVersion": Op("GET", f"{LIB}/versions/1.0.0"),
    "deleteVersion": Op("DELETE", f"{LIB}/versions/1.0.0", {"reason": "Bad."},
                        "publish"),
    "yank": Op("PUT", f"{LIB}/versions/1.0.0/yank", {"reason": "Bad."},
               "publish"),
    "unyank": Op("DELETE", f"{LIB}/versions/1.0.0/yank", None, "publish"),
    "listPeers": Op("GET", "/api/v1/peers"),
    "connectPeer": Op("POST", "/api/v1/peers",
                      {"multiaddr": f"/ip4/127.0.0.1/tcp/1/p2p/{SOMEBODY}"},
                      "admin"),
    "getPeer": Op("GET", f"/api/v1/peers/{SOMEBODY}"),
    "disconnectPeer": Op("DELETE", f"/api/v1/peers/{SOMEBODY}", None, "admin"),
    "getReputation": Op("GET", f"/api/v1/peers/{SOMEBODY}/reputation"),
    "getNode": Op("GET", "/api/v1/node"),
    "getLimits": Op("GET", "/api/v1/node/limits"),
    "ggenSearch": Op("GET", "/api/v1/packages/search"),
    "ggenIndex": Op("GET", "/api/v1/index"),
    "ggenMetadata": Op("GET", "/api/v1/metadata"),
    "livez": Op("GET", "/livez"),
    "readyz": Op("GET", "/readyz"),
    "startupz": Op("GET", "/startupz"),
    "health": Op("GET", "/health"),
    "openapi": Op("GET", "/openapi.json"),
    "version": Op("GET", "/version"),
    "index": Op("GET", "/"),
    "metrics": Op("GET", "/metrics"),
    "debugGateway": Op("GET", "/debug/gateway"),
}
ADMIN_ONLY = {"metrics", "debugGateway"}
# Answered by the core itself, so they need its loop.
OF_THE_CORE = ["listPeers", "getPeer", "disconnectPeer", "getReputation"]
LOOKUPS = ["getPackage", "headPackage", "listVersions", "getVersion"]


def statuses(name):
    """The documented ones."""
    for operation in CONTRACT.operations.values():
        if operation["operationId"] == name:
            return {int(status) for status in operation["responses"]}
    raise KeyError(name)


def with_query(path, query):
    return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


def ask(node, name, query="", headers=None, body=None, auth=True, client=None,
        **kw):
    """The good request of an operation, spoilt by what is given."""
    op = OPS[name]
    client = client or (node.admin if name in ADMIN_ONLY else node.http)
    return client.request(op.method, with_query(op.path, query),
                          op.body if body is None else body, headers, auth,
                          **kw)


class Aside(threading.Thread):
    """What takes long runs beside the other cases; its case joins it."""

    def __init__(self, target, *args):
        super().__init__(daemon=True)
        self.target, self.args, self.failure = target, args, None

    def run(self):
        try:
            self.target(*self.args)
        except BaseException as failure:  # noqa: BLE001
            self.failure = failure

    def finish(self, within=40):
        self.join(within)
        assert not self.is_alive(), "did not end"
        if self.failure:
            raise self.failure


class Silence:
    """A listener that accepts and never says a word."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.taken = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.listener.accept()[0])

    def address(self, peer):
        return f"/ip4/127.0.0.1/tcp/{self.port}/p2p/{peer}"

    def close(self):
        self.listener.close()
        for connection in self.taken:
            connection.close()


class World:
    """The nodes, started once; they say nothing to each other but a to b, and
    deaf to a peer that was stopped in the middle of its life."""

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(self.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="souk-contract-")))
        token = self.folder / "publish-token"
        token.write_text(PUBLISH_TOKEN + "\n")
        token.chmod(0o600)
        self.faults = Faults(self.folder)
        self.silence = self.stack.enter_context(
            contextlib.closing(Silence()))

        def node(*args, **options):
            return Node(args=list(args), watch=CONTRACT.watch, **options)

        def start(name, made):
            setattr(self, name, self.stack.enter_context(made))

        start("alone", node("--standalone", "--publish-token-file",
                            str(token)))
        start("other", node("--standalone"))
        start("free", node("--standalone", "--http-write-auth", "none",
                           "--cors-origins", SHOP))
        start("strict", node("--standalone", "--http-rate-limit", "1",
                             "--http-rate-burst", "1"))
        start("lonely", node())
        start("faulty", node("--standalone", env=self.faults.env))
        net = self.stack.enter_context(Network(2, watch=CONTRACT.watch))
        self.a, self.b = net
        self.deaf = None
        self.alone.publish("org/lib")
        wanted = sys.argv[1:]
        self.aside = {case: Aside(case) for case in BESIDE
                      if not wanted or case.__name__ in wanted}
        for thread in self.aside.values():
            thread.start()
        return self

    def __exit__(self, *why):
        return self.stack.__exit__(*why)


WORLD = World()
BESIDE = []


def beside(case):
    """A case that runs while the others do."""
    BESIDE.append(case)

    def finish():
        WORLD.aside[case].finish()
    finish.__name__ = case.__name__
    return finish


def check_all(spoil, only=lambda name: True):
    """spoil(name) for every operation; all failures together."""
    bad = []
    for name in OPS:
        if only(name):
            try:
                spoil(name)
            except AssertionError as failure:
                bad.append(f"{name}: {failure}")
    assert not bad, "\n".join(bad)


def expect_problem(answer, status, code):
    if answer.method == "HEAD":
        answer.expect(status)
        assert answer.headers["Content-Type"] == "application/problem+json"
    else:
        answer.problem(status, code)
    return answer


def points_at(answer, code, pointer):
    if answer.method == "HEAD":
        answer.expect(422)
        return
    pointers = [e["pointer"] for e in answer.problem(422, code)["errors"]]
    assert pointer in pointers, (answer.path, pointers)


def limit_of(node, name):
    limits = ask(node, "getLimits").expect(200).json["limits"]
    return next(limit for limit in limits if limit["name"] == name)
