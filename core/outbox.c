/* outbox.c -- see outbox.h. */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct ld_datagram {
    struct ld_datagram *next;
    size_t len;
    uint8_t bytes[];
};

void ld_outbox_init(struct ld_outbox *o, int fd, size_t limit)
{
    *o = (struct ld_outbox){.fd = fd, .limit = limit};
    o->tail = &o->head;
}

static enum ld_status try_send(const struct ld_outbox *o, const void *p,
                               size_t n)
{
    ssize_t done;

    do {
        done = send(o->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (done < 0 && errno == EINTR);
    if (done >= 0)
        return LD_OK;
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? LD_AGAIN
                                                                  : LD_CLOSED;
}

enum ld_status ld_outbox_put(struct ld_outbox *o, const void *p, size_t n)
{
    enum ld_status st = o->head ? LD_AGAIN : try_send(o, p, n);
    struct ld_datagram *d;

    if (st != LD_AGAIN)
        return st;
    if (o->kept + n > o->limit)
        return LD_LIMIT;
    d = malloc(sizeof(*d) + n);
    if (!d)
        return LD_NOMEM;
    d->next = NULL;
    d->len = n;
    memcpy(d->bytes, p, n);
    *o->tail = d;
    o->tail = &d->next;
    o->kept += n;
    return LD_OK;
}

static void drop_head(struct ld_outbox *o)
{
    struct ld_datagram *d = o->head;

    o->head = d->next;
    o->kept -= d->len;
    if (!o->head)
        o->tail = &o->head;
    free(d);
}

enum ld_status ld_outbox_flush(struct ld_outbox *o)
{
    while (o->head) {
        enum ld_status st = try_send(o, o->head->bytes, o->head->len);

        if (st)
            return st;
        drop_head(o);
    }
    return LD_OK;
}

void ld_outbox_clear(struct ld_outbox *o)
{
    while (o->head)
        drop_head(o);
}
