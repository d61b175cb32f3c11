# SPDX-License-Identifier: Apache-2.0
"""deploy/quickstart, really run in this clone, and what it says to users who
cannot install packages."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid

from support.souk import ROOT, Client, figure, run, wait_until

RECORDS = 200
# The first run in a clone compiles all of the release.
BUILD_LIMIT = 900


def processes_with(mark):
    """Ids of the processes that inherited this from whom we started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass  # ended meanwhile, or not ours to read
    return found


class Quickstart:
    """The running script; whatever happens, nothing of it stays behind."""

    def __enter__(self):
        self.mark = f"QUICKSTART_TEST={uuid.uuid4()}"
        self.tmp = tempfile.TemporaryDirectory(prefix="souk-quickstart-test-")
        name, value = self.mark.split("=")
        self.lines = []
        self.process = subprocess.Popen(
            [ROOT / "deploy/quickstart"], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, name: value, "TMPDIR": self.tmp.name,
                 "QUICKSTART_RECORDS": str(RECORDS)})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def output(self):
        return "\n".join(self.lines[-60:])

    def wait_line(self, start, within):
        """The first line that starts so."""
        def find():
            found = [i for i, line in enumerate(self.lines)
                     if line.startswith(start)]
            if not found:
                assert self.process.poll() is None, self.output()
            return [self.lines[found[0]]] if found else None
        return wait_until(find, lambda: f"{start!r} in {self.output()}",
                          within)[0]

    def terminate(self):
        """SIGTERM to the script alone; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.reader.join(10)
        return status

    def assert_nothing_left(self):
        wait_until(lambda: not processes_with(self.mark),
                   lambda: [pathlib.Path(f"/proc/{pid}/cmdline").read_text()
                            for pid in processes_with(self.mark)], 10)
        assert os.listdir(self.tmp.name) == [], os.listdir(self.tmp.name)

    def __exit__(self, *_):
        for pid in processes_with(self.mark):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.tmp.cleanup()


def serves_a_network_and_leaves_nothing_behind():
    with Quickstart() as quickstart:
        quickstart.wait_line("The gateway:", BUILD_LIMIT)
        url = quickstart.wait_line("http://", 5)
        assert quickstart.lines[-1] == url, quickstart.output()
        text = "\n".join(quickstart.lines)
        # What it promised to show.
        assert f"{RECORDS} published" in text, text
        assert '"id":"quickstart/hello-souk"' in text, text
        gateway = Client(url)
        gateway.get("/readyz").expect(200)
        assert gateway.get("/api/v1/search?q=hello+souk").expect(
            200).json["results"][0]["id"] == "quickstart/hello-souk"
        gateway.get("/api/v1/packages/quickstart/hello-souk").expect(200)
        # A record that was imported on another node.
        names = [r["id"] for r in gateway.get(
            "/api/v1/search?q=the&limit=5").expect(200).json["results"]]
        assert any(name.startswith("debian/") for name in names), names
        gateway.close()
        assert quickstart.terminate() == 0, quickstart.output()
        assert quickstart.lines[-1] == url, quickstart.output()
        quickstart.assert_nothing_left()
        figure(next(line for line in quickstart.lines
                    if line.startswith(f"{RECORDS} published")))


def ends_all_when_stopped_halfway():
    with Quickstart() as quickstart:
        quickstart.wait_line("node 2:", BUILD_LIMIT)
        assert quickstart.terminate() == 143, quickstart.output()
        quickstart.assert_nothing_left()


def says_so_and_ends_when_a_node_dies():
    with Quickstart() as quickstart:
        quickstart.wait_line("The gateway:", BUILD_LIMIT)
        quickstart.wait_line("http://", 5)
        nodes = [pid for pid in processes_with(quickstart.mark)
                 if b"\0serve\0" in
                 pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(nodes) == 3, nodes
        os.kill(nodes[1], signal.SIGKILL)
        assert quickstart.process.wait(60) == 1, quickstart.output()
        quickstart.reader.join(10)
        assert "a node has ended" in quickstart.output(), quickstart.output()
        quickstart.assert_nothing_left()


def names_the_missing_packages_without_root_and_sudo():
    with tempfile.TemporaryDirectory() as folder:
        # A place that the other user may read, a machine that has nothing.
        clone, tools = pathlib.Path(folder, "clone"), pathlib.Path(folder, "bin")
        tools.mkdir()
        (clone / "deploy").mkdir(parents=True)
        for name in ("packages", "quickstart"):
            shutil.copy(ROOT / "deploy" / name, clone / "deploy")
        for name in ("dpkg-query", "sudo", "apt-get"):
            (tools / name).write_text("#!/bin/sh\nexit 1\n")
            (tools / name).chmod(0o755)
        pathlib.Path(folder).chmod(0o755)
        as_nobody = [] if os.getuid() else [
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for command in (["deploy/packages", "install", "build"],
                        ["deploy/quickstart"]):
            done = subprocess.run(
                as_nobody + command, cwd=clone, text=True,
                stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                env={"PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin"})
            assert done.returncode == 1, done
            assert "only root can install them" in done.stderr, done.stderr
            wanted = subprocess.run(["deploy/packages", "build"], cwd=clone,
                                    text=True, check=True,
                                    capture_output=True).stdout.split()
            assert "libuv1-dev" in wanted
            for name in wanted:
                assert f" {name}" in done.stderr, (name, done.stderr)


if __name__ == "__main__":
    run([names_the_missing_packages_without_root_and_sudo,
         serves_a_network_and_leaves_nothing_behind,
         ends_all_when_stopped_halfway,
         says_so_and_ends_when_a_node_dies])
