#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Nothing is left for later, no test or room sleeps, every C file says its
# licence, and functions that are easy to misuse are not called.
set -eu
cd "$(dirname "$0")/../.."
bad=0
deny() { # WHY PATTERN PATHS…
    why=$1 pattern=$2
    shift 2
    if git grep -nE "$pattern" -- "$@" ':!tests/lint'; then
        echo "^ $why" >&2
        bad=1
    fi
}
deny 'left for later' '\b(TODO|FIXME|XXX)\b' core gateway include tests bench deploy
deny 'sleeps; wait for a condition' '\b(sleep|usleep|nanosleep)\(' core gateway tests
deny 'unbounded or unsafe' '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol)\(' core gateway
for file in $(git ls-files '*.c' '*.h'); do
    head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
        { echo "$file: no SPDX line" >&2; bad=1; }
done
exit $bad
