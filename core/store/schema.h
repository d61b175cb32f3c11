/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include "store/db.h"

/* The database's form.  The file says whose it is (application_id) and in which
 * form (user_version); a migration is one transaction that moves it one up. */
enum {
    SCHEMA_APPLICATION = 0x736f756b, /* "souk" */
    SCHEMA_VERSION = 2,
};

/* Look at the file's own header, opening nothing: is it ours, whole, and not of
 * a newer souk?  A missing or empty file is fine: |is_new|.
 * ERR_STORE_CORRUPT, ERR_STORE_NEWER, ERR_IO. */
MUST_USE
enum err schema_probe(const char *path, bool *is_new, char *why,
                      size_t why_max);
/* Bring the database to SCHEMA_VERSION. */
MUST_USE
enum err schema_migrate(struct db *db);

#endif /* STORE_SCHEMA_H */
