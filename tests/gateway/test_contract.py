# SPDX-License-Identifier: Apache-2.0
"""Every operation and every documented answer of openapi.yaml, on real nodes.

    WORLD   the nodes: alone, other, free, strict, lonely, a + b, deaf, faulty
    OPS     a good request for each operation; the crossings below spoil it
    cases   tables of requests with the status and code they must get

Every answer passes through Contract.watch().  The last case fails with a list
of what is documented and was not seen.
"""
import collections
import contextlib
import http.client
import pathlib
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from contract import Contract  # noqa: E402
from faults import AT_THE_END, Faults  # noqa: E402
from keys import cid, stranger  # noqa: E402
from raw import Raw, parse  # noqa: E402
from rows import Rows, unchanged  # noqa: E402
from support.souk import (Client, Network, Node, figure, record,  # noqa: E402
                          run, wait_until)

CONTRACT = Contract()
PUBLISH_TOKEN = "publish-token-of-the-tests"
SHOP = "https://shop.example"
FORWARDED = {"X-Forwarded-For": "192.0.2.7"}
NO_CACHE = {"Cache-Control": "no-cache"}
BODY_MAX, DRAIN_MAX = 1 << 20, 16 << 20

Op = collections.namedtuple("Op", "method path body scope", defaults=(None,
                                                                      None))
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
OF_THE_CORE = ["listPeers", "getPeer", "disconnectPeer", "getReputation",
               "getLimits"]
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


# ---- The document. -------------------------------------------------------

def the_document_and_its_examples_are_valid():
    examples = CONTRACT.examples()
    assert len(examples) > 20, examples
    for at, schema, example in examples:
        try:
            CONTRACT.check_value(schema, example)
        except Exception as error:
            raise AssertionError(f"{at}: {example}: {error}") from error


def the_node_serves_the_document():
    served = ask(WORLD.alone, "openapi").expect(200).json
    document = {k: v for k, v in CONTRACT.document.items()
                if not k.startswith("x-")}
    document["info"] = {**document["info"],
                        "version": served["info"]["version"]}
    assert served == document
    version = ask(WORLD.alone, "version").expect(200).json
    assert version["version"] == served["info"]["version"]


def every_operation_has_a_request_here():
    documented = {operation["operationId"]
                  for operation in CONTRACT.operations.values()}
    assert documented == set(OPS), documented ^ set(OPS)


# ---- Good answers. -------------------------------------------------------

def reads_answer_200():
    for name in ("search", "getPackage", "headPackage", "listVersions",
                 "getVersion", "listPeers", "getNode", "getLimits",
                 "ggenSearch", "ggenIndex", "ggenMetadata", "openapi",
                 "version", "index", "metrics", "debugGateway", "livez",
                 "readyz", "startupz", "health"):
        ask(WORLD.alone, name).expect(200)
        if name in ("livez", "readyz", "startupz", "health"):
            checks = ask(WORLD.alone, name, "verbose").expect(200).json
            assert checks["checks"] and checks["version"], checks
    brief = ask(WORLD.alone, "listVersions", "view=brief").json
    assert brief["versions"][0]["version"] == "1.0.0", brief
    found = ask(WORLD.alone, "search", "q=lib&facets").expect(200).json
    assert found["facets"]["namespace"] == {"org": 1}, found
    assert "souk_packages" in ask(WORLD.alone, "metrics").text
    assert ask(WORLD.alone, "ggenIndex").json["packages"] == [
        {"id": {"namespace": "org", "name": "lib"}, "latest_version": "1.0.0"}]


def the_admin_listener_has_all_of_it():
    node = WORLD.alone
    for name, op in OPS.items():
        if op.scope is None and 200 in statuses(name) and \
                name not in ("getPeer", "getReputation"):
            ask(node, name, client=node.admin).expect(200)
    public = Client(node.endpoints["http"], node.token)
    for path in ("/metrics", "/debug/gateway"):
        public.get(path).problem(404, "not-found")


def an_unchanged_answer_is_304():
    for name in OPS:
        if 304 not in statuses(name):
            continue
        first = ask(WORLD.alone, name).expect(200)
        tag = first.headers["ETag"]
        for asked in (tag, f'"x", {tag}', f"W/{tag.removeprefix('W/')}", "*"):
            again = ask(WORLD.alone, name,
                        headers={"If-None-Match": asked}).expect(304)
            assert again.headers["ETag"] == tag, (name, again.headers)
        ask(WORLD.alone, name, headers={"If-None-Match": '"other"'}).expect(200)


def a_change_changes_the_tag():
    node = WORLD.alone
    node.publish("org/tagged")
    path = "/api/v1/packages/org/tagged"
    paths = [path, f"{path}/versions", "/api/v1/search?q=tagged",
             "/api/v1/index"]
    tags = [node.get(p).headers["ETag"] for p in paths]
    node.publish("org/tagged", "1.1.0")
    for p, tag in zip(paths, tags):
        node.get(p, headers={"If-None-Match": tag}).expect(200)


def publishing_is_201_once_and_200_again():
    node, sent = WORLD.alone, record("org/again", tags=["twice"])
    first = node.post("/api/v1/packages", sent).expect(201)
    assert first.headers["Location"] == \
        "/api/v1/packages/org/again/versions/1.0.0"
    assert first.headers["Souk-Trust"] == "pinned"
    node.get(first.headers["Location"]).expect(200)
    with unchanged(node, "the same again"):
        again = node.post("/api/v1/packages", sent).expect(200)
    assert again.json["package"] == first.json["package"]
    # The other way to write it, and the record as it was answered.
    with unchanged(node, "the same in other words"):
        node.post("/api/v1/packages", {
            **sent, "id": {"namespace": "org", "name": "again"},
            "version": {"major": 1, "minor": 0, "patch": 0}}).expect(200)
        node.post("/api/v1/packages", first.json["package"]).expect(200)


def yank_and_back():
    node = WORLD.alone
    node.publish("org/yanked")
    node.publish("org/yanked", "1.1.0")
    path = "/api/v1/packages/org/yanked"
    for method, version in (("PUT", "1.1.0"), ("DELETE", "1.0.0")):
        at = f"{path}/versions/{version}" + ("/yank" if method == "PUT" else
                                             "")
        said = node.http.request(method, at, {
            "reason": "It bites.", "use_instead": "1.2.0"}).expect(200)
        assert said.json["package"]["souk"]["yanked"]["reason"] == "It bites."
        with unchanged(node, "yanked again"):
            node.http.request(method, at, {
                "reason": "It bites.", "use_instead": "1.2.0"}).expect(200)
    node.get(path).problem(404, "all-yanked")
    assert node.http.request("HEAD", path).status == 404
    node.get(f"{path}/versions/1.0.0").expect(200)
    assert [v["yanked"] for v in node.get(f"{path}/versions?view=brief")
            .json["versions"]] == [True, True]
    assert node.search("yanked")["total"] == 0
    node.delete(f"{path}/versions/1.0.0/yank").expect(200)
    with unchanged(node, "not yanked any more"):
        node.delete(f"{path}/versions/1.0.0/yank").expect(200)
    head = node.get(path).expect(200).json
    assert head["version"]["minor"] == 0, head
    assert node.search("yanked")["total"] == 1


