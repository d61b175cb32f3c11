/* SPDX-License-Identifier: Apache-2.0
 *
 * All that can be learnt of a peer, once.  Include with OUTCOME() defined.  The
 * name over REST is the row's in lower case with dashes.
 *
 *  OUTCOME(name, effect, text)
 *
 * effect: SUCCESS and FAILURE count in the score; OFFENCE is a failure the
 * peer itself made, MALFORMED likewise: ten in a minute ban; NOTE is only
 * remembered.                                                                */
OUTCOME(DIALLED, SUCCESS, "we dialled it and the handshake succeeded")
OUTCOME(DIAL_FAILED, FAILURE, "it could not be reached")
OUTCOME(ACCEPTED, SUCCESS, "it dialled us and the handshake succeeded")
OUTCOME(PING_ANSWERED, SUCCESS, "it answered a ping")
OUTCOME(PING_FAILED, FAILURE, "it did not answer a ping")
OUTCOME(RPC_ANSWERED, SUCCESS, "it answered a DHT request")
OUTCOME(RPC_FAILED, FAILURE, "it did not answer a DHT request")
OUTCOME(SEARCH_ANSWERED, SUCCESS, "it answered a search")
OUTCOME(SEARCH_FAILED, FAILURE, "it did not answer a search")
OUTCOME(SEARCH_BUSY, NOTE, "it was too busy for a search")
OUTCOME(FETCH_ANSWERED, SUCCESS, "it gave a record that verified")
OUTCOME(FETCH_FAILED, FAILURE, "it did not give a record it should have")
OUTCOME(RECORD_BAD, FAILURE, "it handed on a record that does not verify")
OUTCOME(MESSAGE_FIRST, SUCCESS, "first to bring a gossip message")
OUTCOME(MESSAGE_INVALID, FAILURE, "it brought an invalid gossip message")
OUTCOME(MESSAGE_DROPPED, FAILURE, "it sent more gossip than its budget")
OUTCOME(MESSAGE_WITHHELD, NOTE, "it forwarded less gossip than others do")
OUTCOME(PROMISE_BROKEN, FAILURE,
        "it offered a gossip message and did not send it")
OUTCOME(SIGNATURE_BAD, OFFENCE, "bad signature on its own gossip message")
OUTCOME(FLOOD, OFFENCE, "it went on after it was told to stop")
OUTCOME(FRAMING, MALFORMED, "its bytes broke a protocol's framing")
OUTCOME(PACKAGE_PROVIDED, NOTE, "it provided a package not seen from it before")
OUTCOME(BANNED, NOTE, "banned")
OUTCOME(UNBANNED, NOTE, "the ban was lifted")
OUTCOME(LOCATED, NOTE, "its location became known")
#undef OUTCOME
