# SPDX-License-Identifier: Apache-2.0
"""Good answers, and the manners of all of them."""
import urllib.parse

from keys import stranger
from rows import unchanged
from support.souk import Client, record
from world import (ADMIN_ONLY, CONTRACT, OPS, PEER_PATH, SHOP, WORLD, ask,
                   points_at, statuses, with_query)


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
        # Nothing is compressed, so nothing depends on Accept-Encoding.
        assert answer.headers.get_all("Vary") == ["Origin"], name
        assert "Content-Encoding" not in answer.headers


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


CASES = [
    the_document_and_its_examples_are_valid,
    the_node_serves_the_document,
    every_operation_has_a_request_here,
    reads_answer_200,
    the_admin_listener_has_all_of_it,
    an_unchanged_answer_is_304,
    a_change_changes_the_tag,
    publishing_is_201_once_and_200_again,
    yank_and_back,
    heads_are_gets_without_a_body,
    request_ids_are_echoed_or_made,
    browsers_are_told_what_they_may,
    caches_are_told_what_they_may,
    the_union_of_the_pages_is_the_set,
    peers_are_paged,
    cursors_are_of_one_list,
]
