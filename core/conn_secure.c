/* conn_secure.c -- a connection gets another transport over the same socket;
 * see conn.h.
 */
#include <unistd.h>

#include "conn_read.h"

enum ld_status ld_conn_detach(struct ld_conn *c, int *fd)
{
    if (c->phase != LD_PHASE_OPEN || c->doom || c->shut)
        return LD_CLOSED;
    if (ld_conn_unread(c) > 0)
        return LD_PROTOCOL;
    if (c->link.transport != &ld_sock || c->out || ld_conn_is_read(c))
        return LD_BUSY;
    if (c->pool->loop && ev_is_active(&c->io))
        ev_io_stop(c->pool->loop, &c->io);
    if (c->pool->loop && ev_is_pending(&c->io))
        ev_clear_pending(c->pool->loop, &c->io);
    *fd = c->link.fd;
    c->link = (struct ld_link){.transport = &ld_nowhere, .fd = -1};
    return LD_OK;
}

void ld_conn_attach(struct ld_conn *c, struct ld_link link)
{
    c->link = link;
    c->blocked = false;
    c->heard = c->pool->now;
    ld_conn_queue(c);
}
