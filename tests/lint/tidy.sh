#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: tidy.sh BUILD (its compile_commands.json says how files are compiled)
set -eu
cd "$(dirname "$0")/../.."
git ls-files 'core/*.c' 'gateway/*.c' |
    xargs -P "$(nproc)" -n 8 clang-tidy -p "$1" --quiet
