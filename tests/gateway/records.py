# SPDX-License-Identifier: Apache-2.0
"""Records that may not be published: form, signature, owner, conflict."""
from keys import cid
from rows import unchanged
from support.souk import record
from world import WORLD


def meta(**fields):
    return {"id": "org/bad", "version": "1.0.0", "metadata": fields}


DEPENDENCY = {"package_id": {"namespace": "a", "name": "b"},
              "version_requirement": "Any", "optional": False}
DEEP = {"a": 1}
for _ in range(9):
    DEEP = {"a": DEEP}
BAD_RECORDS = [
    # record, pointer of the complaint
    ({}, "#/id"),
    ({"id": "org/bad"}, "#/version"),
    ({"version": "1.0.0"}, "#/id"),
    ({"id": 5, "version": "1.0.0"}, "#/id"),
    ({"id": "bad", "version": "1.0.0"}, "#/id"),
    ({"id": "org/bad/more", "version": "1.0.0"}, "#/id"),
    ({"id": {"namespace": "org"}, "version": "1.0.0"}, "#/id/name"),
    ({"id": {"namespace": "Org", "name": "bad"}, "version": "1.0.0"},
     "#/id/namespace"),
    ({"id": {"namespace": "org", "name": 7}, "version": "1.0.0"}, "#/id/name"),
    ({"id": {"namespace": "org", "name": "x" * 65}, "version": "1.0.0"},
     "#/id/name"),
    ({"id": "org/bad", "version": 1}, "#/version"),
    ({"id": "org/bad", "version": "1.0"}, "#/version"),
    ({"id": "org/bad", "version": "1.0.0+b"}, "#/version"),
    ({"id": "org/bad", "version": {"major": 1, "minor": 0}}, "#/version/patch"),
    ({"id": "org/bad", "version": {"major": -1, "minor": 0, "patch": 0}},
     "#/version/major"),
    ({"id": "org/bad", "version": {"major": 1 << 32, "minor": 0, "patch": 0}},
     "#/version/major"),
    ({"id": "org/bad", "version": {"major": 1, "minor": 0, "patch": 0,
                                   "pre_release": "a..b"}},
     "#/version/pre_release"),
    ({**meta(), "metadata": []}, "#/metadata"),
    (meta(title=7), "#/metadata/title"),
    (meta(title="x" * 201), "#/metadata/title"),
    (meta(description=["x"]), "#/metadata/description"),
    (meta(description="x" * 2001), "#/metadata/description"),
    (meta(license=7), "#/metadata/license"),
    (meta(homepage=7), "#/metadata/homepage"),
    (meta(tags="rust"), "#/metadata/tags"),
    (meta(tags=[7]), "#/metadata/tags/0"),
    (meta(tags=["ok", "x" * 65]), "#/metadata/tags/1"),
    (meta(tags=["t"] * 33), "#/metadata/tags"),
    (meta(categories=["Nonsense"]), "#/metadata/categories/0"),
    (meta(categories=[{"Custom": 5}]), "#/metadata/categories/0/Custom"),
    (meta(authors=[{"id": "x"}]), "#/metadata/authors/0/name"),
    (meta(custom_fields=[]), "#/metadata/custom_fields"),
    (meta(custom_fields={"n": 1 << 54}), "#/metadata/custom_fields/n"),
    (meta(custom_fields={"n": 1.5}), "#/metadata/custom_fields/n"),
    ({**meta(), "content_id": {"hash": "x", "algorithm": "Md5"}},
     "#/content_id/algorithm"),
    ({**meta(), "content_id": {"algorithm": "Sha256"}}, "#/content_id/hash"),
    ({**meta(), "dependencies": {}}, "#/dependencies"),
    ({**meta(), "dependencies": [DEPENDENCY] * 65}, "#/dependencies"),
    ({**meta(), "dependencies": [{**DEPENDENCY, "version_requirement": "X"}]},
     "#/dependencies/0/version_requirement"),
    ({**meta(), "dependencies": [{**DEPENDENCY, "optional": "no"}]},
     "#/dependencies/0/optional"),
    ({**meta(), "stats": {"downloads": -1}}, "#/stats/downloads"),
    ({**meta(), "stats": {"downloads": "many"}}, "#/stats/downloads"),
    ({**meta(), "created_at": "yesterday"}, "#/created_at"),
    ({**meta(), "updated_at": 5}, "#/updated_at"),
    ({**meta(), "souk": 5}, "#/souk"),
    ({**meta(), "souk": {"signature": "x"}}, None),
    (meta(custom_fields=DEEP), "#"),
]


