/* handshake.c -- see handshake.h. */
#include "handshake.h"

#include <stdlib.h>

struct ld_handshake {
    ev_io io;
    ev_timer deadline;
    struct ev_loop *loop;
    struct ld_link link;
    struct sockaddr_storage peer;
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

static void finish(struct ld_handshake *h, enum ld_status st, const char *why)
{
    leave(h);
    if (st)
        h->link.transport->close(&h->link, st == LD_TIMEOUT);
    h->done(h->ctx, st, &h->link, &h->peer, why);
    free(h);
}

static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    finish(t->data, LD_TIMEOUT, "it took too long");
}

static void on_ready(struct ev_loop *loop, ev_io *w, int events)
{
    struct ld_handshake *h = w->data;
    char why[256] = "";
    int wants;
    enum ld_status st = ld_tls_handshake(&h->link, &wants, why, sizeof(why));

    (void)events;
    if (st != LD_AGAIN) {
        finish(h, st, why);
        return;
    }
    if ((w->events & (LD_READ | LD_WRITE)) == wants)
        return;
    ev_io_stop(loop, w);
    ev_io_set(w, h->link.fd, wants);
    ev_io_start(loop, w);
}

static void enter(struct ld_handshakes *all, struct ld_handshake *h)
{
    h->next = all->first;
    h->former = &all->first;
    if (h->next)
        h->next->former = &h->next;
    all->first = h;
}

enum ld_status ld_handshake_begin(struct ld_handshakes *all,
                                  struct ev_loop *loop,
                                  struct ld_tls_context *tls, int fd,
                                  const struct sockaddr_storage *peer,
                                  double seconds, ld_handshake_fn done,
                                  void *ctx)
{
    struct ld_handshake *h = calloc(1, sizeof(*h));

    if (!h)
        return LD_NOMEM;
    if (ld_tls_accept(tls, fd, &h->link)) {
        free(h);
        return LD_NOMEM;
    }
    h->loop = loop;
    h->peer = *peer;
    h->done = done;
    h->ctx = ctx;
    ev_io_init(&h->io, on_ready, fd, EV_READ);
    ev_timer_init(&h->deadline, on_deadline, seconds, 0);
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
        free(h);
    }
}
