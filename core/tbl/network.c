/* SPDX-License-Identifier: Apache-2.0 */
#include "tbl/network.h"

#include <stddef.h>
#include <string.h>

static const struct network networks[] = {
#define NETWORK(name, version, kad, prefix, topic, id, heartbeat, unsigned_ok) \
    {#name, version, kad, prefix, topic, id, heartbeat, unsigned_ok},
#include "tbl/networks.h"
};

const struct network *network_find(const char *name)
{
    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
        if (strcmp(networks[i].name, name) == 0)
            return &networks[i];
    return NULL;
}
