#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Of what the long form found into the corpora of the tree: the fewest inputs
# that reach every edge, named by their hashes.  Those named by people stay.
# Usage: keep.sh [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- build/fuzz/fuzz_*[a-z]
found=${SOUK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/souk}/fuzz
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for target; do
    name=$(basename "$target")
    corpus=tests/fuzz/corpus/${name#fuzz_}
    kept=$scratch/$name
    mkdir -p "$kept"
    "$target" -set_cover_merge=1 -use_counters=0 "$kept" "$corpus" \
        "$found/$name" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
    for file in "$corpus"/*; do
        hash=$(sha1sum <"$file" | cut -c1-40)
        if [ "$(basename "$file")" = "$hash" ]; then
            rm "$file"
        else
            rm -f "$kept/$hash"
        fi
    done
    cp -r "$kept/." "$corpus"
    echo "$name: $(find "$corpus" -type f | wc -l) inputs"
done
