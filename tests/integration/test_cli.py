# SPDX-License-Identifier: Apache-2.0
"""The client commands against real nodes: what they print and how they exit.

A command line is an interface for people and for scripts: on a terminal it is
read, in a pipe it is cut at tabs, and its exit status is branched on.
"""
import fcntl
import http.server
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time

from support.souk import (BINARY, Network, Node, figure, free_port, record,
                          run, wait_until)

OK, FAILED, USAGE, NOT_FOUND, INCOMPLETE = range(5)
PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


class Ran:
    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    def expect(self, status=OK):
        assert self.status == status, (
            f"souk {' '.join(self.args)}: exit {self.status}, expected "
            f"{status}\n--- output\n{self.out}--- error output\n{self.err}")
        return self

    def says(self, *texts):
        """On the error output, as people are to find it."""
        for text in texts:
            assert text in self.err, f"no '{text}' in:\n{self.err}"
        return self

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def rows(self):
        return [line.split("\t") for line in self.out.splitlines()]


def clean_environment(home, **more):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("SOUK_") and k not in
           ("XDG_DATA_HOME", "NO_COLOR", "http_proxy", "all_proxy")}
    return {**env, "HOME": str(home), **more}


class Shell:
    """souk in an empty home, speaking to one node if there is one."""

    def __init__(self, home, node=None):
        self.home, self.node = pathlib.Path(home), node

    def argv(self, args):
        node = [] if self.node is None else [
            "--api", self.node.endpoints["http"],
            "--token-file", str(self.node.dir / "admin-token")]
        return [BINARY, *args, *node]

    def __call__(self, *args, stdin="", env=None, within=60):
        done = subprocess.run(
            self.argv(args), input=stdin, capture_output=True, text=True,
            timeout=within, cwd=self.home,
            env=clean_environment(self.home, **(env or {})))
        return Ran(args, done.returncode, done.stdout, done.stderr)

    def on_terminal(self, *args, columns=80, env=None):
        """Output and error output are the same terminal."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            self.argv(args), stdin=slave, stdout=slave, stderr=slave,
            cwd=self.home, env=clean_environment(self.home, TERM="xterm",
                                                 **(env or {})))
        os.close(slave)
        out = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            out += chunk
        os.close(master)
        return Ran(args, process.wait(60),
                   out.decode().replace("\r\n", "\n"), "")

    def write(self, name, content):
        path = self.home / name
        path.write_text(content if isinstance(content, str)
                        else json.dumps(content))
        return str(path)


def home():
    return tempfile.TemporaryDirectory(prefix="souk-cli-")


# ---- Without a node. ----

def help_lists_every_command_and_its_options():
    with home() as directory:
        souk = Shell(directory)
        text = souk("help").expect().out
        for command in ("serve", "config", "version", "publish", "import",
                        "search", "get", "versions", "yank", "unyank", "peers",
                        "peer", "connect", "disconnect", "ban", "status",
                        "limits", "healthcheck", "key new", "key show",
                        "key sign"):
            assert re.search(rf"^  {command} ", text, re.M), command
            words = command.split()
            usage = souk("help", words[0]).expect().out
            assert f"usage: souk {command}" in usage, usage
        assert "--jobs N" in souk("import", "--help").expect().out
        assert "--yank REASON" in souk("key", "sign", "--help").expect().out


def a_wrong_command_line_exits_2_and_says_why():
    with home() as directory:
        souk = Shell(directory)
        souk("fetch").expect(USAGE).says("no command 'fetch'")
        souk("get").expect(USAGE).says("usage: souk get NS/NAME[@VERSION]")
        souk("get", "--tag", "x", "a/b").expect(USAGE).says("no option --tag")
        souk("get", "nothing").expect(USAGE).says(
            "'nothing' is not NS/NAME or NS/NAME@VERSION")
        souk("get", "a/b@latest").expect(USAGE).says("'latest' is no version")
        souk("versions", "a/b@1.0.0").expect(USAGE).says("is not NS/NAME")
        souk("yank", "a/b", "why").expect(USAGE).says(
            "is not NS/NAME@VERSION")
        souk("peer", "bob").expect(USAGE).says("'bob' is no peer id")
        souk("status", "--api", "localhost:8800").expect(USAGE).says(
            "is no node's address")
        souk("status", "--token-file", "/nowhere").expect(USAGE).says(
            "No such file")
        souk("healthcheck", "pulse").expect(USAGE).says("no probe 'pulse'")
        souk("key").expect(USAGE)


def a_node_that_is_not_there_is_told_from_one_that_refuses():
    with home() as directory:
        souk, port = Shell(directory), free_port()
        souk("status", env={"SOUK_API": f"http://127.0.0.1:{port}"}).expect(
            FAILED).says(f"no answer from http://127.0.0.1:{port}",
                         "is the node running")
        souk("healthcheck", "--api", f"unix:{directory}/none").expect(
            FAILED).says("no answer from unix:")


class Stranger(http.server.BaseHTTPRequestHandler):
    """Speaks HTTP and is no souk node."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"<html>hello</html>"
        self.send_response(200 if "api" in self.path else 502)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def something_else_that_speaks_http_is_not_believed():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    api = f"http://127.0.0.1:{server.server_port}"
    with home() as directory:
        souk = Shell(directory)
        souk("get", "a/b", "--api", api).expect(FAILED).says(
            "is it a souk node?")
        souk("healthcheck", "--api", api).expect(FAILED).says(
            "502 and not as a souk node does")
    server.shutdown()


