#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: cppcheck.sh BUILD
set -eu
cd "$(dirname "$0")/../.."
cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j "$(nproc)" \
    --enable=warning,portability --suppress=missingIncludeSystem \
    --suppress=nullPointerRedundantCheck --suppress='*:*/build/*' \
    --template='{file}:{line}: {severity}: {message} [{id}]' \
    -I include -I core core gateway
