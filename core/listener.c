/* listener.c -- see listener.h.
 *
 * One accept per wake-up, and another only when the previous wake-up brought
 * a connection too: accepting until EAGAIN costs a system call per connection
 * that mostly finds nothing.
 */
#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPTS_MAX = 4 /* per wake-up: accepting must not starve I/O */ };

static const double EXHAUSTED_PAUSE = 0.1; /* seconds */

struct ld_listener {
    ev_io io;
    ev_timer retry;
    struct ev_loop *loop;
    const struct ld_log *log;
    ld_accept_fn on_accept;
    void *ctx;
    char *path; /* of a unix socket, or NULL */
    int fd;
    int budget; /* accepts in the next wake-up */
    bool exhausted;
};

/* Out of descriptors or memory: the connection stays in the kernel's queue,
 * so the watcher would spin.  Wait for one to close. */
static void pause_exhausted(struct ld_listener *l)
{
    if (!l->exhausted)
        ld_log(l->log, LD_WARN, "accepting paused", "port=%u error=\"%s\"",
               ld_listener_port(l), strerror(errno));
    l->exhausted = true;
    ev_io_stop(l->loop, &l->io);
    ev_timer_set(&l->retry, EXHAUSTED_PAUSE, 0);
    ev_timer_start(l->loop, &l->retry);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
    struct ld_listener *l = w->data;

    (void)events;
    ev_io_start(loop, &l->io);
}

/* What accept() reports about one connection that went away, or about the
 * network, says nothing about the listener. */
static void accept_failed(struct ld_listener *l)
{
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: pause_exhausted(l); break;
    default: break;
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct ld_listener *l = w->data;
    int accepted = 0;

    (void)loop;
    (void)events;
    while (accepted < l->budget && ev_is_active(w)) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int fd = accept4(l->fd, (struct sockaddr *)&peer, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            accept_failed(l);
            break;
        }
        accepted++;
        if (l->exhausted)
            ld_log(l->log, LD_INFO, "accepting again", "port=%u",
                   ld_listener_port(l));
        l->exhausted = false;
        l->on_accept(l->ctx, fd, &peer);
    }
    if (accepted < l->budget)
        l->budget = 1;
    else if (l->budget < ACCEPTS_MAX)
        l->budget++;
}

struct ld_listener *ld_listener_adopt(struct ev_loop *loop, int fd,
                                      const struct ld_log *log)
{
    struct ld_listener *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->loop = loop;
    l->log = log;
    l->budget = 1;
    l->fd = fd;
    ev_io_init(&l->io, on_readable, fd, EV_READ);
    ev_timer_init(&l->retry, on_retry, 0, 0);
    l->io.data = l->retry.data = l;
    return l;
}

bool ld_listener_keep(struct ld_listener *l, const char *path)
{
    l->path = strdup(path);
    return l->path;
}

struct ld_listener *ld_listener_open(struct ev_loop *loop,
                                     const struct ld_address *at, int backlog,
                                     const struct ld_log *log)
{
    int fd = ld_listener_bind(at, backlog, LD_PORT_OWN);
    struct ld_listener *l;

    if (fd < 0)
        return NULL;
    l = ld_listener_adopt(loop, fd, log);
    if (l && (at->family != AF_UNIX || ld_listener_keep(l, at->path)))
        return l;
    close(fd);
    free(l);
    errno = ENOMEM;
    return NULL;
}

void ld_listener_start(struct ld_listener *l, ld_accept_fn on_accept, void *ctx)
{
    l->on_accept = on_accept;
    l->ctx = ctx;
    ev_timer_stop(l->loop, &l->retry);
    ev_io_start(l->loop, &l->io);
}

void ld_listener_pause(struct ld_listener *l)
{
    ev_io_stop(l->loop, &l->io);
    ev_timer_stop(l->loop, &l->retry);
}

int ld_listener_fd(const struct ld_listener *l)
{
    return l->fd;
}

uint16_t ld_listener_port(const struct ld_listener *l)
{
    return ld_listener_bound(l->fd);
}

void ld_listener_close(struct ld_listener *l)
{
    if (!l)
        return;
    ld_listener_pause(l);
    close(l->fd);
    if (l->path)
        unlink(l->path);
    free(l->path);
    free(l);
}
