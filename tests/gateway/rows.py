# SPDX-License-Identifier: Apache-2.0
"""What a node's database holds, seen from outside."""
import contextlib
import hashlib
import sqlite3

# Not those that are written behind: the DHT's records and providers, what is
# known of peers, and the outbox, which empties itself.
TABLES = ("package", "version", "listing", "words", "pin", "rejudge")


class Rows:
    """Rows of every table, a digest of what they say of packages, and whose
    keys the DHT's records have."""

    def __init__(self, node):
        with contextlib.closing(sqlite3.connect(
                f"file:{node.dir}/souk.db?mode=ro", uri=True,
                timeout=10)) as db:
            db.execute("BEGIN")  # all of it at one moment
            self.counts = {table: db.execute(
                f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in TABLES}
            self.digest = self._digest(db)
            self.packages = {f"{ns}/{name}" for ns, name in db.execute(
                "SELECT ns, name FROM package")}
            self.keys = {self._package_of(bytes(key)) for (key,) in
                         db.execute("SELECT key FROM record")}
            self.outbox = {id for (id,) in db.execute("SELECT id FROM outbox")}
            db.execute("COMMIT")

    @staticmethod
    def _package_of(key):
        return key.decode().removeprefix("/souk/").split("@")[0].split(
            "~" if not key.startswith(b"/souk/~") else "\0")[0]

    @staticmethod
    def _digest(db):
        digest = hashlib.sha256()
        for query in (
                "SELECT p.ns, p.name, p.publisher, p.sequence, p.head_version,"
                " p.head, v.id, v.is_yanked, v.sequence, v.record"
                " FROM package p JOIN version v ON v.package = p.id"
                " ORDER BY p.id, v.id",
                "SELECT ns, owner FROM pin ORDER BY ns"):
            for row in db.execute(query):
                digest.update(repr(row).encode())
        return digest.hexdigest()

    def left_behind(self, before):
        """What is here and was not before; None: nothing."""
        if self.counts != before.counts:
            return f"{before.counts} -> {self.counts}"
        if self.digest != before.digest:
            return "the same rows with other content"
        if not self.outbox <= before.outbox:
            return f"to announce: {self.outbox - before.outbox}"
        strays = {key for key in self.keys - before.keys - before.packages
                  if not key.startswith("~")}
        return f"DHT records of {strays}" if strays else None


@contextlib.contextmanager
def unchanged(node, what):
    """What happens inside leaves nothing behind."""
    before = Rows(node)
    yield
    left = Rows(node).left_behind(before)
    assert left is None, f"{what} left {left}"
