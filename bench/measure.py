# SPDX-License-Identifier: Apache-2.0
"""What bench/run measures with: a client that costs little itself, the CPU time
of other processes, and a table of figures."""
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse


class Answer:
    def __init__(self, status, head, body, ms):
        self.status, self.head, self.body, self.ms = status, head, body, ms

    @property
    def json(self):
        return json.loads(self.body)

    def expect(self, *statuses):
        assert self.status in statuses, (self.status, self.body[:500])
        return self


class Wire:
    """One kept connection; a request is one write, an answer mostly one read.
    The time runs from before the write until the last byte is read."""

    def __init__(self, url, token=None):
        self.url = urllib.parse.urlsplit(url)
        self.fixed = f"Host: {self.url.netloc}\r\n" + (
            f"Authorization: Bearer {token}\r\n" if token else "")
        self.socket = socket.create_connection(
            (self.url.hostname, self.url.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path, headers=""):
        self.send_get(path, headers)
        return self.read()

    def send_get(self, path, headers=""):
        self.send(f"GET {path} HTTP/1.1\r\n{self.fixed}{headers}\r\n"
                  .encode())

    def post(self, path, body):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask(
            f"POST {path} HTTP/1.1\r\n{self.fixed}"
            f"Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def send(self, request):
        self.sent_at = time.perf_counter_ns()
        self.socket.sendall(request)

    def read(self):
        data, end = b"", -1
        while end < 0:
            data += self.more()
            end = data.find(b"\r\n\r\n")
        head = data[:end]
        at = head.lower().find(b"\r\ncontent-length:")
        length = int(head[at + 17:].split(b"\r\n", 1)[0]) if at >= 0 else 0
        parts, have = [data[end + 4:]], len(data) - end - 4
        while have < length:
            parts.append(self.more())
            have += len(parts[-1])
        ms = (time.perf_counter_ns() - self.sent_at) / 1e6
        return Answer(int(head[9:12]), head, b"".join(parts), ms)

    def more(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise ConnectionError("closed")
        return got

    def ask(self, request):
        self.send(request)
        return self.read()

    def close(self):
        self.socket.close()


def cpu_s(pid):
    """CPU time a process has used; the clock of another process (Linux)."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9


def rss_kib(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


class Child:
    """A program that says a line when it is ready and ends with its input."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline().strip()
        assert self.said, f"{command[0]} ended"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def wrk(url, seconds, connections=16, headers=()):
    """Requests a second and the latency wrk saw, in ms."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    out = subprocess.run(command + [url], check=True, capture_output=True,
                         text=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    latency = {f"p{p}": float(value) * unit[u] for p, value, u in re.findall(
        r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", out, re.M)}
    return {"requests": int(re.search(r"(\d+) requests in", out)[1]),
            "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            **latency}


def percentile(values, fraction):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


class Figures:
    """Rows of {group, name, unit, value or p50/p99/max, n, how}."""

    def __init__(self):
        self.rows = []

    def add(self, group, name, unit, value, how):
        self._row(group, name, unit, how, value=value)

    def times(self, group, name, values, how):
        self._row(group, name, "ms", how, p50=percentile(values, .5),
                  p99=percentile(values, .99), max=max(values), n=len(values))

    def _row(self, group, name, unit, how, **figures):
        rounded = {key: value if isinstance(value, int) else
                   float(f"{value:.4g}") for key, value in figures.items()}
        self.rows.append({"group": group, "name": name, "unit": unit,
                          **rounded, "how": how})
        print(self.line(self.rows[-1]), file=sys.stderr, flush=True)

    @staticmethod
    def line(row):
        if "value" in row:
            figures = f"{row['value']:>10}"
        else:
            figures = (f"{row['p50']:>10} p50 {row['p99']:>9} p99 "
                       f"{row['max']:>9} max")
        return f"  {row['name']:<46} {figures} {row['unit']}"

    def table(self):
        lines, group = [], None
        for row in self.rows:
            if row["group"] != group:
                group = row["group"]
                lines.append(f"\n{group}")
            lines.append(self.line(row))
        return "\n".join(lines)


def machine():
    model = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    return {"cpus": os.cpu_count(), "model": model[1] if model else "?",
            "kernel": os.uname().release,
            "load_1min": round(os.getloadavg()[0], 1)}


def sync_ms(directory, count):
    """What the disk takes to make 8 KiB durable, one after the other."""
    path, times = os.path.join(directory, "sync"), []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    for i in range(count):
        os.pwrite(fd, b"x" * 8192, i * 8192)
        start = time.perf_counter_ns()
        os.fdatasync(fd)
        times.append((time.perf_counter_ns() - start) / 1e6)
    os.close(fd)
    os.unlink(path)
    return times
