#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unit tests of a build without sanitizers, under valgrind: nothing read that
# was never written, nothing lost.  Without NAMEs those that take seconds.
#
#   tests/lint/valgrind.sh BUILD [all|NAME…]
set -u
build=$1
shift
[ $# -gt 0 ] || set -- base cli_args cli_import cli_print conn_stranger \
    gateway_access gateway_request jcs kad mss
if [ "$1" = all ]; then
    set --
    for test in "$build"/*_test; do
        name=$(basename "$test" _test)
        case $name in
        host_net | gateway_net | sim_*) ;;
        *) set -- "$@" "$name" ;;
        esac
    done
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
bad=0
for name; do
    # Fair, or a thread that waits for another in turns keeps it from running.
    valgrind -q --fair-sched=yes --error-exitcode=99 --leak-check=full \
        --errors-for-leak-kinds=definite,indirect \
        "$build/${name}_test" >"$log" 2>&1 && continue
    bad=1
    echo "valgrind: $name"
    grep -E '^==|FAILED|ERROR' "$log" | head -n 60
done
exit $bad