# ---- One node. ----

def a_package_is_published_found_got_yanked_and_brought_back():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        path = souk.write("lib.json", record("org/lib", "1.0.0",
                                             title="A fine library",
                                             tags=["rust"]))
        assert souk("publish", path).expect().out == \
            "published org/lib@1.0.0\n"
        assert souk("publish", path).expect().out == \
            "was there already: org/lib@1.0.0\n"
        souk("publish", "-",
             stdin=json.dumps(record("org/lib", "1.1.0-rc.1"))).expect()

        answer = souk("publish", path, "--json").expect().json
        assert answer["stored"]["local"] is True
        got = souk("get", "org/lib").expect()
        assert got.json["version"]["major"] == 1 and got.out.count("\n") == 1
        assert souk("get", "ORG/Lib@1.1.0-rc.1", "--json").expect().json[
            "version"]["pre_release"] == "rc.1"

        found = souk("search", "fine", "library", "--tag", "rust").expect()
        assert [r[:3] + r[4:] for r in found.rows] == \
            [["org/lib", "1.0.0", "A fine library", "local"]], found.out
        found.says("1 of 1 packages, complete")
        assert souk("search", "fine", "-library").expect().out == ""
        assert souk("search", "--json").expect().json["results"][0]["id"] == \
            "org/lib"
        facets = souk("search", "--facets", "--scope", "local").expect()
        facets.says("of this node only")
        assert ["tag", "rust 1"] in facets.rows, facets.out

        assert [r[:2] for r in souk("versions", "org/lib").expect().rows] == \
            [["1.0.0", "-"], ["1.1.0-rc.1", "-"]]
        assert souk("yank", "org/lib@1.0.0", "it is broken",
                    "--use-instead", "1.1.0-rc.1").expect().out == \
            "yanked org/lib@1.0.0\n"
        assert souk("versions", "org/lib").expect().rows[0][1] == "yanked"
        yanked = souk("get", "org/lib@1.0.0").expect().json["souk"]["yanked"]
        assert yanked == {"reason": "it is broken",
                          "use_instead": "1.1.0-rc.1"}, yanked
        assert souk("get", "org/lib").expect().json["version"]["minor"] == 1
        souk("yank", "org/lib@1.1.0-rc.1", "this too").expect()
        souk("get", "org/lib").expect(NOT_FOUND).says(
            "all-yanked, 404", "souk versions NS/NAME")
        assert souk("unyank", "org/lib@1.0.0").expect().out == \
            "no longer yanked: org/lib@1.0.0\n"
        assert souk("get", "org/lib").expect().json["version"]["minor"] == 0
        souk("yank", "org/lib@9.0.0", "why").expect(NOT_FOUND)


