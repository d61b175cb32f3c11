/* SPDX-License-Identifier: Apache-2.0 */
#include "market/select.h"

#include <string.h>

int select_cmp(const struct select_key *a, const struct select_key *b)
{
    if (a->is_signed != b->is_signed)
        return a->is_signed ? -1 : 1;
    if (a->sequence != b->sequence)
        return a->sequence > b->sequence ? -1 : 1;
    return memcmp(a->hash, b->hash, sizeof(a->hash));
}
