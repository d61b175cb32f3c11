/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "store/internal.h"

/* What the node has learnt and wants back after a restart: DHT records,
 * providers, peers.  Jobs put and forget; state_load() brings back what has not
 * expired. */
MUST_USE
enum err state_put_record(struct db *db, const struct saved_record *r);
MUST_USE
enum err state_forget_record(struct db *db, const struct saved_record *r);
MUST_USE
enum err state_put_provider(struct db *db, const struct saved_provider *p);
MUST_USE
enum err state_forget_provider(struct db *db, const struct saved_provider *p);
MUST_USE
enum err state_put_peer(struct db *db, const struct saved_peer *p);
MUST_USE
enum err state_forget_peer(struct db *db, const struct peer_id *id);

MUST_USE
enum err state_load(struct db *db, const struct store_sink *sink, wall_ms wall);

#endif /* STORE_STATE_H */
