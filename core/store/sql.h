/* SPDX-License-Identifier: Apache-2.0
 *
 * Every statement of the store, once.  Include with SQL() defined.
 *
 *  SQL(name, text)                                                          */

/* Transactions. */
SQL(BEGIN, "BEGIN IMMEDIATE")
SQL(BEGIN_READ, "BEGIN")
SQL(COMMIT, "COMMIT")
SQL(ROLLBACK, "ROLLBACK")
SQL(SAVEPOINT, "SAVEPOINT job")
SQL(RELEASE, "RELEASE job")
SQL(UNDO, "ROLLBACK TO job")
SQL(USER_VERSION, "PRAGMA user_version")
SQL(APPLICATION, "PRAGMA application_id")
SQL(QUICK_CHECK, "PRAGMA quick_check(1)")
SQL(SCHEMA_COUNT, "SELECT count(*) FROM sqlite_schema")

/* What the counters start from. */
SQL(TALLY_PACKAGES,
    "SELECT coalesce(max(id),0), count(*), count(slot), total(is_own),"
    " total(iif(is_own,0,bytes)), total(versions) FROM package")
SQL(TALLY_VERSION, "SELECT coalesce(max(id),0) FROM version")
SQL(TALLY_OUTBOX, "SELECT coalesce(max(id),0), count(*) FROM outbox")

/* Settings. */
SQL(SETTING_GET, "SELECT value FROM setting WHERE name=?1")
SQL(SETTING_PROVE, "INSERT INTO setting(name, value)"
                   " VALUES('proof', zeroblob(262144))"
                   " ON CONFLICT DO UPDATE SET value=zeroblob(262144)")
SQL(SETTING_PROVED, "DELETE FROM setting WHERE name='proof'")
SQL(SETTING_PUT, "INSERT INTO setting(name, value) VALUES(?1,?2)"
                 " ON CONFLICT DO UPDATE SET value=?2")

/* Packages; the columns of struct package_row first. */
#define PACKAGE_ROW                                                     \
    "id, publisher, is_own, conflicts, sequence, head_version,"         \
    " head_sequence, head_is_full, versions, bytes, heard, reputation," \
    " slot, ns, name"
SQL(PACKAGE_FIND, "SELECT " PACKAGE_ROW " FROM package WHERE ns=?1 AND name=?2")
SQL(PACKAGE_AFTER,
    "SELECT " PACKAGE_ROW " FROM package WHERE id>?1 ORDER BY id LIMIT ?2")
SQL(PACKAGE_OF_NS,
    "SELECT " PACKAGE_ROW
    " FROM package WHERE ns=?1 AND name>?2 ORDER BY name LIMIT ?3")
SQL(PACKAGE_UNLISTED, "SELECT " PACKAGE_ROW
                      " FROM package WHERE NOT is_own AND slot IS NULL LIMIT 1")
SQL(PACKAGE_WORST, "SELECT " PACKAGE_ROW
                   " FROM package WHERE NOT is_own ORDER BY slot DESC LIMIT 1")
SQL(PACKAGE_OTHERS_OF_NS,
    "SELECT count(*) FROM (SELECT 1 FROM package WHERE ns=?1 AND name<>?2"
    " LIMIT 1)")
SQL(PACKAGE_FOLD, "SELECT ns||'/'||name FROM package WHERE fold=?1"
                  " AND NOT (ns=?2 AND name=?3) LIMIT 1")
SQL(PACKAGE_INSERT,
    "INSERT INTO package(id, ns, name, fold, publisher, is_own, conflicts,"
    " sequence, head_version, head_sequence, head_is_full, versions, bytes,"
    " heard, reputation, slot, terms, head)"
    " VALUES(?1,?2,?3,?4,?5,?6,0,?7,?8,?9,?10,?11,?12,?13,?14,"
    " nullif(?15,0),?16,iif(length(?17)=0,NULL,?17))")
