#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format writes it.
set -eu
cd "$(dirname "$0")/../.."
git ls-files '*.c' '*.h' | grep -v '/tbl/' | xargs clang-format --dry-run -Werror
