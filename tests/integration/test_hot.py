# SPDX-License-Identifier: Apache-2.0
"""Answers from the hot cache: made once, sent to everybody, and each with the
headers of its own request."""
import http.client
import json
import random
import re
import socket
import threading
import urllib.parse

from support.souk import Network, Node, run, wait_until

SEARCH, GET = "/api/v1/search?q=kernel&limit=5", "/api/v1/packages/org/p1"
ONE_LOOP = ["--standalone", "--gateway-threads=1",
            "--trusted-proxies=127.0.0.0/8"]
LIMITED = {"X-Forwarded-For": "192.0.2.9"}
SLOTS = 32  # READY_SLOTS


def connect(node):
    url = urllib.parse.urlsplit(node.endpoints["http"])
    return http.client.HTTPConnection(url.hostname, url.port, timeout=20)


def ask(connection, path, headers=None, method="GET"):
    """Status, {name: value}, body; a header that comes twice is a mistake."""
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    body, pairs = answer.read(), answer.getheaders()
    names = [name.lower() for name, _ in pairs]
    assert len(names) == len(set(names)), pairs
    return answer.status, dict(zip(names, (value for _, value in pairs))), body


def fill(node):
    for i in range(12):
        node.publish(f"org/p{i}", description=f"A kernel, number{i}.")


def search_or_get(headers, path):
    """What all variants have in common."""
    assert headers["content-type"] == "application/json"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["vary"] == "Origin"
    assert headers["cache-control"] == "no-cache" and headers["etag"]
    assert ("link" in headers) == (path == SEARCH)
    assert ("souk-trust" in headers) == (path == GET)


def every_request_gets_the_headers_of_its_own():
    rng, made, left = random.Random(3), set(), []

    def link_begins(start):
        return lambda path, h: path == GET or h["link"].startswith(start)

    # The request's headers, and what its answer must have besides.
    variants = [
        ({}, lambda path, h: re.fullmatch(r"[0-9a-f]{32}", h["x-request-id"])),
        ({}, link_begins("</api/v1/search?q=kernel&")),
        ({"X-Request-Id": "x"}, lambda path, h: h["x-request-id"] == "x"),
        ({"X-Request-Id": "y" * 128},
         lambda path, h: h["x-request-id"] == "y" * 128),
        ({"Origin": "https://shop.example"},
         lambda path, h: "access-control-expose-headers" in h),
        (LIMITED, lambda path, h: "ratelimit-policy" in h),
        ({**LIMITED, "X-Request-Id": "z"},
         lambda path, h: "ratelimit" in h and h["x-request-id"] == "z"),
        ({"X-Forwarded-Prefix": "/souk"},
         link_begins("</souk/api/v1/search?q=kernel&")),
        ({"X-Forwarded-Proto": "https", "Host": "shop.example"},
         link_begins("<https://shop.example/api/v1/search?")),
    ]
    with Node(args=ONE_LOOP) as node:
        fill(node)
        connections = [connect(node) for _ in range(4)]
        for _ in range(2):  # the first says how it came about
            whole = {path: ask(connections[0], path)[2]
                     for path in (SEARCH, GET)}
        for _ in range(600):
            sent, expected = rng.choice(variants)
            path, method = rng.choice((SEARCH, GET)), rng.choice(
                ("GET", "GET", "HEAD"))
            status, headers, body = ask(rng.choice(connections), path, sent,
                                        method)
            assert status == 200, (status, body)
            assert body == (whole[path] if method == "GET" else b"")
            assert int(headers["content-length"]) == len(whole[path])
            search_or_get(headers, path)
            assert expected(path, headers), (sent, headers)
            assert ("ratelimit" in headers) == ("X-Forwarded-For" in sent)
            assert ("access-control-expose-headers" in headers) == (
                "Origin" in sent)
            if "X-Request-Id" not in sent:
                assert headers["x-request-id"] not in made, "an id comes twice"
                made.add(headers["x-request-id"])
            if "ratelimit" in headers:
                left.append(headers["ratelimit"])
        assert len(set(left)) > 1, left
        for path in (SEARCH, GET):
            etag = ask(connections[0], path)[1]["etag"]
            status, headers, body = ask(connections[0], path,
                                        {"If-None-Match": etag})
            assert (status, body) == (304, b"") and headers["etag"] == etag


def what_changed_is_not_sent_again():
    with Node(args=ONE_LOOP) as node:
        fill(node)
        client = connect(node)
        for i in range(50):
            for _ in range(4):
                before = [ask(client, path) for path in (SEARCH, GET)]
            node.publish("org/p1", version=f"1.{i + 1}.0",
                         description=f"A kernel, change {i}.")
            for (_, old, body), path in zip(before, (SEARCH, GET)):
                _, new, changed = ask(client, path)
                assert changed != body, path
                assert new["etag"] != old["etag"], path


