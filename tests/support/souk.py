# SPDX-License-Identifier: Apache-2.0
"""Real souk nodes for tests: start them, ask them over REST, stop them.

    with Network(3) as net:
        net[0].publish("org/lib", "1.0.0")
        net[2].get("/api/v1/packages/org/lib").expect(200)

Nothing here sleeps for luck: every wait is for a condition, with a limit.
"""
import atexit
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import string
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SOUK_BINARY", str(ROOT / "build/release/souk"))
_pause = threading.Event()


def wait_until(condition, what, within=20.0):
    """The first true value of condition(); fails with `what` after `within`."""
    end, pause = time.monotonic() + within, 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s: "
                                 f"{what() if callable(what) else what}")
        _pause.wait(pause)
        pause = min(pause * 1.5, 0.1)


def figure(text):
    """A measured figure, shown by tests/run even when all is well."""
    print(f"figure: {text}", flush=True)


class Response:
    def __init__(self, method, path, status, headers, body):
        self.method, self.path = method, path
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def expect(self, *statuses):
        assert self.status in statuses, (
            f"{self.method} {self.path}: {self.status}, expected "
            f"{statuses}: {self.text[:800]}")
        return self

    def problem(self, status, code):
        """A problem+json with that status and code; returns it."""
        self.expect(status)
        assert self.headers["Content-Type"] == "application/problem+json", \
            self.headers["Content-Type"]
        problem = self.json
        assert problem["code"] == code, problem
        assert problem["status"] == status, problem
        return problem


class Client:
    """HTTP to one base URL, over a connection that is kept."""

    def __init__(self, url, token=None, watch=None):
        self.url = urllib.parse.urlsplit(url)
        self.token, self.watch = token, watch
        self.local = threading.local()

    def connection(self, timeout):
        kept = getattr(self.local, "connection", None)
        if kept is None:
            kept = http.client.HTTPConnection(self.url.hostname, self.url.port,
                                              timeout=timeout)
            kept.connect()
            kept.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.local.connection = kept
        kept.timeout = timeout
        return kept

    def close(self):
        kept = getattr(self.local, "connection", None)
        if kept is not None:
            kept.close()
        self.local.connection = None

    def request(self, method, path, body=None, headers=None, auth=True,
                timeout=40):
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if auth and self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        full = self.url.path.rstrip("/") + path
        for again in (True, False):
            connection = self.connection(timeout)
            try:
                connection.request(method, full, body, headers)
                answer = connection.getresponse()
                data = answer.read()
                break
            except (http.client.RemoteDisconnected, ConnectionResetError,
                    BrokenPipeError):
                # A kept connection may have been closed meanwhile.
                self.close()
                if not again or method == "POST":
                    raise
            except Exception:
                self.close()
                raise
        if answer.will_close:
            self.close()
        response = Response(method, path, answer.status, answer.headers, data)
        if self.watch:
            self.watch(response)
        return response

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body, **kw)

    def put(self, path, body=None, **kw):
        return self.request("PUT", path, body, **kw)

    def delete(self, path, body=None, **kw):
        return self.request("DELETE", path, body, **kw)


def record(package, version="1.0.0", title=None, description="A test package.",
           tags=(), categories=(), **metadata):
    """A publishable record; what is left out the node fills in."""
    return {"id": package, "version": version, "metadata": {
        "title": title or package.split("/")[1], "description": description,
        "tags": list(tags), "categories": list(categories), **metadata}}