def what_the_node_refuses_is_told_with_its_code_and_what_to_do():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        bad = souk.write("bad.json", {"id": "org/lib", "version": "1.0",
                                      "metadata": {"title": 7}})
        souk("publish", bad).expect(FAILED).says(
            "the record does not have the required form — schema, 422",
            "#/version: ", "#/metadata/title: ", "→ mend the members")
        problem = json.loads(souk("publish", bad, "--json").expect(FAILED).err)
        assert problem["code"] == "schema" and problem["errors"]

        souk("publish", souk.write("no.json", "{nonsense")).expect(
            FAILED).says("not-json, 400")
        souk("publish", "missing.json").expect(FAILED).says(
            "missing.json: No such file")
        souk("publish", souk.write("big.json", '"' + "x" * (3 << 20) + '"')
             ).expect(FAILED).says("larger than")
        souk("publish", souk.write("one.json", record("org/lib"))).expect()
        souk("publish", souk.write(
            "other.json", record("org/lib", description="other"))).expect(
            FAILED).says("version-exists, 409", "publish it under a new one")
        souk("get", "org/none").expect(NOT_FOUND).says("not-found, 404")
        souk("search", "--timeout", "5m").expect(FAILED).says(
            "inval, 422", "#/query/timeout")

        bare = Shell(directory)
        api = ("--api", node.endpoints["http"])
        bare("publish", bad, *api).expect(FAILED).says(
            "unauthorized, 401", "--token-file DIR/admin-token")
        bare("publish", bad, *api, env={"SOUK_TOKEN": "wrong"}).expect(
            FAILED).says("unauthorized, 401")
        bare("publish", str(pathlib.Path(directory) / "one.json"), *api,
             env={"SOUK_TOKEN": node.token}).expect()
        # The token of a node in the default place is found by itself.
        where = pathlib.Path(directory) / "share" / "souk"
        where.mkdir(parents=True)
        (where / "admin-token").write_text(node.token + "\n")
        bare("publish", str(pathlib.Path(directory) / "one.json"), *api,
             env={"XDG_DATA_HOME": str(where.parent)}).expect()


def a_terminal_gets_a_table_and_colours_a_pipe_gets_tabs():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        title = "Title \x1b[31mred\x1b]0;owned\x07 \u202e" + "long " * 20
        node.publish("org/lib", title=title)
        table = souk.on_terminal("search", columns=60).expect().out
        lines = table.splitlines()
        assert lines[0].startswith("\x1b[1mPACKAGE\x1b[0m"), table
        assert "\x1b[31mred" not in table and "\x07" not in table, table
        assert "\u202e" not in table and "…" in lines[1], table
        bare = re.sub(r"\x1b\[\d*m", "", lines[1])
        assert len(bare) <= 60, (len(bare), bare)
        assert "complete" in lines[2], table

        plain = souk.on_terminal("search", env={"NO_COLOR": "1"}).expect().out
        assert "\x1b" not in plain and plain.startswith("PACKAGE"), plain
        piped = souk("search").expect()
        assert piped.rows[0][0] == "org/lib" and "\x1b" not in piped.out

        pretty = souk.on_terminal("get", "org/lib").expect().out
        assert '\n  "content_id": {\n' in pretty, pretty
        assert "\u202e" not in pretty and "\\u202e" in pretty, pretty
        assert "trust: pinned" in pretty, pretty
        assert json.loads(pretty.split("trust:")[0])["metadata"]["title"] == \
            title


def the_node_tells_of_itself():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        fields = dict(r for r in souk("status").expect().rows)
        assert fields["id"] == node.id and fields["ready"] == "yes", fields
        assert fields["network"] == "souk, standalone", fields
        assert souk("status", "--json").expect().json["id"] == node.id
        limits = {r[0]: r[1:] for r in souk("limits").expect().rows}
        assert int(limits["http_connections"][1]) > 0, limits
        assert souk("limits", "--json").expect().json["limits"]

        assert souk("healthcheck").expect().out == "pass\n"
        assert souk("healthcheck", "livez", "--json").expect().json[
            "status"] == "pass"

    with home() as directory, Node() as lonely:  # no peer: not ready
        souk = Shell(directory, lonely)
        ran = souk("healthcheck").expect(FAILED)
        assert ran.out.startswith("fail network: "), ran.out
        souk("healthcheck", "livez").expect()
        assert dict(r for r in souk("status").expect().rows)[
            "ready"].startswith("no (network: "), "ready"


def a_unix_socket_is_an_address_too():
    with home() as directory:
        socket = f"{directory}/admin.sock"
        with Node(args=["--standalone", "--admin", f"unix:{socket}"]) as node:
            souk = Shell(directory)
            assert souk("status", "--json", "--api", f"unix:{socket}"
                        ).expect().json["id"] == node.id
            path = souk.write("lib.json", record("org/lib"))
            souk("publish", path, env={"SOUK_API": f"unix:{socket}",
                                       "SOUK_TOKEN": node.token}).expect()


