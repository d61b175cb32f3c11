#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run a Python file with the packages of tests/support/requirements.txt, which
# are installed once into the cache and again when that file changes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${SOUK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/souk}
venv=$cache/venv-$(sha256sum <"$here/requirements.txt" | cut -c1-16)
if [ ! -e "$venv/ready" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" -q install --disable-pip-version-check \
        -r "$here/requirements.txt"
    touch "$venv/ready"
fi
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec "$venv/bin/python" "$@"