# ---- Each operation, spoilt in every way. --------------------------------

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


def a_malformed_query_is_400():
    def spoil(name):
        for query in ("a=%zz", "a=%4", "%"):
            with unchanged(WORLD.alone, query):
                expect_problem(ask(WORLD.alone, name, query), 400,
                               "bad-request")
    check_all(spoil)


def another_host_is_421_on_the_admin_listener():
    def spoil(name):
        node = WORLD.alone
        for host in ("evil.example", "evil.example:80", "192.0.2.1",
                     "localhost.evil.example"):
            with unchanged(node, host):
                expect_problem(ask(node, name, client=node.admin,
                                   headers={"Host": host}), 421, "misdirected")
    check_all(spoil)
    port = urllib.parse.urlsplit(WORLD.alone.endpoints["admin"]).port
    for host in ("localhost", f"LOCALHOST:{port}", "127.0.0.1", f"[::1]:{port}"):
        ask(WORLD.alone, "metrics", headers={"Host": host}).expect(200)
    ask(WORLD.alone, "getNode", headers={"Host": "any.example"}).expect(200)


def large_headers_are_431():
    def spoil(name):
        with unchanged(WORLD.alone, "a large header"):
            expect_problem(ask(WORLD.alone, name,
                               headers={"X-Large": "x" * (17 << 10)}),
                           431, "headers-too-large")
    check_all(spoil)


