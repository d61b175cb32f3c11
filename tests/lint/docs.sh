#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every link and every file that a page names is there.
set -eu
cd "$(dirname "$0")/../.."
bad=0
for page in README.md CONTRIBUTING.md CHANGELOG.md docs/*.md docs/adr/*.md; do
    [ -e "$page" ] || { echo "$page: missing" >&2; bad=1; continue; }
    for target in $(grep -oE '\]\([^)#:]+(#[^)]*)?\)' "$page" | sed -E 's/^\]\(//; s/[#)].*//'); do
        [ -e "$(dirname "$page")/$target" ] ||
            { echo "$page: no $target" >&2; bad=1; }
    done
done
exit $bad
