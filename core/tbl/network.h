/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TBL_NETWORK_H
#define TBL_NETWORK_H

#include <stdbool.h>

enum network_message_id { MESSAGE_ID_SHA256, MESSAGE_ID_FROM_SEQNO };

struct network {
    const char *name;
    const char *protocol_version; /* in identify */
    const char *kad_protocol;
    const char *key_prefix; /* before namespace/name */
    const char *topic;
    enum network_message_id message_id;
    unsigned heartbeat_ms;
    bool accepts_unsigned;
};

/* NULL: no such network. */
const struct network *network_find(const char *name);

#endif /* TBL_NETWORK_H */
