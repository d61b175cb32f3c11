# SPDX-License-Identifier: Apache-2.0
"""souk beside the libraries of others, each among its own, in one run: the
peers of tests/interop.  They are asked by lines of JSON, souk over HTTP."""
import contextlib
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/interop"))
from driver import bulk, dht                             # noqa: E402
from driver.kinds import KINDS                           # noqa: E402
from driver.stranger import TOPIC, Stranger              # noqa: E402
from measure import cpu_s, percentile                    # noqa: E402
from support.souk import wait_until                      # noqa: E402
from ten import rest, souks                              # noqa: E402

EIGHT = 8


def cpu_of(*peers):
    return sum(cpu_s(peer.process.pid) for peer in peers)


def souk_bulk(count, streams):
    """MB/s of souk's connection to itself, over that many streams, and the
    CPU of both ends, s/GB."""
    with bulk.listening() as other:
        each = count // streams
        before = cpu_s(other["pid"])
        told = bulk.dial(other["listen"], each, each, streams, streams)
        cpu = told["cpu_seconds"] + cpu_s(other["pid"]) - before
    moved = 2 * each * streams
    return moved / 1e6 / told["seconds"], cpu / (moved / 1e9)


def their_bulk(kind, count, streams):
    with Stranger(kind.name) as one, Stranger(kind.name) as other:
        one.do("dial", address=other.address)
        each = count // streams
        before = cpu_of(one, other)
        told = one.do("streams", 600, peer=other.id, count=streams,
                      concurrent=streams, bytes=each)
        cpu = cpu_of(one, other) - before
        assert told["good"] == streams, told
    moved = 2 * each * streams
    return moved / 1e6 / told["seconds"], cpu / (moved / 1e9)


def beside(figures, group, kind, runs, names, how):
    """A row of theirs, one of souk's and their ratio, for each figure of what
    runs() has given by turns: the medians."""
    for i, (what, unit) in enumerate(names):
        ours = percentile([mine[i] for mine, _ in runs], 0.5)
        theirs = percentile([their[i] for _, their in runs], 0.5)
        figures.add(group, f"{what}, {kind.library}", unit, theirs, how)
        figures.add(group, f"{what}, souk, by turns with it", unit, ours, how)
        figures.add(group, f"{what}, souk / {kind.library}", "ratio",
                    ours / theirs, "the two above")


