# SPDX-License-Identifier: Apache-2.0
"""A node whose core can be made to stand still, and that can be denied
memory: faults.c, preloaded."""
import contextlib
import mmap
import os
import pathlib
import struct
import subprocess

SOURCE = pathlib.Path(__file__).with_name("faults.c")


class Faults:
    def __init__(self, folder, name="faults"):
        library, self.path = folder / f"{name}.so", folder / name
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1",
                        "-o", library, SOURCE, "-ldl"], check=True)
        self.path.write_bytes(bytes(12))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 12)
        self.env = {"LD_PRELOAD": str(library), "FAULTS_FILE": str(self.path)}

    def _set(self, at, value):
        self.map[at:at + 4] = struct.pack("=I", value)

    @property
    def refused(self):
        return struct.unpack("=I", self.map[8:12])[0]

    @contextlib.contextmanager
    def core_stands(self):
        self._set(0, 1)
        try:
            yield
        finally:
            self._set(0, 0)

    @contextlib.contextmanager
    def no_memory(self, of=1):
        """Zeroed allocations of that size and more fail, but the core's."""
        self._set(4, of)
        try:
            yield
        finally:
            self._set(4, 0)
