# SPDX-License-Identifier: Apache-2.0
"""A collector of spans for tests: takes OTLP over HTTP and decodes it with the
official messages, which know nothing of souk.

    with Collector() as collector:
        node = Node(env=collector.environment())
        span = collector.wait(lambda s: s.name == "souk.search")
"""
import contextlib
import http.server
import re
import socket
import threading

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from support.souk import wait_until


class Span:
    """A span with what there is to ask of it, as plain values."""

    def __init__(self, span, resource):
        self.raw, self.resource = span, resource
        self.name, self.kind = span.name, span.kind
        self.trace, self.id = span.trace_id.hex(), span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.state = span.trace_state
        self.failed = span.status.code == 2
        self.start = span.start_time_unix_nano
        self.end = span.end_time_unix_nano
        keys = [a.key for a in span.attributes]
        assert len(keys) == len(set(keys)), f"{self.name}: {keys}"
        self.attributes = {a.key: value_of(a.value) for a in span.attributes}

    def __getitem__(self, key):
        return self.attributes.get(key)

    def __repr__(self):
        return (f"{self.name} id={self.id} parent={self.parent} "
                f"trace={self.trace[:8]} {self.attributes}")


def value_of(value):
    return getattr(value, value.WhichOneof("value"))


class Collector:
    """|status|: what it answers; |refuses|: spans it says it has rejected."""

    def __init__(self, status=200, refuses=0):
        self.status, self.refuses = status, refuses
        self.requests, self.wrong, self.all, self.seen = [], [], [], 0
        self.lock = threading.Lock()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = collector.take(self.path, self.headers, body)
                self.send_response(collector.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.daemon_threads = True

    def take(self, path, headers, body):
        message = trace_service_pb2.ExportTraceServiceRequest()
        try:
            message.ParseFromString(body)
        except DecodeError as error:
            self.wrong.append(error)
        answer = trace_service_pb2.ExportTraceServiceResponse()
        if self.refuses:
            answer.partial_success.rejected_spans = self.refuses
        with self.lock:
            self.requests.append((path, dict(headers)))
            self.seen += sum(len(scope.spans)
                             for group in message.resource_spans
                             for scope in group.scope_spans)
            if self.status == 200:
                for group in message.resource_spans:
                    resource = {a.key: value_of(a.value)
                                for a in group.resource.attributes}
                    for scope in group.scope_spans:
                        self.all += [Span(s, resource) for s in scope.spans]
        return answer.SerializeToString()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def environment(self, **more):
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
                "OTEL_BSP_SCHEDULE_DELAY": "50", **more}

    def spans(self, **wanted):
        """Those whose fields are as wanted, the first to come first."""
        with self.lock:
            return [s for s in self.all if all(
                getattr(s, key) == value for key, value in wanted.items())]

    def wait(self, condition=lambda span: True, within=15, **wanted):
        """The first span like that, as soon as it is there."""
        return wait_until(
            lambda: next(filter(condition, self.spans(**wanted)), None),
            lambda: f"a span {wanted} among\n" +
            "\n".join(map(repr, self.spans())), within)

    def clear(self):
        with self.lock:
            self.all.clear()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        assert not self.wrong, self.wrong


class Silence:
    """Accepts connections, reads, and never answers."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.kept = []
        threading.Thread(target=self._accept, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        return self

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.kept.append(connection)
            threading.Thread(target=self._read, args=(connection,),
                             daemon=True).start()

    @staticmethod
    def _read(connection):
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass

    def __exit__(self, *_):
        self.socket.close()
        for connection in self.kept:
            connection.close()


class Nonsense:
    """Answers each request with the next of |answers|, then hangs up."""

    def __init__(self, answers):
        self.answers, self.said = answers, 0

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        return self

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                self._take(connection)
                connection.sendall(self.answers[self.said %
                                                len(self.answers)])
            self.said += 1

    @staticmethod
    def _take(connection):
        """One request, whole, so that what is said is heard."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536) or b"\r\n\r\n"
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.I)
        left = int(length[1]) - len(body) if length else 0
        while left > 0:
            piece = connection.recv(65536)
            if not piece:
                return
            left -= len(piece)

    def __exit__(self, *_):
        self.socket.close()
