#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every room up to and including node is pure: no clock, socket, file, thread
# or randomness.  Fails on any symbol they want from outside that is not on the
# list.  Usage: purity.sh BUILD
set -eu
rooms='base tbl crypto multi wire mss noise yamux identify ping kad gossip
    search conn reputation market node'
libc='abort|__assert_fail|mem(cpy|move|set|cmp|chr|rchr|mem)|__mem(cpy|move|set)_chk|str(len|cmp|ncmp|chr|rchr|cpy|dup|str|spn|cspn|nlen|toull|toul|tol|tod)|__isoc(99|23)_(strto|sscanf).*|(__)?v?snprintf(_chk)?|sscanf|malloc|calloc|realloc|free|qsort|bsearch|__stack_chk_fail|__errno_location|__ctype_.*|_GLOBAL_OFFSET_TABLE_|__tls_get_addr'
math='asin|sin|cos|sqrt|pow|exp2?|log2?|floor|ceil|round|fmod|fabs|ldexp|fmin|fmax'
tools='__asan_.*|__ubsan_.*|__sanitizer_.*|__tsan_.*|__gcov_.*|__llvm_.*|__interceptor_.*'
# libsodium, libcrypto, protobuf-c, jansson, libyaml over a string: computation
# only.  Keys are
# made from our own rng.
libs='crypto_.*|sodium_(init|memcmp|memzero|is_zero)|EVP_.*|SHA(256|512).*|HMAC.*|d2i_PUBKEY|i2d_PUBKEY|ERR_clear_error|OPENSSL_.*|EC_.*|BN_.*|RSA_.*|ECDSA_.*|OSSL_.*|protobuf_c_.*|json_.*|jsonp_.*|inet_(pton|ntop)|yaml_(parser|event)_.*'

archives= wanted=
for room in $rooms; do
    archives="$archives $1/core/$room/libsouk_$room.a"
done
defined=$(nm --defined-only -g $archives 2>/dev/null | awk 'NF==3 {print $3}' | sort -u)
wanted=$(nm -u $archives | awk 'NF==2 && $1=="U" {print $2}' | sort -u)
bad=$(printf '%s\n' "$wanted" | grep -vxF "$defined" |
    grep -vE "^($libc|$math|$tools|$libs)$" || true)
[ -z "$bad" ] || { printf 'impure symbols:\n%s\n' "$bad" >&2; exit 1; }
