#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every input of a target's corpus, then some seconds of new ones; prints what
# was reached.  With a folder, what is found there is begun with, and kept there.
# Usage: smoke.sh TARGET [SECONDS [FOLDER]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=$(basename "$1")
corpus=$here/corpus/${name#fuzz_}
[ -d "$corpus" ] || { echo "no corpus: $corpus" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
found=${3:-$scratch/found}
mkdir -p "$found" "$scratch/bad"
"$1" -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$scratch/bad/" \
    -max_total_time="${2:-3}" -print_final_stats=1 "$found" "$corpus" \
    >"$scratch/log" 2>&1 || {
    tail -n 200 "$scratch/log"
    find "$scratch/bad" -size -64k -exec sh -c 'echo "$1"; base64 "$1"' _ {} \;
    exit 1
}
awk -v name="$name" '
    /inline 8-bit counters\)/ && match($0, /\([0-9]+ inline/) {
        all += substr($0, RSTART + 1) }
    / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
    /number_of_executed_units/ { inputs = $2 }
    END { printf "figure: %s: %d inputs, %d of %d edges\n", name, inputs, edges, all
          exit edges == 0 }' "$scratch/log"
