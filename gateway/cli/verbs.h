/* SPDX-License-Identifier: Apache-2.0
 *
 * The client commands, a row each.  Include with VERB() defined.
 *
 *  VERB(symbol, name, arguments, words_min, words_max, help)
 *
 * |words| are the arguments that are no options; 0 for the most of them is any
 * number.                                                                   */

VERB(publish, "publish", "RECORD.json", 1, 1,
     "publish a package version; - reads it from the input")
VERB(import, "import", "RECORDS.ndjson", 1, 1,
     "publish many, one record a line; goes on where it stopped")
VERB(search, "search", "[WORDS...]", 0, 0,
     "find packages; \"a phrase\", prefix*, -not, field:value")
VERB(get, "get", "NS/NAME[@VERSION]", 1, 1, "the record of a package")
VERB(versions, "versions", "NS/NAME", 1, 1, "all versions of a package")
VERB(yank, "yank", "NS/NAME@VERSION REASON", 2, 2,
     "take a version out of search; it stays readable")
VERB(unyank, "unyank", "NS/NAME@VERSION", 1, 1, "undo a yank")
VERB(peers, "peers", "", 0, 0, "the peers of the node")
VERB(peer, "peer", "ID", 1, 1, "one peer, its score and why")
VERB(connect, "connect", "MULTIADDR", 1, 1, "connect to a peer")
VERB(disconnect, "disconnect", "ID", 1, 1, "close the connection to a peer")
VERB(ban, "ban", "ID", 1, 1, "disconnect a peer and refuse it for a while")
VERB(status, "status", "", 0, 0, "who the node is and how it does")
VERB(limits, "limits", "", 0, 0, "every limit, its use, times refused")
VERB(healthcheck, "healthcheck", "[readyz|livez|startupz|health]", 0, 1,
     "exit 0 if the node is well, 1 if not")
VERB(key_new, "key new", "[FILE]", 0, 1,
     "make an identity key; default the node's, DIR/identity.key")
VERB(key_show, "key show", "[FILE]", 0, 1, "whose key it is")
VERB(key_sign, "key sign", "RECORD.json", 1, 1,
     "sign a record here, to be published anywhere")
#undef VERB
