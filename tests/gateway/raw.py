# SPDX-License-Identifier: Apache-2.0
"""HTTP byte by byte, for what no decent client would send."""
import http.client
import io
import socket
import urllib.parse

from support.souk import Response


class _Bytes:
    """What http.client takes for a socket."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_):
        return io.BytesIO(self.data)


def parse(method, path, data):
    """The one response in |data|."""
    answer = http.client.HTTPResponse(_Bytes(data), method=method)
    answer.begin()
    return Response(method, path, answer.status, answer.headers, answer.read())


class Raw:
    """A connection: send(bytes) at will, then answer() or rest()."""

    def __init__(self, url, watch=None, timeout=20):
        at = urllib.parse.urlsplit(url)
        self.host, self.watch = at.netloc, watch
        self.socket = socket.create_connection((at.hostname, at.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode("latin-1")
                            if isinstance(data, str) else data)
        return self

    def head(self, method, path, headers=(), version="HTTP/1.1", host=None):
        """A request's head without the empty line."""
        lines = [f"{method} {path} {version}", f"Host: {host or self.host}"]
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        return "\r\n".join(lines) + "\r\n"

    def answer(self, method, path, watch=True):
        """One response; the connection may go on."""
        reader = http.client.HTTPResponse(self.socket, method=method)
        try:
            reader.begin()
            response = Response(method, path, reader.status, reader.headers,
                                reader.read())
        finally:
            reader.close()
        if watch and self.watch:
            self.watch(response)
        return response

    def ask(self, method, path, headers=(), body=b"", **kw):
        self.send((self.head(method, path, headers, **kw) + "\r\n").encode(
            "latin-1") + body)
        return self.answer(method, path)

    def rest(self):
        """All bytes until the other side closes."""
        data = b""
        while True:
            try:
                piece = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                return data
            if not piece:
                return data
            data += piece