def an_emptied_bucket_is_429():
    def spoil(name):
        node = WORLD.strict
        client = node.admin if name in ADMIN_ONLY else node.http
        for _ in range(4):  # a token may have come back meanwhile
            answer = ask(node, name, headers=FORWARDED, auth=False,
                         client=client)
            if answer.status == 429:
                break
        expect_problem(answer, 429, "rate-limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 2
        assert answer.headers["RateLimit"].startswith('"client";r=0;t=')
        assert answer.headers["RateLimit-Policy"] == '"client";q=1;w=1'
    with unchanged(WORLD.strict, "requests over the limit"):
        check_all(spoil, lambda name: 429 in statuses(name))
    assert limit_of(WORLD.strict, "http_rate")["refused"] >= 10


def some_are_never_limited():
    for _ in range(5):
        for name in ("livez", "startupz", "readyz", "health", "metrics"):
            ask(WORLD.strict, name, headers=FORWARDED, auth=False).expect(200)
        ask(WORLD.strict, "getNode", headers=FORWARDED).expect(200)  # admin
        ask(WORLD.strict, "getNode", auth=False).expect(200)  # loopback


def writes_need_a_token():
    def spoil(name):
        for header in (None, "", "Bearer", "Bearer ", "Bearer wrong",
                       f"Basic {WORLD.alone.token}", WORLD.alone.token,
                       f"Bearer {WORLD.alone.token}x"):
            with unchanged(WORLD.alone, f"Authorization: {header}"):
                answer = ask(WORLD.alone, name, auth=False, headers={} if
                             header is None else {"Authorization": header})
                expect_problem(answer, 401, "unauthorized")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        ask(WORLD.other, name, "timeout=1", auth=False, headers={
            "Authorization": f"bearer  {WORLD.other.token}"}).expect(
                404, 422, 502)
    check_all(spoil, lambda name: OPS[name].scope is not None)
    for name, op in OPS.items():
        assert (401 in statuses(name)) == (op.scope is not None), name


def a_token_that_may_only_publish_is_403_elsewhere():
    headers = {"Authorization": f"Bearer {PUBLISH_TOKEN}"}
    for name, op in OPS.items():
        if op.scope == "admin":
            ask(WORLD.alone, name, headers=headers).problem(403, "forbidden")
    ask(WORLD.alone, "publish", headers=headers).expect(200)


def a_page_of_another_origin_may_not_write():
    """Where writes are free a browser must not lend its reader's place."""
    def spoil(name):
        for origin in ("https://evil.example", "null", SHOP + ".evil.example"):
            with unchanged(WORLD.free, origin):
                ask(WORLD.free, name, auth=False,
                    headers={"Origin": origin}).problem(403, "forbidden")
    check_all(spoil, lambda name: OPS[name].scope == "publish")
    allowed = ask(WORLD.free, "publish", auth=False,
                  headers={"Origin": SHOP}).expect(201)
    assert allowed.headers["Access-Control-Allow-Origin"] == SHOP


def bodies_must_be_json():
    node = WORLD.alone

    def spoil(name):
        for body in (b"{", b"", b"nul", b'{"id": "a/b",}', b"\xff\xfe",
                     b"{'id': 1}"):
            with unchanged(node, repr(body)):
                if body:
                    ask(node, name, body=body).problem(400, "not-json")
        with unchanged(node, "no body"):
            node.http.request(OPS[name].method, OPS[name].path, b"").problem(
                400, "not-json")
            node.http.request(OPS[name].method, OPS[name].path).problem(
                400, "not-json")
        for body in (b"[]", b'"text"', b"17", b"null"):
            with unchanged(node, repr(body)):
                ask(node, name, body=body).problem(422, "schema")
        for kind in ("text/plain", "application/x-www-form-urlencoded",
                     "application/jsonp", ""):
            with unchanged(node, kind):
                ask(node, name, headers={"Content-Type": kind}).problem(
                    415, "unsupported-media-type")
        with unchanged(node, "too large"):
            answer = ask(node, name, body=b" " * (BODY_MAX + 1))
            answer.problem(413, "body-too-large")
    check_all(spoil, lambda name: OPS[name].body is not None)
    with Raw(node.endpoints["http"], CONTRACT.watch) as raw:
        raw.ask("POST", "/api/v1/packages", {
            "Authorization": f"Bearer {node.token}",
            "Content-Length": "2"}, body=b"{}").problem(
                415, "unsupported-media-type")
    ask(node, "publish", headers={
        "Content-Type": "Application/JSON; charset=utf-8"}).expect(200)


def refusals_come_in_their_order():
    """401 before 413 before 415 before 400 before 422."""
    node, large = WORLD.alone, b"x" * (BODY_MAX + 1)
    plain = {"Content-Type": "text/plain"}
    ask(node, "publish", body=large, headers=plain,
        auth=False).problem(401, "unauthorized")
    ask(node, "publish", body=large, headers=plain).problem(
        413, "body-too-large")
    ask(node, "publish", body=b"{", headers=plain).problem(
        415, "unsupported-media-type")
    ask(node, "publish", body=b"{").problem(400, "not-json")
    stolen = {**record("org/lib", title=5), "souk": {"signature": "x"}}
    ask(node, "publish", body=stolen).problem(422, "schema")


# ---- Parameters. ---------------------------------------------------------

PEER_PATH = "/api/v1/peers/{}"
BAD_PARAMETERS = [
    # query, pointer
    ("search", "limit=0", "#/query/limit"),
    ("search", "limit=101", "#/query/limit"),
    ("search", "limit=-1", "#/query/limit"),
    ("search", "limit=ten", "#/query/limit"),
    ("search", "limit=", "#/query/limit"),
    ("search", "limit=99999999999999999999", "#/query/limit"),
    ("search", "limit=5&limit=6", "#/query/limit"),
    ("search", "q=" + "x" * 513, "#/query/q"),
    ("search", "q=%00", "#/query/q"),
    ("search", "q=%ff", "#/query/q"),
    ("search", "tag=" + "x" * 65, "#/query/tag"),
    ("search", "tag=", "#/query/tag"),
    ("search", "category=" + "x" * 65, "#/query/category"),
    ("search", "author=" + "x" * 65, "#/query/author"),
    ("search", "license=" + "x" * 65, "#/query/license"),
    ("search", "namespace=" + "x" * 65, "#/query/namespace"),
    ("search", "trust=much", "#/query/trust"),
    ("search", "sort=best", "#/query/sort"),
    ("search", "scope=world", "#/query/scope"),
    ("search", "fan_out=0", "#/query/fan_out"),
    ("search", "fan_out=9", "#/query/fan_out"),
    ("search", "facets=maybe", "#/query/facets"),
    ("search", "cursor=x", "#/query/cursor"),
    ("search", "timeout=49ms", "#/query/timeout"),
    ("search", "timeout=26s", "#/query/timeout"),
    ("search", "timeout=25001ms", "#/query/timeout"),
    ("search", "timeout=soon", "#/query/timeout"),
    ("search", "timeout=", "#/query/timeout"),
    ("ggenSearch", "limit=0", "#/query/limit"),
    ("ggenSearch", "scope=world", "#/query/scope"),
    ("ggenSearch", "timeout=1ms", "#/query/timeout"),
    ("ggenSearch", "q=" + "x" * 513, "#/query/q"),
    ("publish", "wait=all", "#/query/wait"),
    ("publish", "timeout=1ms", "#/query/timeout"),
    ("listVersions", "view=long", "#/query/view"),
    ("listVersions", "limit=101", "#/query/limit"),
    ("listVersions", "cursor=x", "#/query/cursor"),
    ("deleteVersion", "timeout=1ms", "#/query/timeout"),
    ("yank", "timeout=1ms", "#/query/timeout"),
    ("unyank", "timeout=1ms", "#/query/timeout"),
    ("connectPeer", "timeout=1ms", "#/query/timeout"),
    ("listPeers", "state=friend", "#/query/state"),
    ("listPeers", "sort=name", "#/query/sort"),
    ("listPeers", "limit=0", "#/query/limit"),
    ("listPeers", "cursor=x", "#/query/cursor"),
    ("disconnectPeer", "ban=long", "#/query/ban"),
    ("disconnectPeer", "ban=0s", "#/query/ban"),
    *[(name, query, pointer) for name in LOOKUPS for query, pointer in (
        ("scope=world", "#/query/scope"), ("timeout=1ms", "#/query/timeout"),
        ("timeout=1h", "#/query/timeout"))],
]
BAD_PATHS = [
    # method, path, pointer
    ("GET", "/api/v1/packages/-org/lib", "#/path"),
    ("GET", "/api/v1/packages/org/.lib", "#/path"),
    ("GET", "/api/v1/packages/org/l%20b", "#/path"),
    ("GET", "/api/v1/packages/org/l%00b", "#/path"),
    ("GET", "/api/v1/packages/org/l%ff", "#/path"),
    ("GET", "/api/v1/packages/org/l%2fb", "#/path"),
    ("GET", "/api/v1/packages/org/l%zz", "#/path"),
    ("GET", "/api/v1/packages/org/" + "x" * 65, "#/path"),
    ("GET", "/api/v1/packages/org/" + "x" * 300, "#/path"),
    ("HEAD", "/api/v1/packages/-org/lib", "#/path"),
    ("GET", "/api/v1/packages/~org/lib", "#/path"),
    ("GET", "/api/v1/packages/-org/lib/versions", "#/path"),
    ("GET", f"{LIB}/versions/1.0", "#/path/version"),
    ("GET", f"{LIB}/versions/01.0.0", "#/path/version"),
    ("GET", f"{LIB}/versions/1.0.0+build", "#/path/version"),
    ("GET", f"{LIB}/versions/4294967296.0.0", "#/path/version"),
    ("DELETE", f"{LIB}/versions/new", "#/path/version"),
    ("PUT", f"{LIB}/versions/new/yank", "#/path/version"),
    ("DELETE", f"{LIB}/versions/new/yank", "#/path/version"),
    ("DELETE", "/api/v1/packages/-org/lib/versions/1.0.0/yank", "#/path"),
    ("GET", PEER_PATH.format("me"), "#/path/peer"),
    ("GET", PEER_PATH.format(SOMEBODY[:-1] + "0"), "#/path/peer"),
    ("GET", PEER_PATH.format("me") + "/reputation", "#/path/peer"),
    ("DELETE", PEER_PATH.format("me"), "#/path/peer"),
]


def points_at(answer, code, pointer):
    if answer.method == "HEAD":
        answer.expect(422)
        return
    pointers = [e["pointer"] for e in answer.problem(422, code)["errors"]]
    assert pointer in pointers, (answer.path, pointers)


def bad_parameters_are_422():
    for name, query, pointer in BAD_PARAMETERS:
        with unchanged(WORLD.alone, query):
            points_at(ask(WORLD.alone, name, query), "inval", pointer)
    for method, path, pointer in BAD_PATHS:
        body = {"reason": "Bad."} if method in ("PUT", "DELETE") and \
            not path.endswith("/versions/new/yank") or method == "PUT" else None
        if method == "DELETE" and (path.endswith("/yank") or "/peers/" in path):
            body = None
        with unchanged(WORLD.alone, path):
            points_at(WORLD.alone.http.request(method, path, body), "inval",
                      pointer)
    # All of them at once, each named.
    answer = ask(WORLD.alone, "search", "limit=0&scope=x&timeout=1ms&sort=x")
    assert {e["pointer"] for e in answer.problem(422, "inval")["errors"]} == {
        "#/query/limit", "#/query/scope", "#/query/timeout", "#/query/sort"}
    # What nobody knows is ignored.
    ask(WORLD.alone, "search", "colour=red&limit=5").expect(200)


def bounds_of_parameters_are_met():
    for query in ("limit=1", "limit=100", "timeout=50ms", "timeout=25s",
                  "timeout=25000ms", "fan_out=1", "fan_out=8", "q=",
                  "q=" + "+".join(["x" * 96] * 5), "tag=" + "x" * 64, "facets=false",
                  "facets=1", "scope=local", "sort=name", "sort=recent",
                  "sort=downloads", "trust=pinned",
                  "q=%22a+phrase%22+-not+pre*+tag:x"):
        ask(WORLD.alone, "search", query).expect(200)


# ---- Publishing what may not be. -----------------------------------------

def meta(**fields):
    return {"id": "org/bad", "version": "1.0.0", "metadata": fields}


DEPENDENCY = {"package_id": {"namespace": "a", "name": "b"},
              "version_requirement": "Any", "optional": False}
DEEP = {"a": 1}
for _ in range(9):
    DEEP = {"a": DEEP}
BAD_RECORDS = [
    # record, pointer of the complaint
    ({}, "#/id"),
    ({"id": "org/bad"}, "#/version"),
    ({"version": "1.0.0"}, "#/id"),
    ({"id": 5, "version": "1.0.0"}, "#/id"),
    ({"id": "bad", "version": "1.0.0"}, "#/id"),
    ({"id": "org/bad/more", "version": "1.0.0"}, "#/id"),
    ({"id": {"namespace": "org"}, "version": "1.0.0"}, "#/id/name"),
    ({"id": {"namespace": "Org", "name": "bad"}, "version": "1.0.0"},
     "#/id/namespace"),
    ({"id": {"namespace": "org", "name": 7}, "version": "1.0.0"}, "#/id/name"),
    ({"id": {"namespace": "org", "name": "x" * 65}, "version": "1.0.0"},
     "#/id/name"),
    ({"id": "org/bad", "version": 1}, "#/version"),
    ({"id": "org/bad", "version": "1.0"}, "#/version"),
    ({"id": "org/bad", "version": "1.0.0+b"}, "#/version"),
    ({"id": "org/bad", "version": {"major": 1, "minor": 0}}, "#/version/patch"),
    ({"id": "org/bad", "version": {"major": -1, "minor": 0, "patch": 0}},
     "#/version/major"),
    ({"id": "org/bad", "version": {"major": 1 << 32, "minor": 0, "patch": 0}},
     "#/version/major"),
    ({"id": "org/bad", "version": {"major": 1, "minor": 0, "patch": 0,
                                   "pre_release": "a..b"}},
     "#/version/pre_release"),
    ({**meta(), "metadata": []}, "#/metadata"),
    (meta(title=7), "#/metadata/title"),
    (meta(title="x" * 201), "#/metadata/title"),
    (meta(description=["x"]), "#/metadata/description"),
    (meta(description="x" * 2001), "#/metadata/description"),
    (meta(license=7), "#/metadata/license"),
    (meta(homepage=7), "#/metadata/homepage"),
    (meta(tags="rust"), "#/metadata/tags"),
    (meta(tags=[7]), "#/metadata/tags/0"),
    (meta(tags=["ok", "x" * 65]), "#/metadata/tags/1"),
    (meta(tags=["t"] * 33), "#/metadata/tags"),
    (meta(categories=["Nonsense"]), "#/metadata/categories/0"),
    (meta(categories=[{"Custom": 5}]), "#/metadata/categories/0/Custom"),
    (meta(authors=[{"id": "x"}]), "#/metadata/authors/0/name"),
    (meta(custom_fields=[]), "#/metadata/custom_fields"),
    (meta(custom_fields={"n": 1 << 54}), "#/metadata/custom_fields/n"),
    (meta(custom_fields={"n": 1.5}), "#/metadata/custom_fields/n"),
    ({**meta(), "content_id": {"hash": "x", "algorithm": "Md5"}},
     "#/content_id/algorithm"),
    ({**meta(), "content_id": {"algorithm": "Sha256"}}, "#/content_id/hash"),
    ({**meta(), "dependencies": {}}, "#/dependencies"),
    ({**meta(), "dependencies": [DEPENDENCY] * 65}, "#/dependencies"),
    ({**meta(), "dependencies": [{**DEPENDENCY, "version_requirement": "X"}]},
     "#/dependencies/0/version_requirement"),
    ({**meta(), "dependencies": [{**DEPENDENCY, "optional": "no"}]},
     "#/dependencies/0/optional"),
    ({**meta(), "stats": {"downloads": -1}}, "#/stats/downloads"),
    ({**meta(), "stats": {"downloads": "many"}}, "#/stats/downloads"),
    ({**meta(), "created_at": "yesterday"}, "#/created_at"),
    ({**meta(), "updated_at": 5}, "#/updated_at"),
    ({**meta(), "souk": 5}, "#/souk"),
    ({**meta(), "souk": {"signature": "x"}}, None),
    (meta(custom_fields=DEEP), "#"),
]


def records_of_the_wrong_form_are_422():
    node, bad = WORLD.alone, []
    for sent, pointer in BAD_RECORDS:
        with unchanged(node, str(sent)[:80]):
            answer = node.post("/api/v1/packages", sent)
        try:
            pointers = [e["pointer"]
                        for e in answer.problem(422, "schema")["errors"]]
            assert pointer is None or pointer in pointers, pointers
        except AssertionError as failure:
            bad.append(f"{str(sent)[:100]}: {pointer}: {failure}")
    assert not bad, "\n".join(bad)
    for text in ('{"id":"org/bad","id":"org/bad","version":"1.0.0"}',
                 r'{"id":"org/bad","version":"1.0.0",'
                 r'"metadata":{"title":"a\u0000b"}}',
                 r'{"id":"org/bad","version":"1.0.0",'
                 r'"metadata":{"title":"\ud800"}}'):
        with unchanged(node, text):
            assert node.post("/api/v1/packages", text).expect(
                400, 422).json["code"] in ("schema", "not-json")
    with unchanged(node, "a long record"):
        node.post("/api/v1/packages", meta(
            long_description="x" * 13000)).problem(422, "record-size")
    node.get("/api/v1/packages/org/bad").problem(404, "not-found")


def signed_by(node, package, version="1.0.0", **fields):
    """A record signed by |node|'s key."""
    return node.publish(package, version, **fields).json["package"]


def post(node, sent):
    return node.post("/api/v1/packages", sent)


def signatures_are_verified():
    good = signed_by(WORLD.alone, "signed/lib")
    node = WORLD.other
    flipped = "A" if good["souk"]["signature"][0] != "A" else "B"
    forged = [
        {**good, "metadata": {**good["metadata"], "title": "Mine now"}},
        {**good, "id": {"namespace": "signed", "name": "lab"}},
        {**good, "souk": {**good["souk"], "sequence":
                          good["souk"]["sequence"] + 1}},
        {**good, "souk": {**good["souk"], "publisher": node.id}},
        {**good, "souk": {**good["souk"], "signature": flipped +
                          good["souk"]["signature"][1:]}},
    ]
    for sent in forged:
        with unchanged(node, "a forged record"):
            post(node, sent).problem(422, "bad-signature")
    incomplete = {**good}
    del incomplete["stats"]
    with unchanged(node, "an incomplete signed record"):
        post(node, incomplete).problem(422, "schema")
    post(node, good).expect(201)
    with unchanged(node, "the same signed record"):
        post(node, good).expect(200)


def names_belong_to_a_key():
    theirs = signed_by(WORLD.alone, "theirs/lib")
    node = WORLD.other
    node.publish("ours/lib")
    assert post(node, theirs).expect(201).headers["Souk-Trust"] == "pinned"
    stolen = signed_by(WORLD.alone, "ours/stolen")
    refused = [
        record("theirs/lib", "2.0.0"), record("theirs/new"), stolen,
        record(f"~{cid(WORLD.alone.id)}/lib"),
        signed_by(WORLD.alone, "ours/lib"),
    ]
    for sent in refused:
        with unchanged(node, "another owner's package"):
            post(node, sent).problem(403, "not-owner")
    own = post(node, record(f"~{cid(node.id)}/lib")).expect(201)
    assert own.headers["Souk-Trust"] == "self-certified"
    node.get(own.headers["Location"]).expect(200)
    at = "/api/v1/packages/theirs/lib/versions/1.0.0"
    for method, path, body in (("DELETE", at, {"reason": "No."}),
                               ("PUT", f"{at}/yank", {"reason": "No."}),
                               ("DELETE", f"{at}/yank", None)):
        with unchanged(node, "a yank of another's"):
            node.http.request(method, path, body).problem(409, "not-our-key")


def conflicts_are_409():
    node = WORLD.alone
    node.publish("org/some-lib")
    for sent, code in (
            (record("org/some-lib", description="Other."), "version-exists"),
            (record("org/some-lib", title="Other"), "version-exists"),
            (record("org/some-lib", tags=["other"]), "version-exists"),
            (record("org/some_lib"), "name-equivalent"),
            (record("org/some_lib", "2.0.0"), "name-equivalent")):
        with unchanged(node, code):
            post(node, sent).problem(409, code)
    old = signed_by(node, "org/stale")
    node.put("/api/v1/packages/org/stale/versions/1.0.0/yank",
             {"reason": "Bad."}).expect(200)
    with unchanged(node, "an old copy"):
        post(node, old).problem(409, "stale-sequence")
    # The head that would have to tell of 1.0.0 is another key's.
    head = signed_by(node, "late/lib", "2.0.0")
    older = signed_by(node, "late/lib", "1.0.0")
    post(WORLD.other, head).expect(201)
    with unchanged(WORLD.other, "an older version of another key's"):
        post(WORLD.other, older).problem(409, "not-our-key")


def yanks_of_the_wrong_form_are_422():
    node = WORLD.alone
    for body, pointer in (({}, "#/reason"), ({"reason": ""}, "#/reason"),
                          ({"reason": 5}, "#/reason"),
                          ({"reason": None}, "#/reason"),
                          ({"reason": "x" * 501}, "#/reason"),
                          ({"reason": "x", "use_instead": 5}, "#/use_instead"),
                          ({"reason": "x", "use_instead": "new"},
                           "#/use_instead")):
        for name in ("yank", "deleteVersion"):
            with unchanged(node, str(body)[:40]):
                points_at(ask(node, name, body=body), "schema", pointer)


def what_is_not_there_is_404():
    node = WORLD.alone
    gone, missing = "/api/v1/packages/no/such", f"{LIB}/versions/9.9.9"
    yank = {"reason": "Bad."}
    with unchanged(node, "what is not there"):
        for method, path, body in (
                ("GET", gone, None), ("GET", f"{gone}?scope=local", None),
                ("GET", f"{gone}/versions", None), ("GET", missing, None),
                ("GET", f"{gone}/versions/1.0.0", None),
                ("DELETE", missing, yank), ("PUT", f"{missing}/yank", yank),
                ("DELETE", f"{missing}/yank", None),
                ("DELETE", f"{gone}/versions/1.0.0", yank),
                ("GET", PEER_PATH.format(SOMEBODY), None),
                ("GET", PEER_PATH.format(SOMEBODY) + "/reputation", None),
                ("DELETE", PEER_PATH.format(SOMEBODY), None),
                ("GET", "/nowhere", None), ("POST", "/nowhere", {}),
                ("GET", "/api/v1", None), ("GET", "/api/v2/search", None),
                ("GET", f"{LIB}/", None), ("GET", "//", None)):
            node.http.request(method, path, body).problem(404, "not-found")
    assert node.http.request("HEAD", gone).status == 404
    # Upper case is folded where one looks.
    node.get("/api/v1/packages/Org/LIB").expect(200)


def other_methods_are_405():
    paths = {}
    for method, template in CONTRACT.operations:
        paths.setdefault(template, set()).add(method)
    for template, methods in paths.items():
        op = next(op for name, op in OPS.items() if
                  CONTRACT.template(op.path) == template)
        node = WORLD.alone
        client = node.admin if template in ("/metrics", "/debug/gateway") \
            else node.http
        allowed = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods
                                           else set())
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE",
                       "BREW"} - methods:
            with unchanged(node, f"{method} {template}"):
                answer = client.request(method, op.path)
                answer.problem(405, "method-not-allowed")
            assert set(answer.headers["Allow"].split(", ")) == allowed, (
                template, answer.headers["Allow"], allowed)


