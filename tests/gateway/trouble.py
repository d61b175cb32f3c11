# SPDX-License-Identifier: Apache-2.0
"""A node in trouble: its core stands, its store fails, memory has ended."""
import contextlib
import http.client
import sqlite3
import time

from faults import Faults
from rows import Rows
from support.souk import Node, figure, record, wait_until
from world import (ADMIN_ONLY, CONTRACT, LOOKUPS, NO_CACHE, OPS, WORLD, ask,
                   beside, expect_problem)


class Standing(Node):
    """A node that may be unable to stop by itself."""

    def __exit__(self, *_):
        self.kill()
        self.own_dir.cleanup()


@beside
def a_core_that_stands_is_told_of():
    """Its gateway still answers, by the deadline, and says what is wrong."""
    faults = Faults(WORLD.folder, "standing")
    options = dict(args=["--standalone"], env=faults.env,
                   watch=CONTRACT.watch)
    with faults.core_stands(), Standing(**options) as node:
        ask(node, "startupz").expect(503)
        ask(node, "readyz", "verbose").expect(503)
        ask(node, "getPackage", "timeout=100ms").problem(
            504, "lookup-incomplete")
        ask(node, "search", "timeout=100ms").expect(200)
        ask(node, "connectPeer", "timeout=100ms").problem(502, "dial-failed")
    # Ten seconds without a turn are death.
    with Standing(**options) as node:
        wait_until(lambda: ask(node, "startupz").status == 200, "start")
        with faults.core_stands():
            wait_until(lambda: faults.is_standing, "to stand")
            start = time.monotonic()
            ask(node, "listPeers").problem(503, "busy")
            # Why is told without the core.
            ask(node, "getLimits").expect(200)
            assert time.monotonic() - start < 11.5
            wait_until(lambda: ask(node, "livez").status == 503, "death", 5)
            ask(node, "health", "verbose").expect(503)
        wait_until(lambda: ask(node, "livez").status == 200, "life")


def no_memory_is_503():
    node = WORLD.faulty
    node.publish("org/lib")
    seen = set()
    sizes = [256, 512, 1024, 4096]
    for size in sizes:
        for name in OPS:
            if name in ADMIN_ONLY:
                continue
            before = Rows(node)
            with contextlib.suppress(http.client.HTTPException, OSError):
                with WORLD.faults.no_memory(size):
                    answer = ask(node, name, headers=NO_CACHE)
                if answer.status != 503 or answer.method == "HEAD":
                    continue
                answer.problem(503, "nomem")
                assert Rows(node).left_behind(before) is None, name
                seen.add(name)
    assert WORLD.faults.refused > 0 and len(seen) >= 3, seen
    figure(f"out of memory is told by {len(seen)} operations")
    # And it goes on.
    ask(node, "getPackage").expect(200)
    node.publish("org/after")


BROKEN = ("package", "version", "listing")


@contextlib.contextmanager
def broken_store(node):
    """Its tables are gone for a while."""
    def rename(old, new):
        with contextlib.closing(sqlite3.connect(node.dir / "souk.db",
                                                timeout=10)) as db:
            for table in BROKEN:
                db.execute(f"ALTER TABLE {old.format(table)} "
                           f"RENAME TO {new.format(table)}")
            db.commit()
    rename("{}", "lost_{}")
    try:
        yield
    finally:
        rename("lost_{}", "{}")


def a_store_that_fails_is_503():
    node = WORLD.faulty
    node.publish("org/lib", "1.1.0")
    before = Rows(node)
    with broken_store(node):
        for name in ("search", "ggenSearch", *LOOKUPS, "deleteVersion", "yank",
                     "unyank"):
            expect_problem(ask(node, name, headers=NO_CACHE), 503, "store")
        node.post("/api/v1/packages", record("org/lost")).problem(503, "store")
        ask(node, "livez").expect(200)
    assert Rows(node).left_behind(before) is None
    ask(node, "getPackage", headers=NO_CACHE).expect(200)
    node.publish("org/healed")


@beside
def a_store_that_cannot_write_is_not_ready():
    with Node(args=["--standalone"], watch=CONTRACT.watch) as node:
        with contextlib.closing(sqlite3.connect(node.dir / "souk.db")) as db:
            db.execute("BEGIN IMMEDIATE")
            ask(node, "publish", "timeout=20s").problem(503, "store")
            wait_until(lambda: ask(node, "readyz").status == 503, "readyz", 5)
            ask(node, "livez").expect(200)
            ask(node, "search").expect(200)
            ask(node, "publish", "timeout=100ms").problem(503, "busy")
            db.execute("ROLLBACK")
        # What came too late for its client may still have been done.
        ask(node, "publish").expect(200, 201)
        ask(node, "publish").expect(200)
        wait_until(lambda: ask(node, "readyz").status == 200, "readyz", 5)


CASES = [
    no_memory_is_503,
    a_store_that_fails_is_503,
    a_store_that_cannot_write_is_not_ready,
    a_core_that_stands_is_told_of,
]
