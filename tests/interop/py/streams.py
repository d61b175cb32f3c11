# SPDX-License-Identifier: Apache-2.0
"""Streams the driver moves by hand, by their number."""
import trio

from libp2p.network.stream.exceptions import StreamEOF


class Streams:
    def __init__(self):
        self.all = []

    def add(self, stream):
        self.all.append(stream)
        return len(self.all)

    def find(self, number):
        return self.all[number - 1]

    async def write(self, number, data, times, seconds):
        """Ends early when the other side takes no more."""
        stream, written = self.find(number), 0
        with trio.move_on_after(seconds):
            for _ in range(times):
                await stream.write(data)
                written += 1
        return {"written": written, "stalled": written < times}

    async def read(self, number, most, seconds):
        """What came, and why no more came."""
        stream, got = self.find(number), b""
        with trio.move_on_after(seconds):
            while len(got) < most:
                try:
                    part = await stream.read(most - len(got))
                except StreamEOF:
                    return got, "eof"
                except Exception:
                    return got, "reset"
                if part == b"":
                    return got, "eof"
                got += part
            return got, "open"
        return got, "late"
