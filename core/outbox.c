/* outbox.c -- see outbox.h. */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ld_datagram {
    struct ld_datagram *next;
    size_t len;
    int fd; /* that goes along, or -1 */
    uint8_t bytes[];
};

void ld_outbox_init(struct ld_outbox *o, int fd, size_t limit)
{
    *o = (struct ld_outbox){.fd = fd, .limit = limit};
    o->tail = &o->head;
}

static ssize_t send_fd(int to, const void *p, size_t n, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec iov = {(void *)p, n};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    return sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static enum ld_status try_send(const struct ld_outbox *o, const void *p,
                               size_t n, int fd)
{
    ssize_t done;

    do {
        done = fd >= 0 ? send_fd(o->fd, p, n, fd)
                       : send(o->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (done < 0 && errno == EINTR);
    if (done >= 0)
        return LD_OK;
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? LD_AGAIN
                                                                  : LD_CLOSED;
}

enum ld_status ld_outbox_put(struct ld_outbox *o, const void *p, size_t n)
{
    return ld_outbox_put_fd(o, p, n, -1);
}

enum ld_status ld_outbox_put_fd(struct ld_outbox *o, const void *p, size_t n,
                                int fd)
{
    enum ld_status st = o->head ? LD_AGAIN : try_send(o, p, n, fd);
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
    d->fd = fd >= 0 ? dup(fd) : -1;
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
    if (d->fd >= 0)
        close(d->fd);
    if (!o->head)
        o->tail = &o->head;
    free(d);
}

enum ld_status ld_outbox_flush(struct ld_outbox *o)
{
    while (o->head) {
        enum ld_status st =
            try_send(o, o->head->bytes, o->head->len, o->head->fd);

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