def heads_are_gets_without_a_body():
    for name, op in OPS.items():
        if op.method != "GET" or name in ("getPeer", "getReputation"):
            continue
        get = ask(WORLD.alone, name)
        client = WORLD.alone.admin if name in ADMIN_ONLY else WORLD.alone.http
        head = client.request("HEAD", op.path)
        assert head.status == get.status and head.body == b"", name
        for header in ("Content-Type", "ETag", "Cache-Control", "Souk-Trust"):
            if name != "metrics":
                assert head.headers[header] == get.headers[header], (name,
                                                                     header)


# ---- Peers. --------------------------------------------------------------

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


# ---- The network. --------------------------------------------------------

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


def flood(node):
    """As many lookups as the core takes; then it says so, and goes on."""
    waiting = []
    try:
        for i in range(1024):
            raw = Raw(node.endpoints["http"])
            waiting.append(raw)
            raw.send(raw.head("GET", "/api/v1/packages/flood/lib?timeout=25s")
                     + "\r\n")
        wait_until(lambda: ask(node, "getLimits").status == 503, "a flood")
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


def limit_of(node, name):
    limits = ask(node, "getLimits").expect(200).json["limits"]
    return next(limit for limit in limits if limit["name"] == name)


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


# ---- A core that stands, a store that fails, no memory. ------------------

