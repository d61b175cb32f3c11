/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include "base/rng.h"
#include "crypto/ed25519.h"
#include "souk/err.h"
#include "store/store.h"

/* The data directory and the small files in it.  Every error leaves a sentence
 * in |why| that names the file and says what to do. */

/* Make the directory if it is missing, be sure it can be written, and be its
 * only user: |*fd| holds the lock until it is closed.  ERR_CONFIG, ERR_IO. */
MUST_USE
enum err files_lock_dir(const char *dir, int *fd, char why[STORE_WHY_MAX]);

/* The identity key: read, or made if it is missing and |may_create|.
 * ERR_NOT_FOUND (and no creating), ERR_STORE_CORRUPT, ERR_CONFIG, ERR_IO. */
MUST_USE
enum err files_identity(const char *path, bool may_create,
                        const struct rng *rng, struct ed25519_keypair *key,
                        bool *is_new, char why[STORE_WHY_MAX]);
/* The admin token: read, or made if it is missing.  As above. */
MUST_USE
enum err files_token(const char *path, const struct rng *rng,
                     char token[STORE_TOKEN_MAX], char why[STORE_WHY_MAX]);
void files_make_token(const struct rng *rng, char token[STORE_TOKEN_MAX]);

#endif /* STORE_FILES_H */
