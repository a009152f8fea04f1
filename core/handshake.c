/* handshake.c -- see handshake.h. */
#include "handshake.h"

#include <stdlib.h>
#include <string.h>

#include "sock.h"

/* What has come of a PROXY header. */
struct head {
    size_t have;
    uint8_t bytes[LD_PROXY_MAX];
};

struct ld_handshake {
    ev_io io;
    ev_timer deadline;
    struct ev_loop *loop;
    struct ld_handshakes *all;
    struct ld_link link;
    struct ld_visitor who;
    struct ld_tls_context *tls; /* until that has begun */
    struct head *head;          /* until it is there */
    ld_handshake_fn done;
    void *ctx;
    struct ld_handshake *next, **former; /* what points to it */
};

static void leave(struct ld_handshake *h)
{
    ev_io_stop(h->loop, &h->io);
    ev_timer_stop(h->loop, &h->deadline);
    *h->former = h->next;
    if (h->next)
        h->next->former = h->former;
}

static void release(struct ld_handshake *h)
{
    ld_tls_context_unref(h->tls);
    free(h->head);
    free(h);
}

static void finish(struct ld_handshake *h, enum ld_status st, const char *why)
{
    leave(h);
    if (st) {
        h->link.transport->close(&h->link, st == LD_TIMEOUT);
        free(h->who.origin);
        h->who.origin = NULL;
    }
    h->done(h->ctx, st, &h->link, &h->who, why);
    release(h);
}

static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    finish(t->data, LD_TIMEOUT, "it took too long");
}

static void watch(struct ld_handshake *h, int wants)
{
    if (ev_is_active(&h->io) && (h->io.events & (LD_READ | LD_WRITE)) == wants)
        return;
    ev_io_stop(h->loop, &h->io);
    ev_io_set(&h->io, h->link.fd, wants);
    ev_io_start(h->loop, &h->io);
}

static void step_tls(struct ld_handshake *h)
{
    char why[256] = "";
    int wants;
    enum ld_status st = ld_tls_handshake(&h->link, &wants, why, sizeof(why));

    if (st == LD_AGAIN)
        watch(h, wants);
    else
        finish(h, st, why);
}

/* Take from the socket what certainly belongs to the header: what follows it is
 * for others to read.  *SIZE is the header's once it is there, else 0. */
static enum ld_status take_head(struct ld_handshake *h, int *size)
{
    struct head *head = h->head;
    uint8_t *end = head->bytes + head->have;
    ssize_t n =
        recv(h->link.fd, end, sizeof(head->bytes) - head->have, MSG_PEEK);

    if (n <= 0)
        return n == 0 ? LD_EOF : ld_sock_failure();
    *size = ld_proxy_size(head->bytes, head->have + (size_t)n);
    if (*size < 0)
        return LD_PROTOCOL;
    if (*size > 0)
        n = *size - (ssize_t)head->have;
    n = recv(h->link.fd, end, (size_t)n, 0);
    head->have += n > 0 ? (size_t)n : 0;
    return LD_OK;
}

static enum ld_status begin_tls(struct ld_handshake *h, const char *name)
{
    int fd = h->link.fd;
    enum ld_status st = ld_tls_begin(h->tls, fd, name, &h->link);

    if (st)
        return st;
    ld_tls_context_unref(h->tls);
    h->tls = NULL;
    return LD_OK;
}

/* The header is there. */
static void after_head(struct ld_handshake *h, size_t size)
{
    const char *why;

    h->who.origin = ld_proxy_read(h->head->bytes, size, &why);
    free(h->head);
    h->head = NULL;
    if (!h->who.origin)
        finish(h, why ? LD_PROTOCOL : LD_NOMEM, why ? why : "out of memory");
    else if (!h->tls)
        finish(h, LD_OK, NULL);
    else if (begin_tls(h, NULL))
        finish(h, LD_NOMEM, "out of memory");
    else
        step_tls(h);
}

static void step_head(struct ld_handshake *h)
{
    int size = 0;
    enum ld_status st = take_head(h, &size);

    if (st == LD_EOF)
        finish(h, LD_RESET, "the peer left");
    else if (st == LD_PROTOCOL)
        finish(h, st, "no header of the PROXY protocol came");
    else if (st && st != LD_AGAIN)
        finish(h, st, "the peer left");
    else if (!st && size > 0)
        after_head(h, (size_t)size);
}

static void on_ready(struct ev_loop *loop, ev_io *w, int events)
{
    struct ld_handshake *h = w->data;

    (void)loop;
    (void)events;
    if (h->head)
        step_head(h);
    else if (!h->all->crowd || ld_crowd_admits(h->all->crowd))
        step_tls(h);
}

static void enter(struct ld_handshakes *all, struct ld_handshake *h)
{
    h->next = all->first;
    h->former = &all->first;
    if (h->next)
        h->next->former = &h->next;
    all->first = h;
}

/* The first thing to do, before anything comes. */
static enum ld_status prepare(struct ld_handshake *h,
                              const struct ld_handshake_terms *terms)
{
    if (terms->tls)
        h->tls = ld_tls_context_ref(terms->tls);
    if (!terms->proxied)
        return begin_tls(h, terms->name);
    h->head = malloc(sizeof(*h->head));
    if (!h->head)
        return LD_NOMEM;
    h->head->have = 0;
    return LD_OK;
}

enum ld_status ld_handshake_begin(struct ld_handshakes *all,
                                  struct ev_loop *loop,
                                  const struct ld_handshake_terms *terms,
                                  int fd, const struct ld_visitor *who,
                                  ld_handshake_fn done, void *ctx)
{
    struct ld_handshake *h = calloc(1, sizeof(*h));
    bool first = terms->tls && ld_tls_is_client(terms->tls);

    if (!h)
        return LD_NOMEM;
    h->loop = loop;
    h->all = all;
    h->done = done;
    h->ctx = ctx;
    h->link = (struct ld_link){.transport = &ld_sock, .fd = fd};
    if (prepare(h, terms)) {
        release(h);
        return LD_NOMEM;
    }
    if (who)
        h->who = *who;
    ev_io_init(&h->io, on_ready, fd, first ? EV_READ | EV_WRITE : EV_READ);
    ev_timer_init(&h->deadline, on_deadline, terms->seconds, 0);
    h->io.data = h->deadline.data = h;
    ev_io_start(loop, &h->io);
    ev_timer_start(loop, &h->deadline);
    enter(all, h);
    return LD_OK;
}

void ld_handshakes_end(struct ld_handshakes *all, const void *ctx)
{
    struct ld_handshake *h = all->first, *next;

    for (; h; h = next) {
        next = h->next;
        if (ctx && h->ctx != ctx)
            continue;
        leave(h);
        h->link.transport->close(&h->link, true);
        free(h->who.origin);
        release(h);
    }
}