SQL(PACKAGE_UPDATE,
    "UPDATE package SET is_own=?2, sequence=?3, versions=?4, bytes=?5,"
    " heard=?6, reputation=?7, slot=nullif(?8,0) WHERE id=?1")
SQL(PACKAGE_HEAD,
    "UPDATE package SET head_version=?2, head_sequence=?3, head_is_full=?4,"
    " terms=?5, head=iif(length(?6)=0,NULL,?6) WHERE id=?1")
SQL(PACKAGE_PART_HEAD, "UPDATE package SET head=?2 WHERE id=?1")
SQL(PACKAGE_HEARD, "UPDATE package SET heard=?2 WHERE id=?1")
SQL(PACKAGE_SLOT, "UPDATE package SET slot=nullif(?2,0) WHERE id=?1")
SQL(PACKAGE_CONFLICT,
    "UPDATE package SET conflicts=conflicts+1 WHERE id=?1 AND conflicts<1000")
SQL(PACKAGE_DELETE, "DELETE FROM package WHERE id=?1")
SQL(PACKAGE_HEAD_BYTES,
    "SELECT v.id, v.precedence, v.is_yanked, p.head_sequence, v.updated,"
    " coalesce(p.head, v.record) FROM package p"
    " JOIN version v ON v.id=p.head_version WHERE p.id=?1")
SQL(PACKAGE_OWN_TERMS,
    "SELECT terms FROM package WHERE is_own AND slot IS NOT NULL")
SQL(PACKAGE_INDEX,
    "SELECT p.id, p.publisher, p.is_own, p.conflicts, p.sequence,"
    " p.head_version, p.head_sequence, p.head_is_full, p.versions, p.bytes,"
    " p.heard, p.reputation, p.slot, p.ns, p.name, v.precedence, v.is_yanked,"
    " v.updated"
    " FROM package p JOIN version v ON v.id=p.head_version"
    " WHERE (p.ns, p.name)>(?1,?2) ORDER BY p.ns, p.name LIMIT ?3")

/* Versions. */
SQL(VERSION_LIST,
    "SELECT precedence, is_yanked FROM version INDEXED BY version_order"
    " WHERE package=?1")
SQL(VERSION_FIND,
    "SELECT id, precedence, is_yanked, sequence, updated, record FROM version"
    " WHERE package=?1 AND precedence=?2")
SQL(VERSION_ID, "SELECT id FROM version WHERE package=?1 AND precedence=?2")
SQL(VERSION_AFTER,
    "SELECT id, precedence, is_yanked, sequence, updated, record FROM version"
    " WHERE package=?1 AND precedence>?2 ORDER BY precedence LIMIT ?3")
SQL(VERSION_INSERT,
    "INSERT INTO version(id, package, precedence, is_yanked, sequence, updated,"
    " record) VALUES(?1,?2,?3,?4,?5,?6,?7)")
SQL(VERSION_UPDATE,
    "UPDATE version SET is_yanked=?2, sequence=?3, updated=?4, record=?5"
    " WHERE id=?1")
SQL(VERSION_MARK,
    "UPDATE version SET is_yanked=?3 WHERE package=?1 AND precedence=?2"
    " AND is_yanked<>?3 AND sequence<?4")
SQL(VERSION_DELETE_ALL, "DELETE FROM version WHERE package=?1")

/* Listings and their index; see listing.c. */
SQL(LISTING_PUT,
    "INSERT OR REPLACE INTO listing(slot, package, trust, sequence, updated,"
    " downloads, reputation, name_key, title_key, precedence, publisher,"
    " namespace, name, title, tags, categories, license, authors, facets,"
    " heads, summary, description)"
    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,"
    " ?19,?20,?21,?22)")
SQL(LISTING_TEXTS,
    "SELECT name, namespace, title, tags, categories, description, authors,"
    " license, facets, heads FROM listing WHERE slot=?1")