class Standing(Node):
    """A node that may be unable to stop by itself."""

    def __exit__(self, *_):
        self.kill()
        self.own_dir.cleanup()


@beside
def a_core_that_stands_is_told_of():
    """Its gateway still answers, by the deadline, and says what is wrong."""
    faults = Faults(WORLD.folder, "standing")
    options = dict(args=["--standalone"], env=faults.env,
                   watch=CONTRACT.watch)
    with faults.core_stands(), Standing(**options) as node:
        ask(node, "startupz").expect(503)
        ask(node, "readyz", "verbose").expect(503)
        ask(node, "getPackage", "timeout=100ms").problem(
            504, "lookup-incomplete")
        ask(node, "search", "timeout=100ms").expect(200)
        ask(node, "connectPeer", "timeout=100ms").problem(502, "dial-failed")
    # Ten seconds without a turn are death.
    with Standing(**options) as node:
        wait_until(lambda: ask(node, "startupz").status == 200, "start")
        with faults.core_stands():
            wait_until(lambda: faults.is_standing, "to stand")
            start = time.monotonic()
            ask(node, "listPeers").problem(503, "busy")
            assert time.monotonic() - start < 11.5
            wait_until(lambda: ask(node, "livez").status == 503, "death", 5)
            ask(node, "health", "verbose").expect(503)
        wait_until(lambda: ask(node, "livez").status == 200, "life")