def more_answers_than_are_kept_ready_are_all_right():
    """And who reads slowly still gets the old ones, long after others took
    their places."""
    with Node(args=ONE_LOOP) as node:
        fill(node)
        client = connect(node)
        paths = [f"{SEARCH}&fan_out={1 + i % 8}&{'x' * i}=1"
                 for i in range(3 * SLOTS)]
        for _ in range(2):  # the first says how it came about
            whole = {path: ask(client, path)[2] for path in paths}
        slow = socket.create_connection((client.host, client.port), timeout=20)
        asked = [paths[i % len(paths)] for i in range(1500)]
        slow.setblocking(False)
        request = "".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"
                          for path in asked).encode()
        sent = 0
        try:
            while sent < len(request):
                sent += slow.send(request[sent:sent + 4096])
        except BlockingIOError:
            pass
        for _ in range(3):
            for path in paths:
                assert ask(client, path)[2] == whole[path], path
        slow.setblocking(True)
        stream = slow.makefile("rb")
        for path in asked:
            if sent < len(request):
                sent += slow.send(request[sent:sent + 512])
            length = 0
            for line in iter(stream.readline, b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            assert stream.read(length) == whole[path], path


def a_changed_page_is_read_again_and_no_peer_is_asked():
    """What peers said is kept apart from the page: who publishes does not make
    everybody who searches ask the network."""
    with Network(2) as net:
        net.wait_connected()
        asker, other = net
        for node in net:
            wait_until(lambda: node.count("mesh_peers") == 1, "a mesh")
            wait_until(lambda: node.count("routing_table_peers") == 1,
                       "a table")
        other.publish("theirs/first", description="A kernel of another node.")
        wait_until(lambda: asker.get("/api/v1/packages/theirs/first"
                                     "?scope=local").status == 200, "it")

        def lookups():
            text = asker.admin.get("/metrics").text
            return sum(int(n) for n in re.findall(
                r'^kad_lookup_duration_seconds_count\{op="find-providers".*\} '
                r'(\d+)$', text, re.M))

        asked = asker.search("kernel")["lookup"]
        assert asked["sources"] == ["local", "network"], asked
        wait_until(lambda: lookups() == 1, "the metric")
        for i in range(20):
            asker.publish(f"org/k{i}", description="A kernel, published here.")
            again = asker.search("kernel")
            assert again["total"] == i + 2, again
            lookup = again["lookup"]
            assert lookup["sources"] == ["cache", "local"], lookup
            assert lookup["complete"] and lookup["peers_responded"] == 1, lookup
            hot = asker.search("kernel")
            assert hot["lookup"]["sources"] == ["cache"], hot["lookup"]
            assert hot["results"] == again["results"]
        fresh = asker.get("/api/v1/search?q=kernel",
                          headers={"Cache-Control": "no-cache"}).expect(200)
        assert "network" in fresh.json["lookup"]["sources"], fresh.json
        wait_until(lambda: lookups() > 1, "the metric")
        assert lookups() == 2


def who_asks_the_same_at_once_is_one_searcher():
    """In all more than a peer answers in a row: each of them is complete."""
    clients, rounds, answers = 32, 20, []
    together = threading.Barrier(clients, timeout=60)
    with Network(2) as net:
        net.wait_connected()
        asker, other = net
        other.publish("theirs/first", description="A kernel of another node.")
        wait_until(lambda: asker.search("first")["lookup"]["complete"], "it")

        def client():
            connection = connect(asker)
            for limit in range(1, rounds + 1):
                together.wait()
                answers.append(ask(
                    connection, f"/api/v1/search?q=kernel&limit={limit}",
                    {"Cache-Control": "no-cache"}))
            connection.close()

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == clients * rounds, len(answers)
    for status, _, body in answers:
        answer = json.loads(body)
        lookup, results = answer["lookup"], answer["results"]
        assert status == 200 and lookup["complete"], (status, lookup)
        assert lookup["peers_responded"] == 1, lookup
        assert [hit["source"] for hit in results] == [other.id], results


if __name__ == "__main__":
    run([every_request_gets_the_headers_of_its_own,
         what_changed_is_not_sent_again,
         more_answers_than_are_kept_ready_are_all_right,
         a_changed_page_is_read_again_and_no_peer_is_asked,
         who_asks_the_same_at_once_is_one_searcher])
