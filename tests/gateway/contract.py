# SPDX-License-Identifier: Apache-2.0
"""openapi.yaml as a judge: is an answer what the contract says, and was
everything the contract says seen?

Answers are judged by openapi-core, the document by openapi-spec-validator;
neither knows souk.
"""
import collections
import json
import threading

import openapi_core
import openapi_spec_validator
import yaml
from openapi_core.testing import MockRequest, MockResponse
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from support.souk import ROOT

METHODS = ("get", "put", "post", "delete", "head", "options", "patch", "trace")
PROBLEM = "application/problem+json"
BASE = "urn:souk:contract"
ANY = "any operation"
# Answers of paths or methods the contract does not know.
UNROUTED = {404: "not-found", 405: "method-not-allowed"}


class Contract:
    def __init__(self, path=ROOT / "openapi/openapi.yaml"):
        self.document = yaml.safe_load(path.read_text(encoding="utf-8"))
        openapi_spec_validator.validate(self.document)
        self.api = openapi_core.OpenAPI.from_dict(
            self.document, openapi_core.Config(
                spec_validator_cls=None,
                extra_media_type_deserializers={
                    PROBLEM: json.loads,
                    "application/health+json": json.loads}))
        self.registry = Registry().with_resource(
            BASE, Resource.from_contents(_absolute(self.document),
                                         default_specification=DRAFT202012))
        self.validators = {}
        self.templates = sorted(self.document["paths"], key=_order)
        self.operations = {
            (method.upper(), template): operation
            for template, item in self.document["paths"].items()
            for method, operation in item.items() if method in METHODS}
        self.lock = threading.Lock()
        self.seen, self.bad = set(), []
        self.kinds = collections.Counter()

    # -- The document. ----------------------------------------------------

    def resolve(self, node):
        while "$ref" in node:
            at = self.document
            for part in node["$ref"][2:].split("/"):
                at = at[part]
            node = at
        return node

    def check_value(self, schema, value):
        validator = self.validators.get(id(schema))
        if validator is None:
            validator = OAS31Validator(_absolute(schema),
                                       registry=self.registry,
                                       format_checker=oas31_format_checker)
            self.validators[id(schema)] = validator
        validator.validate(value)

    def examples(self):
        """Every example with the schema it should satisfy."""
        def walk(node, at):
            if isinstance(node, list):
                for i, item in enumerate(node):
                    yield from walk(item, f"{at}/{i}")
            if not isinstance(node, dict):
                return
            schema = node.get("schema")
            if schema is not None and "example" in node:
                yield at, schema, node["example"]
            if ("type" in node or "$ref" in node) and \
                    isinstance(node.get("examples"), list):
                for example in node["examples"]:
                    yield at, node, example
            if "default" in node and ("type" in node or "$ref" in node or
                                      "enum" in node):
                yield at, node, node["default"]
            for key, value in node.items():
                if key not in ("example", "examples", "default"):
                    yield from walk(value, f"{at}/{key}")
        return list(walk(self.document, "#"))

    def documented(self):
        """Every (operationId, status, code).  The code of a good answer or a
        HEAD is None; 503 has many reasons, of which any will do, but each must
        be seen somewhere."""
        found = set()
        for (method, _), operation in self.operations.items():
            for status, response in operation["responses"].items():
                codes = self._codes(self.resolve(response))
                if status == "503":
                    found |= {(ANY, 503, code) for code in codes}
                if status == "503" or method == "HEAD":
                    codes = [None]
                found |= {(operation["operationId"], int(status), code)
                          for code in codes}
        return found

    @staticmethod
    def _codes(response):
        schema = response.get("content", {}).get(PROBLEM, {}).get("schema")
        if schema is None:
            return [None]
        code = next(part["properties"]["code"] for part in schema["allOf"]
                    if "properties" in part)
        return code.get("enum") or [code["const"]]

    # -- Answers. ---------------------------------------------------------

    def template(self, path):
        parts = path.split("/")
        for template in self.templates:
            wanted = template.split("/")
            if len(wanted) == len(parts) and all(
                    w == p or w.startswith("{") and p
                    for w, p in zip(wanted, parts)):
                return template
        return None

    def watch(self, response):
        """Judge an answer; a hook of the test's client."""
        path = path_of(response)
        template = self.template(path)
        operation = self.operations.get((response.method, template))
        as_method = response.method
        if operation is None and response.method == "HEAD":
            as_method = "GET"
            operation = self.operations.get(("GET", template))
        try:
            if operation is None:
                self._judge_unrouted(response, template)
            else:
                self._judge(response, template, as_method, operation)
        except Exception as error:
            what = (f"{response.method} {response.path}: {response.status}: "
                    f"{_why(error)}\n    {response.text[:400]}")
            with self.lock:
                self.bad.append(what)
            raise AssertionError(what) from error

    def _note(self, operation, response):
        is_head = response.method == "HEAD"
        if is_head and not operation["operationId"].startswith("head"):
            return
        code = None
        if response.headers.get("Content-Type") == PROBLEM and not is_head:
            code = response.json["code"]
        with self.lock:
            if response.status == 503:
                self.seen.add((ANY, 503, code))
                code = None
            self.seen.add((operation["operationId"], response.status, code))

    def _judge(self, response, template, method, operation):
        documented = operation["responses"].get(str(response.status))
        assert documented is not None, "a status that is not documented"
        documented = self.resolve(documented)
        kind = response.headers.get("Content-Type")
        content = documented.get("content", {})
        assert (kind is None) == (not content), f"Content-Type {kind}"
        if kind is not None:
            assert kind.split(";")[0] in content, f"Content-Type {kind}"
        headers = dict(response.headers.items())
        if response.method == "HEAD":
            assert response.body == b"", "HEAD with a body"
            self._judge_headers(documented, headers)
        else:
            if self._is_rare(operation, response):
                self._judge_elsewhere(response, method, headers, kind)
            self._judge_headers(documented, headers)
            if not content:
                assert response.body == b"", "a body that is not documented"
            elif kind.endswith("json"):
                self.check_value(content[kind]["schema"], response.json)
        self._judge_manners(response, kind)
        self._note(operation, response)

    def _is_rare(self, operation, response):
        """openapi-core takes ten times as long as jsonschema alone: it judges
        the first few answers of a kind."""
        kind = operation["operationId"], response.status
        with self.lock:
            self.kinds[kind] += 1
            return self.kinds[kind] <= 3

    def _judge_elsewhere(self, response, method, headers, kind):
        # It matches the path itself; this server has all of them.
        self.api.validate_response(
            MockRequest("http://127.0.0.1:8801", method.lower(),
                        path_of(response)),
            MockResponse(response.body, response.status, headers,
                         kind.split(";")[0] if kind else ""))

    def _judge_headers(self, documented, headers):
        lower = {name.lower(): value for name, value in headers.items()}
        for name, header in documented.get("headers", {}).items():
            header = self.resolve(header)
            value = lower.get(name.lower())
            if value is None:
                assert not header.get("required"), f"no {name}"
                continue
            schema = self.resolve(header["schema"])
            if schema.get("type") == "integer":
                value = int(value)
            self.check_value(header["schema"], value)

    def _judge_manners(self, response, kind):
        """What openapi.yaml wants of every answer."""
        headers = response.headers
        if kind == PROBLEM:
            assert headers["Cache-Control"] == "no-store", "a kept problem"
            if response.body:
                self._judge_problem(response)
        if response.status in (429, 503) and kind == PROBLEM:
            assert int(headers["Retry-After"]) >= 1
        if response.method in ("GET", "HEAD"):
            assert headers["Access-Control-Allow-Origin"] == "*"

    def _judge_problem(self, response):
        problem = response.json
        path = path_of(response)
        assert problem["status"] == response.status
        assert problem["instance"] == path, problem["instance"]
        assert problem["type"] == f"urn:souk:problem:{problem['code']}"
        assert problem["retryable"] == (response.status in
                                        (429, 502, 503, 504))
        for error in problem.get("errors", ()):
            assert error["pointer"].startswith("#"), error

    def _judge_unrouted(self, response, template):
        headers = response.headers
        if response.method == "OPTIONS":
            assert response.status in (204, 400, 421, 431)
            if response.status == 204:
                assert template is None or headers["Allow"]
                assert response.body == b""
                return
        assert headers["Content-Type"] == PROBLEM, headers["Content-Type"]
        if response.status in UNROUTED and response.body:
            assert response.json["code"] == UNROUTED[response.status]
        if response.status == 405:
            assert template is not None and headers["Allow"]
        else:
            assert response.status in (400, 404, 413, 421, 429, 431)
        if response.body:
            self.check_value(self.document["components"]["schemas"]["Problem"],
                             response.json)
            self._judge_problem(response)

    # -- The balance. -----------------------------------------------------

    def missing(self):
        """What is documented and was never seen."""
        return sorted(self.documented() - self.seen, key=str)


def path_of(response):
    """What was asked for, without its query."""
    path = response.path.split("?")[0]
    if path.startswith("http://"):
        path = "/" + path.split("/", 3)[3]
    return path


def _order(template):
    """Literal segments before parameters."""
    return [part.startswith("{") for part in template.split("/")]


def _absolute(node):
    """A copy whose references lead into the document from anywhere."""
    if isinstance(node, list):
        return [_absolute(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: BASE + value if key == "$ref" else _absolute(value)
            for key, value in node.items()}


def _why(error):
    parts = []
    while error is not None:
        text = f"{type(error).__name__}: {error}"
        more = getattr(error, "schema_errors", None)
        for one in more or ():
            text += f"; {'/'.join(map(str, one.path))}: {one.message[:200]}"
        parts.append(text[:600])
        error = error.__cause__
    return " <- ".join(parts)