def no_memory_is_503():
    node = WORLD.faulty
    node.publish("org/lib")
    seen = set()
    sizes = [256, 512, 1024, 4096]
    for size in sizes:
        for name in OPS:
            if name in ADMIN_ONLY:
                continue
            before = Rows(node)
            with contextlib.suppress(http.client.HTTPException, OSError):
                with WORLD.faults.no_memory(size):
                    answer = ask(node, name, headers=NO_CACHE)
                if answer.status != 503 or answer.method == "HEAD":
                    continue
                answer.problem(503, "nomem")
                assert Rows(node).left_behind(before) is None, name
                seen.add(name)
    assert WORLD.faults.refused > 0 and len(seen) >= 3, seen
    figure(f"out of memory is told by {len(seen)} operations")
    # And it goes on.
    ask(node, "getPackage").expect(200)
    node.publish("org/after")


BROKEN = ("package", "version", "listing")


@contextlib.contextmanager
def broken_store(node):
    """Its tables are gone for a while."""
    def rename(old, new):
        with contextlib.closing(sqlite3.connect(node.dir / "souk.db",
                                                timeout=10)) as db:
            for table in BROKEN:
                db.execute(f"ALTER TABLE {old.format(table)} "
                           f"RENAME TO {new.format(table)}")
            db.commit()
    rename("{}", "lost_{}")
    try:
        yield
    finally:
        rename("lost_{}", "{}")


def a_store_that_fails_is_503():
    node = WORLD.faulty
    node.publish("org/lib", "1.1.0")
    before = Rows(node)
    with broken_store(node):
        for name in ("search", "ggenSearch", *LOOKUPS, "deleteVersion", "yank",
                     "unyank"):
            expect_problem(ask(node, name, headers=NO_CACHE), 503, "store")
        node.post("/api/v1/packages", record("org/lost")).problem(503, "store")
        ask(node, "livez").expect(200)
    assert Rows(node).left_behind(before) is None
    ask(node, "getPackage", headers=NO_CACHE).expect(200)
    node.publish("org/healed")


@beside
def a_store_that_cannot_write_is_not_ready():
    with Node(args=["--standalone"], watch=CONTRACT.watch) as node:
        with contextlib.closing(sqlite3.connect(node.dir / "souk.db")) as db:
            db.execute("BEGIN IMMEDIATE")
            ask(node, "publish", "timeout=20s").problem(503, "store")
            wait_until(lambda: ask(node, "readyz").status == 503, "readyz", 5)
            ask(node, "livez").expect(200)
            ask(node, "search").expect(200)
            ask(node, "publish", "timeout=100ms").problem(503, "busy")
            db.execute("ROLLBACK")
        # What came too late for its client may still have been done.
        ask(node, "publish").expect(200, 201)
        ask(node, "publish").expect(200)
        wait_until(lambda: ask(node, "readyz").status == 200, "readyz", 5)


# ---- HTTP itself. ---------------------------------------------------------

def answer_to(node, data, method="GET", path="/"):
    with Raw(node.endpoints["http"]) as raw:
        return raw.send(data).answer(method, path)


def malformed_http_is_refused():
    node = WORLD.alone
    for lines in ("GET", "GET /", "GET / HTTP/9.9|Host: x",
                  "GET / HTTP/1.1|Host: x|Broken",
                  "GET / HTTP/1.1|Host: x|Content-Length: x",
                  "GET / HTTP/1.1|Host: x|Content-Length: -1",
                  "POST / HTTP/1.1|Host: x|Content-Length: 99999999999999999999",
                  "PRI * HTTP/2.0"):
        data = lines.replace("|", "\r\n") + "\r\n\r\n"
        with Raw(node.endpoints["http"]) as raw:
            raw.send(data)
            try:
                status = raw.answer("GET", "/").status
            except (OSError, http.client.HTTPException):
                continue  # closed without a word is an answer too
            assert status in (400, 413, 505), (lines, status)
    ask(node, "livez").expect(200)


def no_host_is_400():
    answer = answer_to(WORLD.alone, b"GET /version HTTP/1.1\r\n\r\n",
                       path="/version")
    CONTRACT.watch(answer)
    answer.problem(400, "bad-request")
    answer_to(WORLD.alone, b"GET /version HTTP/1.0\r\n\r\n").expect(200)


def headers_beyond_the_pool_are_431():
    """More than the server's memory for a head: it says so itself."""
    for size in (20 << 10, 31 << 10, 40 << 10, 100 << 10):
        data = (b"GET /version HTTP/1.1\r\nHost: x\r\nX-Large: " +
                b"x" * size + b"\r\n\r\n")
        answer_to(WORLD.alone, data).expect(431)
    many = b"".join(b"X-%d: x\r\n" % i for i in range(1500))
    answer_to(WORLD.alone, b"GET /version HTTP/1.1\r\nHost: x\r\n" + many +
              b"\r\n").expect(431)
    long = b"GET /" + b"x" * (17 << 10) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    answer_to(WORLD.alone, long).expect(414, 431)


def a_pipeline_is_answered_in_order():
    with Raw(WORLD.alone.endpoints["http"], CONTRACT.watch) as raw:
        one = raw.head("GET", "/version") + "\r\n"
        two = raw.head("GET", "/nowhere") + "\r\n"
        raw.send(one + two + one)
        data = b""
        while data.count(b"HTTP/1.1 ") < 3:
            data += raw.socket.recv(65536)
        assert [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]] == \
            [200, 404, 200]
    absolute = f"http://{raw.host}/version"
    with Raw(WORLD.alone.endpoints["http"]) as raw:
        raw.ask("GET", absolute).expect(200)


