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


FIELDS = ("core_stands", "is_standing", "calloc_refused", "refused")
AT_ONCE, AT_THE_END = 1, 2


class Faults:
    def __init__(self, folder, name="faults"):
        library, self.path = folder / f"{name}.so", folder / name
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1",
                        "-o", library, SOURCE, "-ldl"], check=True)
        self.path.write_bytes(bytes(4 * len(FIELDS)))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4 * len(FIELDS))
        self.env = {"LD_PRELOAD": str(library), "FAULTS_FILE": str(self.path)}

    def _set(self, field, value):
        struct.pack_into("=I", self.map, 4 * FIELDS.index(field), value)

    def _get(self, field):
        return struct.unpack_from("=I", self.map, 4 * FIELDS.index(field))[0]

    @property
    def refused(self):
        return self._get("refused")

    @property
    def is_standing(self):
        return self._get("is_standing")

    @contextlib.contextmanager
    def core_stands(self, when=AT_ONCE):
        self._set("core_stands", when)
        try:
            yield
        finally:
            self._set("core_stands", 0)

    @contextlib.contextmanager
    def no_memory(self, of=1):
        """Zeroed allocations of that size and more fail, but the core's."""
        self._set("calloc_refused", of)
        try:
            yield
        finally:
            self._set("calloc_refused", 0)
