# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of publishing: what was answered 201 is there."""
import http.client
import random
import tempfile
import threading

from support.souk import (Network, Node, _pause, figure, record, run,
                          wait_until)

KILLS = 50
WRITERS = 4


class Writer(threading.Thread):
    """Publishes until the node dies; remembers what was acknowledged."""

    def __init__(self, node, number, round_):
        super().__init__(daemon=True)
        self.node, self.number, self.round = node, number, round_
        self.acknowledged = []

    def run(self):
        for i in range(100000):
            package = f"w{self.number}/r{self.round}-p{i}"
            try:
                answer = self.node.post("/api/v1/packages", record(package))
            except (OSError, http.client.HTTPException):
                return
            if answer.status != 201:
                return
            self.acknowledged.append(package)


def assert_all_there(node, packages):
    for package in packages:
        node.get(f"/api/v1/packages/{package}?scope=local").expect(200)


def every_acknowledged_publish_survives_fifty_kills():
    rng = random.Random(50)
    acknowledged, total = [], 0
    with tempfile.TemporaryDirectory(prefix="souk-kill-") as directory, \
            Node() as other:
        node = Node(directory, bootstrap=[other.address])
        for round_ in range(KILLS):
            node.start()
            # What the kill before this left is there …
            assert_all_there(node, acknowledged)
            total += len(acknowledged)
            writers = [Writer(node, w, round_) for w in range(WRITERS)]
            for writer in writers:
                writer.start()
            # … and the next comes at a moment nobody chose.
            _pause.wait(rng.uniform(0.0, 0.25))
            node.kill()
            for writer in writers:
                writer.join(20)
                assert not writer.is_alive()
            acknowledged = [p for w in writers for p in w.acknowledged]
        node.start()
        assert_all_there(node, acknowledged)
        total += len(acknowledged)
        # What the outbox held reaches the network without being asked.
        node.wait_outbox(120)
        sample = rng.sample(acknowledged, min(20, len(acknowledged)))
        for package in sample:
            wait_until(lambda: other.get(
                f"/api/v1/packages/{package}").status == 200,
                f"{package} on the other node")
        count = node.count("own_packages")
        assert count >= total, (count, total)
        assert node.stop() == 0
    figure(f"{KILLS} kills: {total} acknowledged publishes, all there")


def an_outbox_is_announced_after_the_restart():
    """Published while nobody was there, killed, restarted among others."""
    with Node() as other, tempfile.TemporaryDirectory() as directory:
        alone = Node(directory).start()
        for i in range(30):
            alone.publish(f"alone/p{i}")
        alone.kill()
        back = Node(directory, bootstrap=[other.address]).start()
        try:
            back.wait_outbox(60)
            for i in range(30):
                other.get(f"/api/v1/packages/alone/p{i}").expect(200)
        finally:
            assert back.stop() == 0


if __name__ == "__main__":
    run([an_outbox_is_announced_after_the_restart,
         every_acknowledged_publish_survives_fifty_kills])