class Node:
    def __init__(self, directory=None, bootstrap=(), args=(), env=None,
                 private=True, binary=None, watch=None):
        self.own_dir = None
        if directory is None:
            self.own_dir = tempfile.TemporaryDirectory(prefix="souk-test-")
            directory = self.own_dir.name
        self.dir = pathlib.Path(directory)
        self.bootstrap, self.args = list(bootstrap), list(args)
        self.env, self.private = dict(env or {}), private
        self.binary, self.watch = binary or BINARY, watch
        self.process, self.lines = None, []

    # -- process ----------------------------------------------------------

    def command(self):
        command = [self.binary, "serve", "--data", str(self.dir)]
        given = {arg.split("=")[0] for arg in self.args}
        for flag, value in (("--listen", "/ip4/127.0.0.1/tcp/0"),
                            ("--http", "127.0.0.1:0"),
                            ("--admin", "127.0.0.1:0"),
                            ("--log-format", "text")):
            if flag not in given:
                command += [flag, value]
        if self.private:
            command.append("--private-network")
        for address in self.bootstrap:
            command += ["--bootstrap", address]
        return command + self.args

    def environment(self):
        """Nothing of the one who runs the tests changes a node."""
        kept = {k: v for k, v in os.environ.items()
                if not k.startswith("SOUK_") and k != "XDG_DATA_HOME"}
        return {**kept, **self.env}

    def start(self, within=30):
        self.launch()
        self.wait_ready_line(within)
        return self

    def launch(self):
        (self.dir / "endpoints.json").unlink(missing_ok=True)
        self.lines = []
        environment = self.environment()
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL, text=True, errors="replace",
            env=environment)
        atexit.register(self.process.kill)
        self.reader = threading.Thread(target=self._read, daemon=True,
                                       args=(self.process,))
        self.reader.start()

    def _read(self, process):
        for line in process.stderr:
            self.lines.append(line.rstrip("\n"))

    def log(self, last=40):
        return "\n".join(self.lines[-last:])

    def wait_ready_line(self, within=30):
        path = self.dir / "endpoints.json"

        def is_there():
            if self.process.poll() is not None:
                self.reader.join(2)
                raise AssertionError(
                    f"souk serve ended with {self.process.returncode}:\n"
                    f"{self.log()}")
            return path.exists()

        wait_until(is_there, lambda: "endpoints.json\n" + self.log(), within)
        self.endpoints = json.loads(path.read_text())
        self.id = self.endpoints["peer_id"]
        self.token = (self.dir / "admin-token").read_text().strip()
        self.http = Client(self.endpoints["http"], self.token, self.watch)
        self.admin = Client(self.endpoints["admin"], self.token, self.watch)

    @property
    def address(self):
        """A multiaddress others can bootstrap from."""
        listen = self.endpoints["listen"][0]
        return listen if "/p2p/" in listen else f"{listen}/p2p/{self.id}"

    def stop(self, within=40):
        """SIGTERM; the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not stop after SIGTERM:\n" + self.log())
        self.reader.join(5)
        self.process = None
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(5)
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self.process is not None:
                if kind is not None:
                    print(f"-- log of {self.dir}:\n{self.log()}")
                    self.kill()
                else:
                    status = self.stop()
                    assert status == 0, f"exit {status}:\n{self.log(200)}"
        finally:
            if self.own_dir:
                self.own_dir.cleanup()

    def memory_kib(self):
        """Resident memory."""
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    # -- REST -------------------------------------------------------------

    def get(self, path, **kw):
        return self.http.get(path, **kw)

    def post(self, path, body=None, **kw):
        return self.http.post(path, body, **kw)

    def put(self, path, body=None, **kw):
        return self.http.put(path, body, **kw)

    def delete(self, path, body=None, **kw):
        return self.http.delete(path, body, **kw)

    def publish(self, package, version="1.0.0", wait="local", **fields):
        return self.post(f"/api/v1/packages?wait={wait}",
                         record(package, version, **fields)).expect(201)

    def search(self, q, **params):
        query = urllib.parse.urlencode({"q": q, **params})
        return self.get(f"/api/v1/search?{query}").expect(200).json

    def status(self):
        return self.get("/api/v1/node").expect(200).json

    def count(self, name):
        return self.status()["counts"][name]

    def wait_ready(self, within=30):
        wait_until(lambda: self.get("/readyz").status == 200,
                   lambda: "readyz: " + self.get("/readyz?verbose").text,
                   within)
        return self

    def connected(self):
        return {p["id"] for p in
                self.get("/api/v1/peers?state=connected&limit=100")
                .expect(200).json["peers"]}

    def wait_connected(self, count, within=30):
        wait_until(lambda: len(self.connected()) >= count,
                   lambda: f"{count} peers, has {len(self.connected())}",
                   within)
        return self

    def wait_outbox(self, within=60):
        wait_until(lambda: self.count("outbox") == 0,
                   lambda: f"outbox: {self.count('outbox')}", within)
        return self


class Network:
    """Nodes that know the first one, or as `knows(i)` says (indices)."""

    def __init__(self, count, knows=None, args=(), **options):
        self.count, self.args, self.options = count, list(args), options
        self.knows = knows or (lambda i: [0] if i else [])
        self.nodes = []

    def add(self, known, **options):
        merged = {**self.options, **options}
        merged.setdefault("args", self.args)
        node = Node(bootstrap=[self.nodes[k].address for k in known], **merged)
        node.start()
        self.nodes.append(node)
        return node

    def __enter__(self):
        try:
            for i in range(self.count):
                self.add(self.knows(i))
        except BaseException:
            self.__exit__(AssertionError)
            raise
        return self

    def __exit__(self, kind, *rest):
        failure = None
        for node in reversed(self.nodes):
            try:
                node.__exit__(kind, *rest)
            except AssertionError as error:
                failure = failure or error
        if failure and kind is None:
            raise failure

    def __getitem__(self, i):
        return self.nodes[i]

    def __len__(self):
        return len(self.nodes)

    def wait_connected(self, within=60):
        for node in self.nodes:
            node.wait_connected(min(len(self.nodes) - 1, 5), within)
        return self

    def wait_ready(self, within=60):
        for node in self.nodes:
            node.wait_ready(within)
        return self


def random_name(prefix="p"):
    return prefix + "-" + "".join(random.choices(string.ascii_lowercase, k=10))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def percentile(values, fraction):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def run(cases):
    """Run functions by name; `file.py NAME…` runs those only."""
    import sys
    import traceback
    wanted, failed = sys.argv[1:], []
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        start = time.monotonic()
        try:
            case()
        except Exception:
            traceback.print_exc()
            failed.append(case.__name__)
            print(f"FAIL {case.__name__}", flush=True)
        else:
            print(f"ok   {case.__name__} {time.monotonic() - start:.2f} s",
                  flush=True)
    if failed:
        sys.exit("failed: " + ", ".join(failed))
