#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A release binary is hardened: position independent, read-only relocations
# bound at start, no executable stack, stack protector, checked string
# functions, control-flow protection.  Usage: hardening.sh BUILD
set -eu
export LC_ALL=C
bad=0
want() { # WHY PATTERN READELF-OPTION…
    why=$1 pattern=$2
    shift 2
    readelf "$@" | grep -qE "$pattern" || { echo "not hardened: $why" >&2; bad=1; }
}
want 'position independent' 'Type: +DYN' -hW "$1/souk"
want 'position independent executable' 'FLAGS_1.* PIE' -dW "$1/souk"
want 'read-only relocations' 'GNU_RELRO' -lW "$1/souk"
want 'bound at start' 'FLAGS_1.* NOW' -dW "$1/souk"
want 'no executable stack' 'GNU_STACK.* RW +0x' -lW "$1/souk"
want 'stack protector' '__stack_chk_fail' -sW "$1/souk"
want 'fortified' '__(memcpy|snprintf|vsnprintf|fprintf)_chk' -sW "$1/souk"
# The C library's start files lack the mark, so the binary has it not: ask ours.
if [ "$(uname -m)" = x86_64 ]; then
    for object in $(find "$1/core" "$1/gateway" -name '*.o'); do
        readelf -nW "$object" | grep -q 'IBT, SHSTK' ||
            { echo "not hardened: control flow of $object" >&2; bad=1; }
    done
fi
if readelf -dW "$1/souk" | grep -E 'TEXTREL|RPATH|RUNPATH' >&2; then
    echo "not hardened: relocated text or a search path" >&2
    bad=1
fi
exit $bad
