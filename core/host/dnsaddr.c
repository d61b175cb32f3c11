/* SPDX-License-Identifier: Apache-2.0 */
#include "host/dnsaddr.h"

#include <limits.h>

#include <arpa/nameser.h>
#include <resolv.h>

enum { TEXT_MAX = MULTIADDR_TEXT_MAX };

/* The character strings of one TXT record, joined.  False: too long, cut. */
static bool join_strings(struct span rdata, char *out, size_t *len)
{
    uint8_t part_len;
    struct span part;

    *len = 0;
    while (rdata.len > 0) {
        if (!span_u8(&rdata, &part_len) ||
            !span_bytes(&rdata, part_len, &part) || *len + part.len > TEXT_MAX)
            return false;
        if (part.len > 0)
            memcpy(out + *len, part.data, part.len);
        *len += part.len;
    }
    return true;
}

static bool read_record(struct span rdata, struct multiaddr *out)
{
    struct span prefix = SPAN_LIT("dnsaddr=");
    char text[TEXT_MAX];
    struct span s;
    size_t len;

    if (!join_strings(rdata, text, &len))
        return false;
    s = SPAN(text, len);
    if (!span_starts_with(s, prefix))
        return false;
    (void)span_take(&s, prefix.len);
    return multiaddr_parse(out, s) == OK;
}

size_t dnsaddr_read(struct span message, struct multiaddr *out, size_t max)
{
    size_t count = 0;
    ns_msg msg;
    ns_rr rr;

    if (message.len > INT_MAX ||
        ns_initparse(message.data, (int)message.len, &msg) != 0)
        return 0;
    for (int i = 0; i < ns_msg_count(msg, ns_s_an) && count < max; i++) {
        if (ns_parserr(&msg, ns_s_an, i, &rr) != 0)
            break;
        if (ns_rr_type(rr) == ns_t_txt &&
            read_record(SPAN(ns_rr_rdata(rr), ns_rr_rdlen(rr)), &out[count]))
            count++;
    }
    return count;
}