def records_of_the_wrong_form_are_422():
    node, bad = WORLD.alone, []
    for sent, pointer in BAD_RECORDS:
        with unchanged(node, str(sent)[:80]):
            answer = node.post("/api/v1/packages", sent)
        try:
            pointers = [e["pointer"]
                        for e in answer.problem(422, "schema")["errors"]]
            assert pointer is None or pointer in pointers, pointers
        except AssertionError as failure:
            bad.append(f"{str(sent)[:100]}: {pointer}: {failure}")
    assert not bad, "\n".join(bad)
    for text in ('{"id":"org/bad","id":"org/bad","version":"1.0.0"}',
                 r'{"id":"org/bad","version":"1.0.0",'
                 r'"metadata":{"title":"a\u0000b"}}',
                 r'{"id":"org/bad","version":"1.0.0",'
                 r'"metadata":{"title":"\ud800"}}'):
        with unchanged(node, text):
            assert node.post("/api/v1/packages", text).expect(
                400, 422).json["code"] in ("schema", "not-json")
    with unchanged(node, "a long record"):
        node.post("/api/v1/packages", meta(
            long_description="x" * 13000)).problem(422, "record-size")
    node.get("/api/v1/packages/org/bad").problem(404, "not-found")


def signed_by(node, package, version="1.0.0", **fields):
    """A record signed by |node|'s key."""
    return node.publish(package, version, **fields).json["package"]


def post(node, sent):
    return node.post("/api/v1/packages", sent)


def signatures_are_verified():
    good = signed_by(WORLD.alone, "signed/lib")
    node = WORLD.other
    flipped = "A" if good["souk"]["signature"][0] != "A" else "B"
    forged = [
        {**good, "metadata": {**good["metadata"], "title": "Mine now"}},
        {**good, "id": {"namespace": "signed", "name": "lab"}},
        {**good, "souk": {**good["souk"], "sequence":
                          good["souk"]["sequence"] + 1}},
        {**good, "souk": {**good["souk"], "publisher": node.id}},
        {**good, "souk": {**good["souk"], "signature": flipped +
                          good["souk"]["signature"][1:]}},
    ]
    for sent in forged:
        with unchanged(node, "a forged record"):
            post(node, sent).problem(422, "bad-signature")
    incomplete = {**good}
    del incomplete["stats"]
    with unchanged(node, "an incomplete signed record"):
        post(node, incomplete).problem(422, "schema")
    post(node, good).expect(201)
    with unchanged(node, "the same signed record"):
        post(node, good).expect(200)


def names_belong_to_a_key():
    theirs = signed_by(WORLD.alone, "theirs/lib")
    node = WORLD.other
    node.publish("ours/lib")
    assert post(node, theirs).expect(201).headers["Souk-Trust"] == "pinned"
    stolen = signed_by(WORLD.alone, "ours/stolen")
    refused = [
        record("theirs/lib", "2.0.0"), record("theirs/new"), stolen,
        record(f"~{cid(WORLD.alone.id)}/lib"),
        signed_by(WORLD.alone, "ours/lib"),
    ]
    for sent in refused:
        with unchanged(node, "another owner's package"):
            post(node, sent).problem(403, "not-owner")
    own = post(node, record(f"~{cid(node.id)}/lib")).expect(201)
    assert own.headers["Souk-Trust"] == "self-certified"
    node.get(own.headers["Location"]).expect(200)
    at = "/api/v1/packages/theirs/lib/versions/1.0.0"
    for method, path, body in (("DELETE", at, {"reason": "No."}),
                               ("PUT", f"{at}/yank", {"reason": "No."}),
                               ("DELETE", f"{at}/yank", None)):
        with unchanged(node, "a yank of another's"):
            node.http.request(method, path, body).problem(409, "not-our-key")


def conflicts_are_409():
    node = WORLD.alone
    node.publish("org/some-lib")
    for sent, code in (
            (record("org/some-lib", description="Other."), "version-exists"),
            (record("org/some-lib", title="Other"), "version-exists"),
            (record("org/some-lib", tags=["other"]), "version-exists"),
            (record("org/some_lib"), "name-equivalent"),
            (record("org/some_lib", "2.0.0"), "name-equivalent")):
        with unchanged(node, code):
            post(node, sent).problem(409, code)
    old = signed_by(node, "org/stale")
    node.put("/api/v1/packages/org/stale/versions/1.0.0/yank",
             {"reason": "Bad."}).expect(200)
    with unchanged(node, "an old copy"):
        post(node, old).problem(409, "stale-sequence")
    # The head that would have to tell of 1.0.0 is another key's.
    head = signed_by(node, "late/lib", "2.0.0")
    older = signed_by(node, "late/lib", "1.0.0")
    post(WORLD.other, head).expect(201)
    with unchanged(WORLD.other, "an older version of another key's"):
        post(WORLD.other, older).problem(409, "not-our-key")


CASES = [
    records_of_the_wrong_form_are_422,
    signatures_are_verified,
    names_belong_to_a_key,
    conflicts_are_409,
]
