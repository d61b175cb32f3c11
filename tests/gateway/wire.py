# SPDX-License-Identifier: Apache-2.0
"""HTTP itself, byte by byte."""
import contextlib
import http.client
import socket
import time

from raw import Raw, parse
from rows import unchanged
from support.souk import wait_until
from world import (ADMIN_ONLY, BODY_MAX, CONTRACT, DRAIN_MAX, OPS, WORLD, ask,
                   beside, limit_of)


def answer_to(node, data, method="GET", path="/"):
    with Raw(node.endpoints["http"]) as raw:
        return raw.send(data).answer(method, path)


def malformed_http_is_refused():
    node = WORLD.alone
    for lines in ("GET", "GET /", "GET / HTTP/9.9|Host: x",
                  "GET / HTTP/1.1|Host: x|Broken",
                  "GET / HTTP/1.1|Host: x|Content-Length: x",
                  "GET / HTTP/1.1|Host: x|Content-Length: -1",
                  "POST / HTTP/1.1|Host: x|Content-Length: 9" + "9" * 19,
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


def a_head_has_not_one_byte_of_body():
    for name, op in OPS.items():
        if op.method != "GET" or name in ADMIN_ONLY:
            continue
        with Raw(WORLD.alone.endpoints["http"]) as raw:
            raw.send(raw.head("HEAD", op.path) + "\r\n" +
                     raw.head("GET", "/version", {"Connection": "close"}) +
                     "\r\n")
            first, _, rest = raw.rest().partition(b"\r\n\r\n")
            assert first.startswith(b"HTTP/1.1 ") and (
                not rest or rest.startswith(b"HTTP/1.1 200")), (name, rest)


def a_client_that_closes_its_half_gets_the_answer_and_the_end():
    with Raw(WORLD.alone.endpoints["http"]) as raw:
        raw.send(raw.head("GET", "/version") + "\r\n")
        raw.socket.shutdown(socket.SHUT_WR)
        start = time.monotonic()
        parse("GET", "/version", raw.rest()).expect(200)
        assert time.monotonic() - start < 5


CASES = [
    a_head_has_not_one_byte_of_body,
    a_client_that_closes_its_half_gets_the_answer_and_the_end,
    malformed_http_is_refused,
    no_host_is_400,
    headers_beyond_the_pool_are_431,
    a_pipeline_is_answered_in_order,
    a_refused_body_is_drained_so_that_the_answer_is_read,
    a_chunked_body_is_bounded_too,
    expecting_100_is_told_before_the_body,
    a_client_that_leaves_frees_its_place,
    slow_clients_are_cut_off,
]