def long_lists_are_fetched_page_by_page():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        for i in range(130):
            node.publish("org/lib", f"1.{i}.0")
        rows = souk("versions", "org/lib").expect().rows
        assert [r[0] for r in rows] == [f"1.{i}.0" for i in range(130)]
        answer = souk("versions", "org/lib", "--json").expect().json
        assert len(answer["versions"]) == 130
        assert answer["next_cursor"] is None
        first = souk("versions", "org/lib", "--limit", "105",
                     "--json").expect().json
        assert len(first["versions"]) == 105 and first["next_cursor"]
        rest = souk("versions", "org/lib", "--cursor",
                    first["next_cursor"]).expect().rows
        assert [r[0] for r in rest] == [f"1.{i}.0" for i in range(105, 130)]


# ---- Keys. ----

def a_record_signed_at_home_is_published_anywhere():
    with home() as directory, Node(args=["--standalone"]) as node:
        bare, souk = Shell(directory), Shell(directory, node)
        made = bare("key", "new", "me.key", "--json").expect().json
        assert pathlib.Path(directory, "me.key").stat().st_mode & 0o777 == \
            0o600
        assert len(pathlib.Path(directory, "me.key").read_bytes()) == 68
        bare("key", "new", "me.key").expect(FAILED).says(
            "a key is never overwritten")
        shown = dict(bare("key", "show", "me.key").expect().rows)
        assert shown["id"] == made["id"] != node.id
        assert shown["namespace"] == made["namespace"]
        assert made["namespace"].startswith("~k51")

        own = record(f"{made['namespace']}/lib", "1.0.0")
        signed = bare("key", "sign", souk.write("r.json", own), "--key",
                      "me.key").expect()
        sealed = signed.json["souk"]
        assert sealed["publisher"] == made["id"] and "yanked" not in sealed
        souk("publish", souk.write("signed.json", signed.out)).expect()
        answer = node.get(f"/api/v1/packages/{made['namespace']}/lib")
        assert answer.expect(200).headers["Souk-Trust"] == "self-certified"

        # What the node cannot yank, its owner signs.
        word = f"{made['namespace']}/lib@1.0.0"
        souk("yank", word, "broken").expect(FAILED).says(
            "not-our-key, 409", "souk key sign")
        got = souk.write("got.json", souk("get", word).expect().out)
        yank = bare("key", "sign", got, "--key", "me.key", "--yank", "broken",
                    "--use-instead", "2.0.0").expect()
        assert yank.json["souk"]["sequence"] > sealed["sequence"]
        souk("publish", souk.write("yank.json", yank.out)).expect()
        assert souk("get", word).expect().json["souk"]["yanked"] == \
            {"reason": "broken", "use_instead": "2.0.0"}

        # A signature spoilt on the way.
        spoilt = json.loads(signed.out)
        spoilt["metadata"]["title"] = "Other"
        souk("publish", souk.write("spoilt.json", spoilt)).expect(
            FAILED).says("bad-signature, 422", "souk key sign")


def signing_tells_what_is_wrong_before_any_node_does():
    with home() as directory:
        souk = Shell(directory)
        souk("key", "sign", souk.write("r.json", record("org/lib"))).expect(
            FAILED).says("identity.key", "souk key new")
        # The default place is made when it is missing.
        shown = souk("key", "new").expect().rows
        assert dict(shown)["file"] == \
            f"{directory}/.local/share/souk/identity.key"
        assert souk("key", "show").expect().rows == shown
        souk("key", "sign", "r.json").expect()
        souk("key", "sign", souk.write(
            "bad.json", {"id": "org/lib", "version": "one"})).expect(
            FAILED).says("does not have the required form", "#/version: ")
        other = souk("key", "new", "other.key", "--json").expect().json
        souk("key", "sign", souk.write(
            "o.json", record(f"{other['namespace']}/lib"))).expect(
            FAILED).says("belongs to another key")
        souk("key", "sign", "r.json", "--use-instead", "1.0.0").expect(
            USAGE).says("--yank only")
        souk("key", "show", souk.write("text.key", "not a key")).expect(
            FAILED).says("no Ed25519 private key")
        # The input may be a pipe.
        signed = souk("key", "sign", "-", stdin=json.dumps(
            record("org/lib"))).expect().json
        assert signed["souk"]["publisher"] == dict(shown)["id"]


