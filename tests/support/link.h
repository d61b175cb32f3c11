/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_LINK_H
#define SUPPORT_LINK_H

#include "conn/conn.h"
#include "multi/multiaddr.h"

/* One connection of ours over a TCP socket, without a node around it, for
 * programs that poll(2) a few of them:
 *
 *      poll: fd, link_wanted(), link_wait_ms(link_deadline() of all)
 *      link_service(l, revents);       every event to its owner
 *      … open, write …
 *      link_flush(l);
 *
 * A link that is closed has the descriptor -1, which poll(2) passes over. */
typedef void link_on_event(void *owner, const struct conn_event *ev);

struct link {
    int fd;
    struct conn *conn;
    link_on_event *on_event;
    void *owner;
    bool is_deaf; /* reads no more: only hears that the other has left */
};

/* Connected to an IPv4 address, or the program ends, as it does with all that
 * the system refuses.  |receive_buffer|: 0 is the system's own. */
int link_connect(const struct endpoint *to, int receive_buffer);
/* A socket that listens on loopback, and its port. */
int link_listen(uint16_t *port);

/* |fd| is the link's from now on.  |config| as of conn_new(). */
void link_start(struct link *l, int fd, const struct conn_config *config,
                link_on_event *on_event, void *owner);
void link_stop(struct link *l);

short link_wanted(struct link *l);
/* When link_service() is wanted although nothing has come. */
tstamp link_deadline(const struct link *l);
int link_wait_ms(tstamp until); /* for poll(2) */

/* Take what has come.  After CONN_EV_CLOSED the descriptor is closed. */
void link_service(struct link *l, short revents);
void link_flush(struct link *l);

/* Ends the program, with what the system says of it. */
_Noreturn void link_die(const char *what);

#endif /* SUPPORT_LINK_H */
