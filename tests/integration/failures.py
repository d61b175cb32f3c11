# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a node, made to order: a relay that cuts, delays and
spoils; a network of one's own, with walls in it; a small disk; one that turns
read-only; a wrong clock."""
import contextlib
import os
import pathlib
import queue
import re
import select
import socket
import struct
import subprocess
import threading
import time

from support.souk import BINARY, wait_until


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


class Relay:
    """Stands before a peer.  What the peer says is handed on unless `how`
    says otherwise: "pass", "cut" (ten bytes more, then a reset), "spoil" (a
    bit is turned), "late" (after `delay` seconds)."""

    def __init__(self, port):
        self.port, self.how, self.delay = port, "pass", 0.4
        self.hits = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self, node):
        port = self.server.getsockname()[1]
        return f"/ip4/127.0.0.1/tcp/{port}/p2p/{node.id}"

    def _accept(self):
        while True:
            near, _ = self.server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                near.close()
                continue
            late = queue.Queue()
            for target, args in ((self._hand_on, (near, far, late)),
                                 (self._later, (near, late))):
                threading.Thread(target=target, args=args,
                                 daemon=True).start()

    def _later(self, near, late):
        while True:
            due, data = late.get()
            if data is None:
                return
            wait = due - time.monotonic()
            if wait > 0:
                select.select([], [], [], wait)
            with contextlib.suppress(OSError):
                near.sendall(data)

    def _hand_on(self, near, far, late):
        reset = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([near, far], [], [])
                if near in ready:
                    data = near.recv(65536)
                    if not data:
                        break
                    far.sendall(data)
                if far in ready:
                    data = far.recv(65536)
                    if not data:
                        break
                    if self.how == "pass":
                        late.put((0, data))
                        continue
                    self.hits += 1
                    if self.how == "late":
                        late.put((time.monotonic() + self.delay, data))
                    elif self.how == "spoil":
                        middle = len(data) // 2
                        late.put((0, data[:middle] +
                                  bytes([data[middle] ^ 1]) +
                                  data[middle + 1:]))
                    else:
                        near.sendall(data[:10])
                        for s in near, far:
                            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                         reset)
                        break
        late.put((0, None))
        near.close()
        far.close()


class Walls:
    """Between addresses of the loopback of a network of one's own: what is
    sent to them is lost without a word."""

    def __init__(self):
        run("ip", "rule", "add", "pref", "100", "lookup", "local")
        run("ip", "rule", "del", "pref", "0")

    @contextlib.contextmanager
    def around(self, *addresses):
        for address in addresses:
            run("ip", "rule", "add", "pref", "10", "to", address, "blackhole")
        try:
            yield
        finally:
            for address in addresses:
                run("ip", "rule", "del", "pref", "10", "to", address)


@contextlib.contextmanager
def small_disk(folder, size="24m"):
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "souk-test", folder)
    try:
        yield
    finally:
        run("umount", "--lazy", folder)


def fill(path):
    """All that is left."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, bytes(4096))
    os.close(file)


class ReadOnly:
    """A folder whose file system can turn read-only under a node that writes
    there, and back: read_only.c says how.  The folder is a mount of its own."""

    def __init__(self, folder, own):
        library = pathlib.Path(BINARY).with_name("libread_only.so")
        assert library.exists(), library
        self.path = pathlib.Path(own) / "read-only"
        self.env = {"LD_PRELOAD": str(library), "READ_ONLY_DIR": str(folder),
                    "READ_ONLY_WHEN": str(self.path),
                    "ASAN_OPTIONS": "verify_asan_link_order=0"}

    @contextlib.contextmanager
    def now(self):
        self.path.touch()
        try:
            yield
        finally:
            self.path.unlink()