# ---- Import. ----

def lines_of(count, namespace="bulk"):
    return [json.dumps(record(f"{namespace}/p{i}", description="x" * 300))
            for i in range(count)]


def an_import_reports_what_was_refused_and_why():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        lines = lines_of(50)
        lines[10] = json.dumps({"id": "bulk/bad", "version": "1"})
        lines[20] = "{nonsense"
        lines[30] = json.dumps({"id": "bulk/worse", "version": "x"})
        lines.insert(40, "")
        path = souk.write("records.ndjson", "\n".join(lines))
        ran = souk("import", path, "--report", "refused.ndjson",
                   "--jobs", "7").expect(FAILED)
        assert ran.out.startswith("47 published, 0 there already, 3 refused; "
                                  "51 lines in "), ran.out
        ran.says("2 refused: the record does not have the required form",
                 "line 11: bulk/bad: #/version ", "line 31: bulk/worse: ",
                 "1 refused: the body is not JSON — not-json", "line 21: ",
                 "→ mend the members")
        report = [json.loads(line) for line in
                  pathlib.Path(directory, "refused.ndjson").open()]
        assert [(r["line"], r["status"], r["code"]) for r in report] == \
            [(11, 422, "schema"), (21, 400, "not-json"), (31, 422, "schema")]
        assert report[0]["id"] == "bulk/bad" and report[0]["errors"]
        assert not pathlib.Path(path + ".souk-import").exists()

        again = souk("import", path).expect(FAILED)
        assert again.out.startswith("0 published, 47 there already, 3 "
                                    "refused; "), again.out
        good = souk.write("good.ndjson", "\n".join(lines_of(3, "more")))
        summary = souk("import", good, "--json").expect().json
        assert (summary["created"], summary["done"]) == (3, True), summary
        piped = souk("import", "-", stdin="\n".join(lines_of(3, "more")))
        assert piped.expect().out.startswith("0 published, 3 there already"), \
            piped.out
        assert node.status()["counts"]["packages"] == 50


def an_import_nobody_lets_in_stops_at_once():
    with home() as directory, Node(args=["--standalone"]) as node:
        bare = Shell(directory)
        path = bare.write("records.ndjson", "\n".join(lines_of(500)))
        api = ("--api", node.endpoints["http"])
        bare("import", path, *api).expect(FAILED).says(
            "unauthorized, 401", "stopped behind line 0",
            "--token-file DIR/admin-token")
        bare("import", path, "--api", f"http://127.0.0.1:{free_port()}"
             ).expect(FAILED).says("no answer from")
        bare("import", "missing.ndjson", *api).expect(FAILED).says(
            "No such file")
        bare("import", directory, *api).expect(FAILED).says("it is no file")
        bare("import", path, *api, "--state", "/nowhere/state").expect(
            FAILED).says("--state FILE")
        assert node.status()["counts"]["packages"] == 0


def a_killed_import_goes_on_where_it_was():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        lines = lines_of(6000)
        lines[5] = "{nonsense"
        path = souk.write("records.ndjson", "\n".join(lines) + "\n")
        state = pathlib.Path(path + ".souk-import")
        process = subprocess.Popen(
            souk.argv(["import", path, "--jobs", "4", "--report", "r.ndjson"]),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=directory,
            env=clean_environment(directory))

        def far_enough():
            assert process.poll() is None, "it was too fast to be killed"
            return state.exists() and \
                json.loads(state.read_text())["line"] > 200

        wait_until(far_enough, "200 lines settled", 60)
        process.kill()
        process.communicate()
        kept = json.loads(state.read_text())
        assert kept["line"] < 6000, kept
        assert node.status()["counts"]["packages"] >= kept["created"]

        ran = souk("import", path, "--report", "r.ndjson",
                   within=120).expect(FAILED)  # for the line of before
        ran.says(f"going on behind line {kept['line']}",
                 "1 refused: the body is not JSON", "line 6: ")
        new, known, refused, sent = map(int, re.match(
            r"(\d+) published, (\d+) there already, (\d+) refused; (\d+) lines",
            ran.out).groups())
        assert sent == 6000 - kept["line"], (sent, kept)
        assert (new + known, refused) == (5999, 1), ran.out
        report = pathlib.Path(directory, "r.ndjson").read_text().splitlines()
        assert [json.loads(line)["line"] for line in report] == [6]
        assert node.status()["counts"]["packages"] == 5999
        assert not state.exists()
        figure(f"import killed behind line {kept['line']} of 6000, {known} "
               "lines were sent twice")