SQL(LISTING_DELETE, "DELETE FROM listing WHERE slot=?1")
/* By an index, which is much less to read than the rows. */
SQL(LISTING_SLOTS,
    "SELECT slot, name_key FROM listing WHERE (name_key, slot)>(?1,?2)"
    " ORDER BY name_key, slot LIMIT ?3")
SQL(WORDS_INSERT,
    "INSERT INTO words(rowid, name, namespace, title, tags, categories,"
    " description, authors, license, facets, heads)"
    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)")
SQL(WORDS_DELETE,
    "INSERT INTO words(words, rowid, name, namespace, title, tags, categories,"
    " description, authors, license, facets, heads)"
    " VALUES('delete',?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)")
SQL(WORDS_AUTOMERGE_GET, "SELECT v FROM words_config WHERE k='automerge'")
SQL(WORDS_AUTOMERGE, "INSERT INTO words(words, rank) VALUES('automerge',?1)")
SQL(WORDS_MERGE, "INSERT INTO words(words, rank) VALUES('merge',?1)")
SQL(WORDS_TOUCH, "DELETE FROM words WHERE rowid=-1")
SQL(VOCABULARY_AFTER, "SELECT term, doc FROM vocabulary WHERE term>?1 LIMIT ?2")
SQL(VOCABULARY_GET, "SELECT doc FROM vocabulary WHERE term=?1")
SQL(COMMON_PUT, "INSERT INTO common(word, packages) VALUES(?1,?2)"
                " ON CONFLICT DO UPDATE SET packages=?2")
SQL(COMMON_DELETE_BETWEEN, "DELETE FROM common WHERE word>?1 AND word<=?2")
SQL(COMMON_DELETE_AFTER, "DELETE FROM common WHERE word>?1")
SQL(COMMON_GET, "SELECT packages FROM common WHERE word=?1")
SQL(COMMON_MOST, "SELECT word FROM common WHERE packages>=?1"
                 " ORDER BY packages DESC LIMIT ?2")

/* Owners. */
SQL(PIN_GET, "SELECT owner FROM pin WHERE ns=?1")
SQL(PIN_PUT, "INSERT OR IGNORE INTO pin(ns, owner, at) VALUES(?1,?2,?3)")
SQL(REJUDGE_PUT, "INSERT INTO rejudge(ns, after) VALUES(?1,'')"
                 " ON CONFLICT DO UPDATE SET after=''")
SQL(REJUDGE_GET, "SELECT ns, after FROM rejudge LIMIT 1")
SQL(REJUDGE_MOVE, "UPDATE rejudge SET after=?2 WHERE ns=?1")
SQL(REJUDGE_DELETE, "DELETE FROM rejudge WHERE ns=?1")

/* The outbox. */
SQL(OUTBOX_PUT, "INSERT INTO outbox(id, package, version) VALUES(?1,?2,?3)")
SQL(OUTBOX_DONE, "DELETE FROM outbox WHERE id=?1")
SQL(OUTBOX_OF, "SELECT id FROM outbox WHERE package=?1 AND version=?2")
SQL(OUTBOX_DROP, "DELETE FROM outbox WHERE package=?1")
#define OUTBOX_ITEM                                                    \
    "SELECT o.id, coalesce(p.head, h.record), v.record, p.ns, p.name," \
    " v.precedence FROM outbox o JOIN package p ON p.id=o.package"     \
    " JOIN version v ON v.id=o.version JOIN version h ON h.id=p.head_version"
SQL(OUTBOX_AFTER, OUTBOX_ITEM " WHERE o.id>?1 ORDER BY o.id LIMIT ?2")
SQL(OUTBOX_GET, OUTBOX_ITEM " WHERE o.id=?1")

/* What the node has learnt. */
SQL(RECORD_PUT, "INSERT INTO record(key, publisher, received, expires, value)"
                " VALUES(?1,?2,?3,?4,?5) ON CONFLICT DO UPDATE SET received=?3,"
                " expires=?4, value=?5")
