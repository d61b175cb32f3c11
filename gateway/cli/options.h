/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of the client commands, a row each: the parser, the help and the
 * fields of struct args are made from it.  Include with OPTION() defined.
 *
 *  OPTION(field, flag, type, argument, otherwise, verbs, help)
 *
 * |verbs| is an or of FOR(verb); |otherwise| is the default, "" for none.  The
 * choices of a CHOICE stand in |argument|.                                  */

OPTION(wait, "wait", CHOICE, "local|one|quorum", "", FOR(publish) | FOR(import),
       "how much of the network to wait for; the package is safe in any case")
OPTION(jobs, "jobs", NUMBER, "N", "32", FOR(import), "requests in flight")
OPTION(state, "state", TEXT, "FILE", "", FOR(import),
       "where to remember how far it came; default RECORDS.souk-import")
OPTION(report, "report", TEXT, "FILE", "", FOR(import),
       "write all that was refused there, one JSON a line")
OPTION(restart, "restart", SWITCH, "", "", FOR(import),
       "begin at the first line, whatever the state says")

OPTION(category, "category", TEXT, "TEXT", "", FOR(search),
       "only of this category")
OPTION(tag, "tag", TEXT, "TEXT", "", FOR(search), "only with this tag")
OPTION(author, "author", TEXT, "TEXT", "", FOR(search), "only by this author")
OPTION(license, "license", TEXT, "TEXT", "", FOR(search),
       "only under this license")
OPTION(namespace, "namespace", TEXT, "NS", "", FOR(search),
       "only of this namespace")
OPTION(trust, "trust", CHOICE,
       "self-certified|trusted|pinned|signed|unverified", "", FOR(search),
       "only of this trust")
OPTION(sort, "sort", CHOICE, "relevance|recent|name|downloads", "", FOR(search),
       "the order")
OPTION(fan_out, "fan-out", NUMBER, "N", "", FOR(search),
       "how many peers to ask")
OPTION(facets, "facets", SWITCH, "", "", FOR(search),
       "also count by category, tag and license")
OPTION(peer_sort, "sort", CHOICE, "score|latency|id", "", FOR(peers),
       "the order")
OPTION(peer_state, "state", CHOICE, "connected|known|banned", "", FOR(peers),
       "which peers")
OPTION(limit, "limit", NUMBER, "N", "",
       FOR(search) | FOR(peers) | FOR(versions),
       "how many to list; default 20 of a search, else all")
OPTION(cursor, "cursor", TEXT, "CURSOR", "",
       FOR(search) | FOR(peers) | FOR(versions), "go on after an earlier list")
OPTION(scope, "scope", CHOICE, "network|local", "",
       FOR(search) | FOR(get) | FOR(versions), "local asks no other node")
OPTION(fresh, "fresh", SWITCH, "", "", FOR(search) | FOR(get) | FOR(versions),
       "ask the network again, whatever the node remembers")
OPTION(duration, "for", DURATION, "TIME", "1h", FOR(ban), "how long")

OPTION(key, "key", TEXT, "FILE", "", FOR(key_sign),
       "the key to sign with; default the node's, DIR/identity.key")
OPTION(yank, "yank", TEXT, "REASON", "", FOR(key_sign),
       "sign that the version is yanked")
OPTION(use_instead, "use-instead", TEXT, "VERSION", "",
       FOR(yank) | FOR(key_sign), "the better version")

OPTION(timeout, "timeout", DURATION, "TIME", "", VERBS_REST,
       "how long to wait, such as 500ms or 5s")
OPTION(api, "api", TEXT, "URL", "", VERBS_REST,
       "the node: http://HOST:PORT or unix:PATH; default $SOUK_API, else "
       "http://127.0.0.1:8800")
OPTION(token_file, "token-file", TEXT, "FILE", "", VERBS_REST,
       "file with the token for writes; default $SOUK_TOKEN (the token "
       "itself), else DIR/admin-token if the node is on this machine")
OPTION(json, "json", SWITCH, "", "", VERBS_ALL, "JSON, as the node said it")
#undef OPTION