def a_state_of_another_file_or_node_is_not_gone_on_from():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        path = souk.write("records.ndjson", "\n".join(lines_of(20)))
        stale = {"format": "souk-import-1", "node": PEER, "head": "0" * 64,
                 "head_len": 10, "offset": 100, "line": 7, "created": 7,
                 "known": 0, "report_bytes": 0, "refused": []}
        for text in (json.dumps(stale), "{", ""):
            souk.write("records.ndjson.souk-import", text)
            ran = souk("import", path).expect().says("from the first line")
            assert "; 20 lines in" in ran.out, ran.out


def an_interrupted_import_stops_cleanly_and_goes_on():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        path = souk.write("records.ndjson", "\n".join(lines_of(6000)))
        process = subprocess.Popen(
            souk.argv(["import", path, "--jobs", "2"]), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=directory,
            env=clean_environment(directory))
        wait_until(lambda: node.status()["counts"]["packages"] > 50, "50 there")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == FAILED, (out, err)
        line = int(re.search(r"stopped behind line (\d+)", err)[1])
        published = int(re.match(r"(\d+) published", out)[1])
        assert line == published == node.status()["counts"]["packages"], \
            (out, err)
        souk("import", path).expect().says(f"going on behind line {line}")
        assert node.status()["counts"]["packages"] == 6000


