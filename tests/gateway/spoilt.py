# SPDX-License-Identifier: Apache-2.0
"""Each operation's good request, spoilt in every way the contract knows."""
import urllib.parse

from raw import Raw
from rows import unchanged
from support.souk import record
from world import (ADMIN_ONLY, BODY_MAX, CONTRACT, FORWARDED, LIB, LOOKUPS,
                   OPS, PEER_PATH, PUBLISH_TOKEN, SHOP, SOMEBODY, WORLD, ask,
                   check_all, expect_problem, limit_of, points_at, statuses)


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
    for host in ("localhost", f"LOCALHOST:{port}", "127.0.0.1",
                 f"[::1]:{port}"):
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
                  "q=" + "+".join(["x" * 96] * 5), "tag=" + "x" * 64,
                  "facets=false", "facets=1", "scope=local",
                  "sort=name", "sort=recent", "sort=downloads", "trust=pinned",
                  "q=%22a+phrase%22+-not+pre*+tag:x"):
        ask(WORLD.alone, "search", query).expect(200)


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


CASES = [
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
    yanks_of_the_wrong_form_are_422,
    what_is_not_there_is_404,
    other_methods_are_405,
]
