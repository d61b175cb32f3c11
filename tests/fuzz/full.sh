#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The long form of fuzzing: each target of build/fuzz for an hour, as many at
# once as there are processors.  What was found is kept in the cache and begun
# with the next time.
# Usage: full.sh [SECONDS [TARGET…]]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-3600}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- build/fuzz/fuzz_*[a-z]
kept=${SOUK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/souk}/fuzz
export seconds kept
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh -c \
    'tests/fuzz/smoke.sh "$1" "$seconds" "$kept/$(basename "$1")"' _ {}