class Busy(http.server.BaseHTTPRequestHandler):
    """A node that is now and then too busy, and sometimes hangs up."""
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    seen, taken, early, asked_at = 0, [], 0, None

    def do_GET(self):
        self.answer(200, {"id": PEER}, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with Busy.lock:
            Busy.seen += 1
            seen, now = Busy.seen, time.monotonic()
            if seen == 20:
                Busy.asked_at = now
            elif Busy.asked_at and now - Busy.asked_at < 0.9 and seen > 60:
                Busy.early += 1
        if seen == 20:
            self.answer(429, {"code": "rate-limited", "title": "slow down"},
                        {"Retry-After": "1"})
        elif seen == 100:
            self.answer(503, {"code": "busy", "title": "busy"}, {})
        elif seen == 150:
            self.close_connection = True
            self.connection.close()
        else:
            with Busy.lock:
                Busy.taken.append(json.loads(body)["id"])
            self.answer(201, {}, {})

    def answer(self, status, body, headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/problem+json"
                         if status > 399 else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def a_busy_node_is_waited_for_as_it_asks():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with home() as directory:
        souk = Shell(directory)
        path = souk.write("records.ndjson", "\n".join(lines_of(300)))
        start = time.monotonic()
        ran = souk("import", path, "--jobs", "16", "--api",
                   f"http://127.0.0.1:{server.server_port}").expect()
        assert ran.out.startswith("300 published, 0 there already, 0 refused")
        assert time.monotonic() - start >= 0.9, "Retry-After was not waited for"
        assert sorted(Busy.taken) == sorted(f"bulk/p{i}" for i in range(300))
        assert Busy.early == 0, f"{Busy.early} came before Retry-After"
    server.shutdown()


def a_terminal_sees_a_bar_while_importing():
    with home() as directory, Node(args=["--standalone"]) as node:
        souk = Shell(directory, node)
        path = souk.write("records.ndjson", "\n".join(lines_of(3000)))
        out = souk.on_terminal("import", path, "--jobs", "2").expect().out
        assert re.search(r"\[━* *\] +\d+ %  \d+ lines, \d+/s", out), out[-500:]
        assert out.rstrip().splitlines()[-1].split("\x1b[K")[-1].startswith(
            "3000 published"), out[-500:]


# ---- A network. ----

def peers_are_listed_connected_judged_and_banned():
    with home() as directory, Network(3) as net:
        net.wait_connected()
        souk = Shell(directory, net[0])
        rows = souk("peers", "--sort", "id").expect().says("2 of 2 peers").rows
        assert [r[0] for r in rows] == sorted([net[1].id, net[2].id])
        assert all(r[1] == "connected" for r in rows), rows
        assert len(souk("peers", "--json").expect().json["peers"]) == 2
        shown = dict(r for r in souk("peer", net[1].id).expect().rows)
        assert shown["state"] == "connected" and float(shown["score"]) > 0
        both = souk("peer", net[1].id, "--json").expect().json
        assert both["reputation"]["terms"]["success"] >= 0
        souk("peer", PEER).expect(NOT_FOUND).says("not-found, 404")

        ran = souk("connect", net[1].address).expect()
        assert ran.out.startswith(("connected\n", "was connected already\n"))
        souk("connect", "nowhere").expect(FAILED).says("schema, 422",
                                                       "#/multiaddr")
        souk("connect", f"/ip4/127.0.0.1/tcp/{free_port()}/p2p/{PEER}",
             "--timeout", "5s").expect(FAILED).says("dial-failed, 502")
        assert souk("disconnect", net[1].id).expect().out == \
            f"disconnected {net[1].id}\n"
        assert souk("ban", net[2].id, "--for", "90m").expect().out == \
            f"banned {net[2].id} for 1h30m\n"
        banned = souk("peers", "--state", "banned").expect().rows
        assert [r[:2] for r in banned] == [[net[2].id, "banned"]], banned
        souk("connect", net[2].address).expect(FAILED).says("banned, 403")


def an_import_is_found_and_got_on_the_other_nodes():
    with home() as directory, Network(3) as net:
        net.wait_ready()
        first, last = Shell(directory, net[0]), Shell(directory, net[2])
        hello = first.write("hello.json", record(
            "quick/hello-souk", title="Hello, souk", tags=["greeting"]))
        ran = first("publish", hello, "--wait", "one").expect()
        assert re.fullmatch(r"published quick/hello-souk@1.0.0, at [12] of "
                            r"\d+ peers\n", ran.out), ran.out
        path = first.write("records.ndjson", "\n".join(lines_of(300)))
        first("import", path).expect()
        found = last("search", "hello").expect()
        assert found.rows[0][0] == "quick/hello-souk", found.out
        found.says("peers answered")
        wait_until(lambda: last("get", "bulk/p299").status == OK, "p299 there")


def what_nobody_knows_is_neither_there_nor_not():
    with home() as directory, Network(2) as net:
        net.wait_ready()
        net[1].process.send_signal(signal.SIGSTOP)
        try:
            souk = Shell(directory, net[0])
            souk("get", "org/never", "--timeout", "1s").expect(
                INCOMPLETE).says("lookup-incomplete, 504", "--timeout 20s")
            ran = souk("search", "never", "--timeout", "500ms").expect(
                INCOMPLETE)
            ran.says("incomplete: 0 of 1 peers answered")
            ran = souk("search", "never", "--timeout", "500ms", "--json",
                       "--fresh").expect(INCOMPLETE)
            assert ran.json["lookup"]["complete"] is False
        finally:
            net[1].process.send_signal(signal.SIGCONT)


run([
    help_lists_every_command_and_its_options,
    a_wrong_command_line_exits_2_and_says_why,
    a_node_that_is_not_there_is_told_from_one_that_refuses,
    something_else_that_speaks_http_is_not_believed,
    a_package_is_published_found_got_yanked_and_brought_back,
    what_the_node_refuses_is_told_with_its_code_and_what_to_do,
    a_terminal_gets_a_table_and_colours_a_pipe_gets_tabs,
    the_node_tells_of_itself,
    a_unix_socket_is_an_address_too,
    long_lists_are_fetched_page_by_page,
    a_record_signed_at_home_is_published_anywhere,
    signing_tells_what_is_wrong_before_any_node_does,
    an_import_reports_what_was_refused_and_why,
    an_import_nobody_lets_in_stops_at_once,
    a_killed_import_goes_on_where_it_was,
    a_state_of_another_file_or_node_is_not_gone_on_from,
    an_interrupted_import_stops_cleanly_and_goes_on,
    a_busy_node_is_waited_for_as_it_asks,
    a_terminal_sees_a_bar_while_importing,
    peers_are_listed_connected_judged_and_banned,
    an_import_is_found_and_got_on_the_other_nodes,
    what_nobody_knows_is_neither_there_nor_not,
])