def a_refused_body_is_drained_so_that_the_answer_is_read():
    node = WORLD.alone
    size = 8 << 20
    for token, status, code in ((node.token, 413, "body-too-large"),
                                ("wrong", 401, "unauthorized")):
        with Raw(node.endpoints["http"], CONTRACT.watch) as raw, \
                unchanged(node, "a large body"):
            head = raw.head("POST", "/api/v1/packages", {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json", "Content-Length": size})
            raw.send(head + "\r\n")
            for _ in range(size >> 16):
                raw.send(b" " * (1 << 16))
            raw.answer("POST", "/api/v1/packages").problem(status, code)
            # The connection lives on.
            raw.ask("GET", "/version").expect(200)


def a_chunked_body_is_bounded_too():
    node = WORLD.alone
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    headers = {"Authorization": f"Bearer {node.token}",
               "Content-Type": "application/json",
               "Transfer-Encoding": "chunked"}
    with Raw(node.endpoints["http"], CONTRACT.watch) as raw, \
            unchanged(node, "a chunked body"):
        raw.send(raw.head("POST", "/api/v1/packages", headers) + "\r\n")
        for _ in range((BODY_MAX >> 16) + 2):
            raw.send(chunk)
        raw.send(b"0\r\n\r\n")
        raw.answer("POST", "/api/v1/packages").problem(413, "body-too-large")
    # Beyond 16 MiB nobody listens any more, but the answer was sent.
    with Raw(node.endpoints["http"], CONTRACT.watch) as raw, \
            unchanged(node, "an endless body"):
        raw.send(raw.head("POST", "/api/v1/packages", headers) + "\r\n")
        with contextlib.suppress(OSError):
            for _ in range((DRAIN_MAX >> 16) + 64):
                raw.send(chunk)
        with contextlib.suppress(ConnectionResetError):
            raw.answer("POST", "/api/v1/packages").problem(
                413, "body-too-large")


def expecting_100_is_told_before_the_body():
    node = WORLD.alone
    for token, length, status in ((node.token, 8 << 20, 413),
                                  ("wrong", 2, 401)):
        with Raw(node.endpoints["http"], CONTRACT.watch) as raw:
            raw.send(raw.head("POST", "/api/v1/packages", {
                "Authorization": f"Bearer {token}", "Expect": "100-continue",
                "Content-Type": "application/json",
                "Content-Length": length}) + "\r\n")
            raw.answer("POST", "/api/v1/packages").expect(status)
    body = b'{"id":"org/lib"}'
    with Raw(node.endpoints["http"]) as raw:
        raw.send(raw.head("POST", "/api/v1/packages", {
            "Authorization": f"Bearer {node.token}", "Expect": "100-continue",
            "Content-Type": "application/json",
            "Content-Length": len(body)}) + "\r\n")
        assert raw.socket.recv(4096).startswith(b"HTTP/1.1 100")
        raw.send(body)
        raw.answer("POST", "/api/v1/packages").problem(422, "schema")


@beside
def slow_clients_are_cut_off():
    node = WORLD.other
    begun = time.monotonic()
    with Raw(node.endpoints["http"], timeout=20) as head, \
            Raw(node.endpoints["http"], timeout=20) as body:
        head.send("GET /version HTTP/1.1\r\nHost: x\r\n")
        # A refused body that does not come: 5 s, then the answer as it is.
        body.send(body.head("POST", "/api/v1/packages", {
            "Authorization": f"Bearer {node.token}",
            "Content-Type": "application/json",
            "Content-Length": 8 << 20}) + "\r\n  ")
        parse("POST", "/api/v1/packages", body.rest()).expect(413)
        assert 4 < time.monotonic() - begun < 8, time.monotonic() - begun
        assert not head.rest().startswith(b"HTTP/1.1 200")
        assert 9 < time.monotonic() - begun < 13, time.monotonic() - begun
    ask(node, "version").expect(200)


def a_client_that_leaves_frees_its_place():
    node = WORLD.alone
    for _ in range(50):
        with Raw(node.endpoints["http"]) as raw:
            raw.send(raw.head("POST", "/api/v1/packages",
                              {"Content-Length": 100}) + "\r\n{")
    wait_until(lambda: limit_of(node, "http_connections")["use"] < 20,
               lambda: str(limit_of(node, "http_connections")))


# ---- Manners of every answer. ---------------------------------------------

def request_ids_are_echoed_or_made():
    node = WORLD.alone
    ids = set()
    for name in OPS:
        answer = ask(node, name, headers={"X-Request-Id": "abc-123"},
                     auth=False)
        assert answer.headers["X-Request-Id"] == "abc-123", name
        made = ask(node, name, auth=False).headers["X-Request-Id"]
        if name in ("livez", "readyz", "startupz", "health"):
            assert made is None, name
        else:
            assert len(made) == 32, (name, made)
            ids.add(made)
    assert len(ids) == len(OPS) - 4
    for bad in ("x" * 129, "a b", 'a"b', "\xe9"):
        answer = ask(node, "version", headers={"X-Request-Id": bad})
        assert answer.headers["X-Request-Id"] != bad
    assert ask(node, "version", headers={"X-Request-Id": "x" * 128}).headers[
        "X-Request-Id"] == "x" * 128


def browsers_are_told_what_they_may():
    exposed = {"ETag", "Link", "Location", "Retry-After", "RateLimit",
               "X-Request-Id", "Souk-Trust"}
    node = WORLD.free
    for name, op in OPS.items():
        client = node.admin if name in ADMIN_ONLY else node.http
        for origin in (SHOP, "https://evil.example"):
            answer = client.request("OPTIONS", op.path, None, {
                "Origin": origin,
                "Access-Control-Request-Method": op.method}, False)
            answer.expect(204)
            may = op.method in ("GET", "HEAD") or origin == SHOP
            allowed = answer.headers["Access-Control-Allow-Origin"]
            assert (allowed in ("*", origin)) == may, (name, origin, allowed)
            if may:
                assert op.method in \
                    answer.headers["Access-Control-Allow-Methods"]
                assert "Authorization" in \
                    answer.headers["Access-Control-Allow-Headers"]
    client = node.http
    client.request("OPTIONS", "/nowhere", None, {
        "Origin": SHOP, "Access-Control-Request-Method": "GET"}, False)
    for path in ("/version", "/nowhere", "/api/v1/search?limit=0"):
        answer = client.get(path, headers={"Origin": "https://evil.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        told = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert exposed <= set(told), told


def caches_are_told_what_they_may():
    for name in OPS:
        if 200 not in statuses(name) or OPS[name].method not in ("GET",
                                                                 "HEAD") or \
                name in ("getPeer", "getReputation"):
            continue
        answer = ask(WORLD.alone, name).expect(200)
        said = answer.headers["Cache-Control"]
        probe = name in ("livez", "readyz", "startupz", "health", "metrics",
                         "debugGateway")
        assert said == ("no-store" if probe else "no-cache"), (name, said)
        assert "Accept-Encoding" in ", ".join(answer.headers.get_all("Vary"))


# ---- Pages. ---------------------------------------------------------------

def pages_of(node, path, items):
    """All pages, by cursor and, as they must agree, by Link."""
    at, found, pages = path, [], 0
    while at:
        answer = node.get(at).expect(200)
        page = answer.json
        found += items(page)
        pages += 1
        assert pages < 100, "no end"
        link = answer.headers["Link"]
        if page["next_cursor"] is None:
            assert link is None, link
            return found, pages
        following = with_query(path, "cursor=" + urllib.parse.quote(
            page["next_cursor"]))
        target, rel = link.split("; ")
        assert rel == 'rel="next"', link
        query = urllib.parse.parse_qs(target.split("?")[1].rstrip(">"),
                                      keep_blank_values=True)
        assert query["cursor"] == [page["next_cursor"]]
        at = following if pages % 2 else target.strip("<>")


def the_union_of_the_pages_is_the_set():
    node = WORLD.free
    names = {f"paged/item-{i:02d}" for i in range(23)}
    for name in names:
        node.post("/api/v1/packages", record(
            name, description="One of many pages.")).expect(201)
    for sort in ("relevance", "recent", "name", "downloads"):
        for query in ("q=many+pages", "q=&namespace=paged"):
            for limit in (5, 23) if sort != "name" else (1, 5, 100):
                found, pages = pages_of(
                    node, f"/api/v1/search?{query}&sort={sort}&limit={limit}",
                    lambda page: [r["id"] for r in page["results"]])
                assert len(found) == len(set(found)), (sort, limit, found)
                assert set(found) == names, (sort, limit)
                assert pages == -(-23 // limit), (pages, limit)
    versions = [f"1.{i}.0" for i in range(11)] + ["2.0.0-rc.1"]
    for version in versions:
        node.post("/api/v1/packages", record("paged/many",
                                             version)).expect(201)
    for view in ("full", "brief"):
        for limit in (1, 5, 100):
            found, _ = pages_of(
                node, f"/api/v1/packages/paged/many/versions?view={view}"
                f"&limit={limit}", lambda page: [
                    v["version"] if view == "brief" else
                    "{major}.{minor}.{patch}".format(**v["version"]) +
                    ("-" + v["version"]["pre_release"]
                     if v["version"]["pre_release"] else "")
                    for v in page["versions"]])
            assert found == versions, (view, limit, found)


def peers_are_paged():
    node = WORLD.free
    banned = {stranger() for _ in range(7)}
    for peer in banned:
        node.delete(PEER_PATH.format(peer) + "?ban=1h").expect(204)
    for sort in ("score", "latency", "id"):
        found, pages = pages_of(
            node, f"/api/v1/peers?state=banned&sort={sort}&limit=3",
            lambda page: [p["id"] for p in page["peers"]])
        assert set(found) == banned and len(found) == 7, (sort, found)
        assert pages == 3


def cursors_are_of_one_list():
    node = WORLD.free
    cursor = urllib.parse.quote(node.get(
        "/api/v1/search?q=many&limit=2").json["next_cursor"])
    assert cursor
    for path in (f"/api/v1/search?q=other&cursor={cursor}",
                 f"/api/v1/search?q=many&sort=name&cursor={cursor}",
                 f"/api/v1/packages/paged/many/versions?cursor={cursor}",
                 f"/api/v1/peers?cursor={cursor}",
                 f"/api/v1/search?q=many&cursor={cursor[:-1]}",
                 f"/api/v1/search?q=many&cursor={cursor}A"):
        points_at(node.get(path), "inval", "#/query/cursor")
    # Another node did not make it.
    points_at(WORLD.alone.get(f"/api/v1/search?q=many&cursor={cursor}"),
              "inval", "#/query/cursor")


# ---- The balance. ---------------------------------------------------------

def everything_documented_was_seen():
    answers, codes = CONTRACT.missing()
    figure(f"{len(CONTRACT.seen)} documented answers and {len(CONTRACT.codes)}"
           f" codes seen")
    bad = [f"never seen: {name} {status}" for name, status in answers]
    bad += [f"never seen: code {code}" for code in codes]
    bad += CONTRACT.bad
    assert not bad, "\n" + "\n".join(bad)


if __name__ == "__main__":
    with WORLD:
        run([the_document_and_its_examples_are_valid,
             the_node_serves_the_document,
             every_operation_has_a_request_here,
             reads_answer_200,
             the_admin_listener_has_all_of_it,
             an_unchanged_answer_is_304,
             a_change_changes_the_tag,
             publishing_is_201_once_and_200_again,
             yank_and_back,
             a_malformed_query_is_400,
             another_host_is_421_on_the_admin_listener,
             large_headers_are_431,
             an_emptied_bucket_is_429,
             some_are_never_limited,
             writes_need_a_token,
             a_token_that_may_only_publish_is_403_elsewhere,
             a_page_of_another_origin_may_not_write,
             bodies_must_be_json,
             refusals_come_in_their_order,
             bad_parameters_are_422,
             bounds_of_parameters_are_met,
             records_of_the_wrong_form_are_422,
             signatures_are_verified,
             names_belong_to_a_key,
             conflicts_are_409,
             yanks_of_the_wrong_form_are_422,
             what_is_not_there_is_404,
             other_methods_are_405,
             heads_are_gets_without_a_body,
             peers_come_and_go,
             a_new_connection_is_201,
             a_dial_that_fails_is_502,
             a_package_comes_over_the_network,
             no_peers_is_504,
             too_many_dials_are_503,
             no_memory_is_503,
             a_store_that_fails_is_503,
             malformed_http_is_refused,
             no_host_is_400,
             headers_beyond_the_pool_are_431,
             a_pipeline_is_answered_in_order,
             a_refused_body_is_drained_so_that_the_answer_is_read,
             a_chunked_body_is_bounded_too,
             expecting_100_is_told_before_the_body,
             a_client_that_leaves_frees_its_place,
             request_ids_are_echoed_or_made,
             browsers_are_told_what_they_may,
             caches_are_told_what_they_may,
             the_union_of_the_pages_is_the_set,
             peers_are_paged,
             cursors_are_of_one_list,
             slow_clients_are_cut_off,
             a_store_that_cannot_write_is_not_ready,
             a_core_that_stands_is_told_of,
             a_peer_that_never_answers_ends_with_the_deadline,
             everything_documented_was_seen])
