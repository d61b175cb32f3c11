#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the program is linked with is what a node needs: everything else is
# memory of every node (docs/adr/0018).  Usage: libraries.sh BUILD
set -eu
export LC_ALL=C
allowed='libc libm libresolv libcrypto libjansson libprotobuf-c libsodium libsqlite3 libuv libyaml-0 ld-linux-[a-z0-9-]* linux-vdso'
bad=0
for library in $(ldd "$1/souk" | sed -nE 's/^\s*(\S*\/)?([^/ ]+)\.so\S* .*/\2/p'); do
    for name in $allowed; do
        case $library in $name) continue 2 ;; esac
    done
    echo "loaded with every node: $library" >&2
    bad=1
done
exit $bad
