# SPDX-License-Identifier: Apache-2.0
"""SIGTERM under load: readyz turns, what is in flight finishes, exit 0 within
the limit; under AddressSanitizer nothing leaks."""
import http.client
import os
import signal
import threading
import time

from support.souk import (ROOT, Client, Network, Node, figure, record, run,
                          wait_until)

DEV = os.environ.get("SOUK_DEV_BINARY", str(ROOT / "build/dev/souk"))
LIMIT = 25 + 5


class Load(threading.Thread):
    """Requests without a pause; every answer that begins must be whole."""

    def __init__(self, node, number):
        super().__init__(daemon=True)
        self.node, self.number = node, number
        self.answers, self.broken = [], []
        self.over = threading.Event()

    def run(self):
        i = 0
        while not self.over.is_set():
            i += 1
            try:
                if i % 3 == 0:
                    answer = self.node.post("/api/v1/packages", record(
                        f"load{self.number}/p{i}"))
                elif i % 3 == 1:
                    answer = self.node.get(f"/api/v1/search?q=p{i}")
                else:
                    answer = self.node.get("/api/v1/packages/no/such",
                                           headers={"Cache-Control":
                                                    "no-cache"})
            except (ConnectionRefusedError, ConnectionResetError,
                    BrokenPipeError, http.client.RemoteDisconnected):
                return  # not accepted any more: no request was in flight
            except (http.client.IncompleteRead, TimeoutError) as error:
                self.broken.append(repr(error))
                return
            self.answers.append(answer.status)


def stop_under_load(binary, env=None):
    with Network(3, binary=binary, env=env) as net:
        net.wait_connected()
        node = net[0]
        loads = [Load(node, n) for n in range(4)]
        for load in loads:
            load.start()
        wait_until(lambda: all(len(load.answers) > 20 for load in loads),
                   "load", 60)
        begun = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        status = node.process.wait(LIMIT)
        took = time.monotonic() - begun
        for load in loads:
            load.over.set()
            load.join(10)
            assert not load.broken, load.broken
            wrong = [s for s in load.answers if s >= 500 and s != 503]
            assert not wrong, wrong
        node.reader.join(5)
        log = "\n".join(node.lines)
        assert status == 0, f"exit {status}\n{log[-4000:]}"
        assert "Sanitizer" not in log, log[-6000:]
        assert not (node.dir / "endpoints.json").exists()
        node.process = None
        # The others go on.
        net[1].publish("others/go-on")
        net[2].get("/livez").expect(200)
        done = sum(len(load.answers) for load in loads)
    return took, done


def sigterm_under_load_finishes_what_is_in_flight():
    took, done = stop_under_load(None)
    figure(f"SIGTERM under load: exit 0 after {took:.2f} s, {done} answers")


def nothing_leaks_under_load_and_sigterm():
    took, done = stop_under_load(DEV, {
        "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"})
    figure(f"the same under ASan: exit 0 after {took:.2f} s, {done} answers")


def readyz_turns_before_the_node_stops_answering():
    with Node(args=["--shutdown-delay", "3s"]) as node:
        wait_until(lambda: node.get("/livez").status == 200, "livez")
        probe = Client(node.endpoints["http"])
        node.process.send_signal(signal.SIGTERM)
        answer = wait_until(
            lambda: (a := probe.get("/readyz")).status == 503 and a, "503", 3)
        assert answer.json["status"] == "fail", answer.text
        # Still serving: this is what the delay is for.
        node.get("/livez").expect(200)
        assert node.process.wait(LIMIT) == 0
        node.reader.join(5)
        node.process = None


if __name__ == "__main__":
    run([readyz_turns_before_the_node_stops_answering,
         sigterm_under_load_finishes_what_is_in_flight,
         nothing_leaks_under_load_and_sigterm])