SQL(RECORD_DELETE, "DELETE FROM record WHERE key=?1 AND publisher=?2")
SQL(RECORD_ALL, "SELECT key, publisher, received, expires, value FROM record"
                " WHERE expires>?1 ORDER BY id")
SQL(RECORD_EXPIRE,
    "DELETE FROM record WHERE id IN (SELECT id FROM record WHERE expires<=?1"
    " LIMIT ?2)")
SQL(PROVIDER_PUT,
    "INSERT INTO provider(key, provider, addresses, expires)"
    " VALUES(?1,?2,?3,?4) ON CONFLICT DO UPDATE SET addresses=?3, expires=?4")
SQL(PROVIDER_DELETE, "DELETE FROM provider WHERE key=?1 AND provider=?2")
SQL(PROVIDER_ALL,
    "SELECT key, provider, addresses, expires FROM provider WHERE expires>?1")
SQL(PROVIDER_EXPIRE,
    "DELETE FROM provider WHERE (key, provider) IN (SELECT key, provider"
    " FROM provider WHERE expires<=?1 LIMIT ?2)")
SQL(PEER_PUT,
    "INSERT OR REPLACE INTO peer(id, addresses, successes, failures,"
    " response_ms, decayed, last_seen, banned_until, place_source, latitude,"
    " longitude, packages, notes)"
    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)")
SQL(PEER_DELETE, "DELETE FROM peer WHERE id=?1")
SQL(PEER_ALL,
    "SELECT id, addresses, successes, failures, response_ms, decayed,"
    " last_seen, banned_until, place_source, latitude, longitude, packages,"
    " notes FROM peer ORDER BY last_seen")

/* Search. */
#define LISTING_FACTS                                                 \
    "slot, package, trust, sequence, updated, downloads, reputation," \
    " precedence, namespace, name, title"
SQL(FIND_SCORED,
    "SELECT rowid, souk_score(words, ?2) FROM words WHERE words MATCH ?1"
    " LIMIT ?3")
SQL(FIND_HITS, "SELECT rowid, souk_hits(words) FROM words"
               " WHERE words MATCH ?1 AND rowid>?2 LIMIT ?3")
SQL(FIND_AFTER, "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid>?2")
SQL(FIND_ONE, "SELECT souk_score(words, ?2) FROM words WHERE words MATCH ?1"
              " AND rowid=?3")
SQL(FIND_COUNT,
    "SELECT count(*) FROM (SELECT rowid FROM words WHERE words MATCH ?1"
    " LIMIT ?2)")
SQL(FIND_NAME, "SELECT slot FROM listing WHERE name_key=?1 LIMIT ?2")
SQL(FIND_TITLE, "SELECT slot FROM listing WHERE title_key=?1 LIMIT ?2")
SQL(LISTING_GET, "SELECT " LISTING_FACTS " FROM listing WHERE slot=?1")
SQL(LISTING_EXACT,
    "SELECT slot, trust, namespace, name, title, license, tags, categories,"
    " authors FROM listing WHERE slot=?1")
SQL(LISTING_SUMMARY,
    "SELECT " LISTING_FACTS ", publisher, summary FROM listing WHERE slot=?1")
SQL(LISTING_FACETS,
    "SELECT tags, categories, license, namespace FROM listing WHERE slot=?1")
SQL(LISTING_AFTER,
    "SELECT slot FROM listing WHERE slot>?1 ORDER BY slot LIMIT ?2")
SQL(LISTING_BY_NAME,
    "SELECT slot, namespace, name FROM listing WHERE (name, namespace)>(?1,?2)"
    " ORDER BY name, namespace")
SQL(LISTING_BY_RECENT,
    "SELECT slot, updated FROM listing WHERE (updated, slot)<(?1,?2)"
    " ORDER BY updated DESC, slot DESC")
SQL(LISTING_BY_DOWNLOADS,
    "SELECT slot, downloads FROM listing WHERE (downloads, slot)<(?1,?2)"
    " ORDER BY downloads DESC, slot DESC")
#undef SQL
