#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py openapi.yaml VERSION OUT.c: the contract as JSON in a C array."""
import json
import sys

import yaml

source, version, out = sys.argv[1:]
with open(source, encoding="utf-8") as f:
    contract = yaml.safe_load(f)
contract = {k: v for k, v in contract.items() if not k.startswith("x-")}
contract["info"]["version"] = version
text = json.dumps(contract, ensure_ascii=True, separators=(",", ":"))
lines = [text[i : i + 64] for i in range(0, len(text), 64)]
with open(out, "w", encoding="utf-8") as f:
    f.write('#include "gateway/openapi.h"\n\n')
    f.write("/* A string literal of this length is beyond what C promises. */\n")
    f.write("const char openapi_json[] = {\n")
    for line in lines:
        f.write(",".join(str(ord(c)) for c in line) + ",\n")
    f.write("0};\n")
    f.write(f"const size_t openapi_json_len = {len(text)};\n")