class Names:
    """/etc/hosts, seen by this case alone."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "hosts"
        self.path.write_text("127.0.0.1 localhost\n")
        run("mount", "--bind", self.path, "/etc/hosts")

    def add(self, name, address="127.0.0.1"):
        with open(self.path, "a") as file:
            file.write(f"{address} {name}\n")

    def remove(self, name):
        self.path.write_text("".join(
            line + "\n" for line in self.path.read_text().splitlines()
            if not line.endswith(f" {name}")))


class NameServer:
    """The only one of a network of one's own; says nothing, or leads every
    name to that many addresses, the first of them 127.0.0.1."""

    def __init__(self, folder):
        path = pathlib.Path(folder) / "resolv.conf"
        path.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n")
        run("mount", "--bind", path, "/etc/resolv.conf")
        self.addresses, self.asked = 0, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            question, asker = self.socket.recvfrom(512)
            self.asked += 1
            if self.addresses:
                self.socket.sendto(self._answer(question), asker)

    def _answer(self, question):
        end = question.index(b"\0", 12) + 5
        answers = b"".join(
            struct.pack(">HHHIH4B", 0xc00c, 1, 1, 0, 4, 127, 0, n, 1)
            for n in range(self.addresses))
        return (question[:2] + struct.pack(">HHHHH", 0x8180, 1,
                                           self.addresses, 0, 0) +
                question[12:end] + answers)


def some_peer(n):
    """The id of a peer that is nowhere."""
    letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = int.from_bytes(bytes.fromhex("002408011220") +
                            n.to_bytes(32, "little"), "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = letters[digit] + text
    return "1" + text


class Clock:
    """The wall clock of a node, which can be set."""
    LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1",)

    def __init__(self, folder):
        found = [path for pattern in self.LIBRARIES
                 for path in pathlib.Path("/").glob(pattern[1:])]
        assert found, "libfaketime is not installed"
        self.path = pathlib.Path(folder) / "clock"
        self.set("+0")
        self.env = {"LD_PRELOAD": str(found[0]),
                    "FAKETIME_TIMESTAMP_FILE": str(self.path),
                    "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def set(self, text):
        new = self.path.with_suffix(".new")
        new.write_text(text + "\n")
        os.replace(new, self.path)


# ---- What a node says of it. ----

def metric(node, name, **labels):
    """The sum over the samples with those labels."""
    total = 0.0
    for line in node.admin.get("/metrics").expect(200).text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if not found or found[1] != name:
            continue
        if all(f'{k}="{v}"' in (found[2] or "") for k, v in labels.items()):
            total += float(found[3])
    return total


def wait_metric(node, least, name, within=20, **labels):
    wait_until(lambda: metric(node, name, **labels) >= least,
               lambda: f"{name} {labels}: {metric(node, name, **labels)}, "
               f"not {least}", within)


def wait_log(node, *words, within=30, after=0):
    wait_until(lambda: any(all(w in line for w in words)
                           for line in node.lines[after:]),
               lambda: f"a line with {words} in the log:\n{node.log(60)}",
               within)


def fails_in(node, check):
    """/readyz is 503, by that check alone."""
    answer = node.get("/readyz?verbose").expect(503)
    checks = answer.json["checks"]
    failed = [name for name in checks if checks[name][0]["status"] == "fail"]
    assert failed == [check], answer.text
    assert checks[check][0]["output"], answer.text


def wait_not_ready(node, check, within=20):
    wait_until(lambda: node.get("/readyz").status == 503, "readyz 503", within)
    fails_in(node, check)


def get_is_unknown(node, package, timeout="500ms"):
    """504, by its deadline: nobody can say."""
    start = time.monotonic()
    problem = node.get(f"/api/v1/packages/{package}?timeout={timeout}",
                       headers={"Cache-Control": "no-cache"}).problem(
        504, "lookup-incomplete")
    assert problem["retryable"], problem
    assert time.monotonic() - start < 3, "late"


def search_is_incomplete(node, q, found=None, **options):
    answer = node.search(q, **{"timeout": "500ms", **options})
    assert not answer["lookup"]["complete"], answer["lookup"]
    assert answer["lookup"]["reason"], answer["lookup"]
    if found is not None:
        assert [r["id"] for r in answer["results"]] == found, answer


def wait_got(node, package, within=60):
    path = f"/api/v1/packages/{package}?timeout=2s"

    def got():
        return node.get(path, headers={"Cache-Control": "no-cache"})

    wait_until(lambda: got().status == 200, lambda: got().text, within)
