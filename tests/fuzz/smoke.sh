#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every input of a target's corpus, then a few seconds of new ones.
# Usage: smoke.sh TARGET [SECONDS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=$(basename "$1")
corpus=$here/corpus/${name#fuzz_}
[ -d "$corpus" ] || { echo "no corpus: $corpus" >&2; exit 1; }
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
"$1" -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$found/" \
    -max_total_time="${2:-3}" -print_final_stats=1 "$found" "$corpus" ||
    { find "$found" -name '*-*' -size -4k -exec sh -c 'echo "$1"; base64 "$1"' _ {} \; ; exit 1; }
