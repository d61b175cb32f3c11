# SPDX-License-Identifier: Apache-2.0
"""A peer of another implementation, as tests/interop/README.md says.

    with Stranger("rust-0.54") as peer:
        peer.do("dial", address=node.address)
"""
import base64
import itertools
import json
import queue
import signal
import subprocess
import threading

from driver import builds

KAD, TOPIC = "/souk/kad/1.0.0", "/souk/packages/v1"


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes)
                            else data.encode()).decode()


def rsa_key():
    """A new RSA key, PKCS #8, for libraries that cannot make one."""
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA",
                           "-pkeyopt", "rsa_keygen_bits:2048"], check=True,
                          capture_output=True)
    der = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt",
                          "-outform", "DER"], input=made.stdout, check=True,
                         capture_output=True)
    return b64(der.stdout)


class Stranger:
    def __init__(self, kind, **options):
        self.kind = kind
        self.options = {"kad": KAD, "topic": TOPIC, **options}
        self.messages, self.closed = queue.Queue(), queue.Queue()
        self.answers, self.ids = {}, itertools.count(1)

    def __enter__(self):
        self.process = subprocess.Popen(builds.command(self.kind), text=True,
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        try:
            started = self.do("start", **self.options)
        except BaseException:
            self.__exit__()
            raise
        self.id, self.listen = started["peer"], started["listen"]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    @property
    def address(self):
        return self.listen[0]

    def _read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if said.get("event") == "message":
                self.messages.put(said)
            elif said.get("event") == "closed":
                self.closed.put(said)
            else:
                self.answers.pop(said["id"]).put(said)
        for waiting in list(self.answers.values()):
            waiting.put({"ok": False, "error": "the peer has ended"})

    # -- asking -----------------------------------------------------------

    def begin(self, do, **arguments):
        """Ask; where the answer, good or bad, will come."""
        number, waiting = next(self.ids), queue.Queue()
        self.answers[number] = waiting
        self.process.stdin.write(
            json.dumps({"id": number, "do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return waiting

    def ask(self, do, timeout=60, **arguments):
        """The answer, good or bad."""
        return self.begin(do, **arguments).get(timeout=timeout)

    def do(self, do, timeout=60, **arguments):
        """The answer, which must be good."""
        answer = self.ask(do, timeout, **arguments)
        assert answer["ok"], f"{self.kind} {do} {arguments}: {answer['error']}"
        return answer

    # -- the DHT ----------------------------------------------------------

    def put(self, key, value, **more):
        return self.do("put", key=b64(key), value=b64(value), **more)["acked"]

    def get(self, key, **more):
        """The records found: value, and publisher and ttl where it can."""
        found = self.do("get", key=b64(key), **more)["values"]
        for record in found:
            record["value"] = base64.b64decode(record["value"])
        return found

    def values(self, key):
        return [record["value"] for record in self.get(key)]

    def stored(self, key):
        """What its own store holds."""
        record = self.do("stored", key=b64(key))["record"]
        if record:
            record["value"] = base64.b64decode(record["value"])
        return record

    def table(self):
        return self.do("table")["size"]

    # -- gossip -----------------------------------------------------------

    def publish(self, data, topic=None):
        return self.do("publish", topic=topic or self.options["topic"],
                       data=b64(data))

    def message(self, timeout=20):
        """The next gossip message: (author, data)."""
        event = self.messages.get(timeout=timeout)
        return event["from"], base64.b64decode(event["data"])

    def mesh(self):
        return self.do("subscribers", topic=self.options["topic"])["mesh"]

    def subscribers(self):
        return self.do("subscribers",
                       topic=self.options["topic"])["subscribers"]

    # -- streams ----------------------------------------------------------

    def open(self, peer, protocol, **more):
        """With paused=True nothing is read before read() is called."""
        return Stream(self, self.do("open", peer=peer, protocol=protocol,
                                    **more)["stream"])

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def memory_kib(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0


class Stream:
    """A stream the driver moves by hand."""

    def __init__(self, stranger, number):
        self.stranger, self.number = stranger, number

    def write(self, data, **more):
        return self.stranger.do("write", stream=self.number, data=b64(data),
                                **more)

    def read(self, count=65536, ms=10000):
        """(what came, why no more came: open, eof, reset, late)"""
        got = self.stranger.do("read", stream=self.number, bytes=count, ms=ms)
        return base64.b64decode(got["data"]), got["end"]

    def finish(self):
        self.stranger.do("finish", stream=self.number)

    def reset(self):
        self.stranger.do("reset", stream=self.number)
