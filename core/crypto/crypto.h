/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

/* The room's front: what the node needs of cryptography, and not more.
 *
 *      hash     SHA-256, HMAC, HKDF            libcrypto
 *      x25519   key agreement                  libsodium
 *      aead     ChaCha20-Poly1305 in place     libcrypto
 *      ed25519  our own signatures             libsodium
 *      pubkey   other peers' keys, all kinds   libsodium, libcrypto
 *
 * Everything is a function of its arguments.  Only key generation needs
 * randomness, and is handed it. */
#include "crypto/aead.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/pubkey.h"
#include "crypto/x25519.h"

/* Let the libraries choose the fastest code for this machine.  Once, at the
 * start of the process; without it everything works, only slower. */
void crypto_init(void);

#endif /* CRYPTO_CRYPTO_H */