def throughput(figures, size):
    how = "both ways, SHA-256 of it all at both ends, over loopback TCP"
    for streams in (1, EIGHT):
        count = size["stranger_megabytes"] * 1_000_000
        name = "one stream" if streams == 1 else f"{streams} streams"
        for kind in KINDS.values():
            # By turns, so that both meet the same machine.
            runs = [(souk_bulk(count // kind.slower, streams),
                     their_bulk(kind, count // kind.slower, streams))
                    for _ in range(size["turns"])]
            beside(figures, "bulk", kind, runs,
                   [(name, "MB/s"), (f"{name}, CPU of both ends", "s/GB")],
                   how)


def souk_handshakes(count):
    """A second, and CPU of both ends for each, of souk's connection."""
    with bulk.listening() as other:
        before = cpu_s(other["pid"])
        told = bulk.call("handshakes", other["listen"], count)
        cpu = told["cpu_seconds"] + cpu_s(other["pid"]) - before
    return count / told["seconds"], cpu / count * 1e6


def their_handshakes(kind, count):
    with Stranger(kind.name, bare=True) as one, \
            Stranger(kind.name, bare=True) as other:
        # What is compiled when it is first needed is so by then.
        one.do("dials", address=other.address, count=max(1, count // 10))
        before = cpu_of(one, other)
        took = one.do("dials", 600, address=other.address, count=count)
        cpu = cpu_of(one, other) - before
    return count / took["seconds"], cpu / count * 1e6


def handshakes(figures, size):
    """TCP, Noise, Yamux and the end of it, nothing else: no identify."""
    how = ("one by one, dialled and closed by the same end, nothing on them; "
           "two processes, by turns")
    for kind in KINDS.values():
        if kind.name == "py":
            continue  # its identify is a part of every connection
        runs = [(souk_handshakes(size["dials"]),
                 their_handshakes(kind, size["dials"]))
                for _ in range(size["turns"])]
        beside(figures, "dials", kind, runs,
               [("handshakes", "1/s"), ("CPU of a handshake, both ends",
                                        "µs")], how)


def all_dial_all(peers):
    """js lets five a second of a host in and resets the others."""
    for i, peer in enumerate(peers):
        for other in peers[:i]:
            wait_until(lambda: peer.ask("dial", address=other.address)["ok"],
                       "a connection", 20)


@contextlib.contextmanager
def ten(kind, count):
    """As many of it, all in each other's table and mesh."""
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Stranger(kind.name))
                 for _ in range(count)]
        all_dial_all(peers)
        for peer in peers:
            wait_until(lambda: peer.table() >= count - 1, "all in the table",
                       60)
            wait_until(lambda: len(peer.mesh()) >= min(3, count - 1), "a mesh",
                       60)
        yield peers


def timed(call):
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def spread_by_them(peers, n, i):
    def spread():
        peers[n].publish(b"%d of the bench" % i)
        for k, peer in enumerate(peers):
            if k != n:
                peer.messages.get(timeout=20)
    return timed(spread)


def among_ten(figures, size):
    """Whole nodes: of souk what its REST says, of the others what theirs do."""
    count = size["nodes"]
    value = dht.signed_record("bench/record")
    with souks(count) as mine:
        for kind in KINDS.values():
            if {"kad", "gossip"} <= kind.can:
                with ten(kind, count) as theirs:
                    beside_ten(figures, kind, mine, theirs, value, size)


def beside_ten(figures, kind, mine, theirs, value, size):
    """By turns, and neither begins before the other is done."""
    count = len(mine)
    local, quorum, puts, gets, spreads = [], [], [], [], []

    def all_rest():
        rest([*mine.net, *theirs], share=0.02)

    for i in range(size["stranger_puts"]):
        n, far = i % count, (i + count // 2) % count
        name = f"n{n}/{kind.name.replace('.', '-')}-{i}"
        all_rest()
        local.append(mine.put(n, f"{name}-local", "local"))
        all_rest()
        quorum.append(mine.put(n, f"{name}-put", "quorum"))
        all_rest()
        puts.append(timed(lambda: theirs[n].put(f"/souk/{name}", value)))
        # What is asked for the first time of a namespace pins its owner, too.
        mine.get(far, f"{name}-local")
        all_rest()
        gets.append((mine.get(far, f"{name}-put"),
                     timed(lambda: theirs[far].get(f"/souk/{name}"))))
        all_rest()
        ours = mine.announce(n, f"{name}-news")[0]
        all_rest()
        spreads.append((ours, spread_by_them(theirs, n, i)))
    group, asked = f"{count} of one kind", f"{kind.library}'s over its stdin"
    of_puts = (percentile(quorum, 0.5) - percentile(local, 0.5),
               percentile(puts, 0.5))
    for what, runs, how in (
            ("put p50", [of_puts],
             "souk's over HTTP, wait=quorum beyond wait=local"),
            ("get p50", gets, "souk's over HTTP, no-cache"),
            ("gossip to the last p50", spreads,
             "souk's from the 201 until the last one's catalogue has it")):
        beside(figures, group, kind, [((ours,), (their,))
                                      for ours, their in runs],
               [(what, "ms")], f"{how}; {asked}")


@contextlib.contextmanager
def gossip_mesh(name, count):
    """As many of it, each connected to all: counting, saying nothing."""
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Stranger(name, quiet=True))
                 for _ in range(count)]
        all_dial_all(peers)
        for peer in peers:
            wait_until(lambda: len(peer.mesh()) >= min(4, count - 1), "a mesh",
                       60)
        yield peers


class Spread:
    """Messages of one, until the last of the others has had them all."""

    def __init__(self, peers):
        self.peers, self.turn = peers, 0
        self.had, self.first = [0] * len(peers), 0

    def seconds(self, count):
        one, self.turn = self.turn, (self.turn + 1) % len(self.peers)
        waiting = []
        for i, peer in enumerate(self.peers):
            if i != one:
                self.had[i] += count
                waiting.append(peer.begin("heard", count=self.had[i]))
        begun = time.perf_counter()
        sent = self.peers[one].begin("burst", topic=TOPIC, first=self.first,
                                     count=count)
        for answer in [sent, *waiting]:
            got = answer.get(timeout=120)
            assert got["ok"], got
        self.first += count
        return time.perf_counter() - begun

    def cpu(self):
        return cpu_of(*self.peers)


def gossip_of(spread, size):
    """ms to the last of the others, and of a burst deliveries a second and
    CPU of one, all nodes together."""
    others, count = len(spread.peers) - 1, size["burst_messages"]
    single = [spread.seconds(1) * 1000 for _ in range(size["stranger_puts"])]
    before = spread.cpu()
    took = [spread.seconds(count) for _ in range(size["bursts"])]
    cpu = (spread.cpu() - before) / (count * others * size["bursts"])
    return (percentile(single, 0.5), count * others / percentile(took, 0.5),
            cpu * 1e6)


def gossip_alone(figures, size):
    """Signed messages of 60 bytes, verified by all, and nothing else."""
    count, group = size["nodes"], f"gossip alone among {size['nodes']}"
    names = (("to the last, p50", "ms"), ("burst, deliveries", "1/s"),
             ("burst, CPU of a delivery", "µs"))
    how = (f"all dial all, one process each, by turns; a burst is "
           f"{size['burst_messages']} messages of one node; asked over stdin")
    for kind in KINDS.values():
        # py drops what is more than ten messages a second of one peer.
        if "gossip" not in kind.can or kind.name == "py":
            continue
        with gossip_mesh("souk", count) as mine, \
                gossip_mesh(kind.name, count) as others:
            ours, theirs = Spread(mine), Spread(others)
            runs = [(gossip_of(ours, size), gossip_of(theirs, size))
                    for _ in range(size["turns"])]
        beside(figures, group, kind, runs, names, how)


def strangers(figures, size):
    throughput(figures, size)
    handshakes(figures, size)
    gossip_alone(figures, size)
    among_ten(figures, size)
