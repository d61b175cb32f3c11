/* SPDX-License-Identifier: Apache-2.0
 *
 * Every error the node can report, once.  Include with ERR() defined.  The REST
 * code of a row is its name in lower case with dashes.
 *
 *  ERR(name,              class,    http, text)                             */

/* Anywhere. */
ERR(INVAL, USAGE, 422, "invalid argument")
ERR(NOT_FOUND, USAGE, 404, "not found")
ERR(LIMIT, LIMIT, 503, "a configured limit was reached")
ERR(NOMEM, INTERNAL, 503, "out of memory")
ERR(CANCELLED, USAGE, 499, "the caller went away")
ERR(INTERNAL, INTERNAL, 500, "internal error")

/* Talking to peers. */
ERR(PROTO, PEER, 502, "peer broke the protocol")
ERR(FRAME_SIZE, PEER, 502, "frame larger than allowed")
ERR(FLOW_CONTROL, PEER, 502, "peer exceeded its window")
ERR(TIMEOUT, PEER, 504, "no answer in time")
ERR(CRYPTO, PEER, 502, "authentication of a message failed")
ERR(WRONG_PEER, PEER, 502, "the peer is not the one that was dialled")
ERR(NO_PROTOCOL, PEER, 502, "peer does not speak the protocol")
ERR(RESET, PEER, 502, "peer reset the stream")
ERR(CLOSED, PEER, 502, "connection closed")
ERR(DIAL_FAILED, PEER, 502, "the peer could not be reached")
ERR(BANNED, USAGE, 403, "the peer is banned")
ERR(BUSY, LIMIT, 503, "too many requests in flight; try again later")
ERR(DRAINING, LIMIT, 503, "the node is shutting down")

/* Package records. */
ERR(NOT_JSON, USAGE, 400, "the body is not JSON")
ERR(SCHEMA, USAGE, 422, "the record does not have the required form")
ERR(RECORD_SIZE, USAGE, 422, "the record is larger than 12 KiB")
ERR(BAD_SIGNATURE, USAGE, 422, "the signature does not verify")
ERR(UNSIGNED, USAGE, 422, "the record is not signed")
ERR(WRONG_KEY, PEER, 422, "the record does not belong under that key")
ERR(NOT_OWNER, USAGE, 403, "the name belongs to another key")
ERR(VERSION_EXISTS, USAGE, 409, "that version exists with other content")
ERR(STALE_SEQUENCE, USAGE, 409, "a record with a higher sequence is known")
ERR(NAME_EQUIVALENT, USAGE, 409, "a name differing only in - and _ is taken")
ERR(NOT_OUR_KEY, USAGE, 409, "another key signed it; its owner must sign")
ERR(ALL_YANKED, USAGE, 404, "every version is yanked")
ERR(LOOKUP_INCOMPLETE, PEER, 504, "the lookup ended before it was complete")

/* HTTP. */
ERR(UNAUTHORIZED, USAGE, 401, "a bearer token is required")
ERR(FORBIDDEN, USAGE, 403, "the token does not allow this")
ERR(METHOD_NOT_ALLOWED, USAGE, 405, "the resource has no such method")
ERR(BODY_TOO_LARGE, USAGE, 413, "the body is too large")
ERR(UNSUPPORTED_MEDIA_TYPE, USAGE, 415, "the media type is not supported")
ERR(MISDIRECTED, USAGE, 421, "the Host is not one of ours")
ERR(HEADERS_TOO_LARGE, USAGE, 431, "the request headers are too large")
ERR(RATE_LIMITED, LIMIT, 429, "too many requests; slow down")
ERR(BAD_REQUEST, USAGE, 400, "the request is malformed")

/* The node's own house. */
ERR(STORE, INTERNAL, 503, "the store failed")
ERR(STORE_CORRUPT, INTERNAL, 500, "the database is damaged")
ERR(STORE_NEWER, INTERNAL, 500, "the database is of a newer souk")
ERR(IO, INTERNAL, 500, "input or output failed")
ERR(CONFIG, USAGE, 500, "the configuration is wrong")
#undef ERR
