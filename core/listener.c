/* listener.c -- see listener.h.
 *
 * One accept per wake-up, and another only when the previous wake-up brought
 * a connection too: accepting until EAGAIN costs a system call per connection
 * that mostly finds nothing.
 */
#define _GNU_SOURCE
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ACCEPTS_MAX = 16 /* per wake-up: accepting must not starve I/O */ };

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

static socklen_t fill_inet(struct sockaddr_storage *to,
                           const struct ld_address *at)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

    if (at->family == AF_INET) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(at->port);
        return inet_pton(AF_INET, at->host, &v4->sin_addr) == 1 ? sizeof(*v4)
                                                                : 0;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(at->port);
    return inet_pton(AF_INET6, at->host, &v6->sin6_addr) == 1 ? sizeof(*v6) : 0;
}

/* The length of the address, or 0 with errno set. */
static socklen_t fill_address(struct sockaddr_storage *to,
                              const struct ld_address *at)
{
    struct sockaddr_un *un = (struct sockaddr_un *)to;
    socklen_t len;

    memset(to, 0, sizeof(*to));
    if (at->family != AF_UNIX) {
        len = fill_inet(to, at);
        if (!len)
            errno = EINVAL;
        return len;
    }
    if (strlen(at->path) >= sizeof(un->sun_path)) {
        errno = ENAMETOOLONG;
        return 0;
    }
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, at->path);
    return sizeof(*un);
}

/* A socket file whose owner is gone may be replaced; a living one may not. */
static int remove_dead_socket(const struct sockaddr_storage *sa, socklen_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)sa;
    struct stat info;
    int fd, dead;

    if (stat(un->sun_path, &info) < 0)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISSOCK(info.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* With a full queue a living one says EAGAIN. */
    dead = connect(fd, (const struct sockaddr *)sa, len) < 0 &&
           errno == ECONNREFUSED;
    close(fd);
    if (!dead) {
        errno = EADDRINUSE;
        return -1;
    }
    return unlink(un->sun_path);
}

/* Options that accepted sockets inherit, so that none is set per accept. */
static int set_options(int fd, int family)
{
    int on = 1, off = 0;

    if (family == AF_UNIX)
        return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        return -1;
    if (family == AF_INET6)
        return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    return 0;
}

/* A bound, listening, non-blocking fd, or -1 with errno set. */
static int listen_on(const struct ld_address *at, int backlog)
{
    struct sockaddr_storage sa;
    socklen_t len = fill_address(&sa, at);
    int fd, err;

    if (!len)
        return -1;
    fd = socket(at->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_options(fd, at->family) < 0)
        goto fail;
    if (at->family == AF_UNIX && remove_dead_socket(&sa, len) < 0)
        goto fail;
    if (bind(fd, (struct sockaddr *)&sa, len) < 0)
        goto fail;
    if (listen(fd, backlog) < 0)
        goto fail;
    return fd;

fail:
    err = errno; /* close() may overwrite it */
    close(fd);
    errno = err;
    return -1;
}

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

struct ld_listener *ld_listener_open(struct ev_loop *loop,
                                     const struct ld_address *at, int backlog,
                                     const struct ld_log *log)
{
    struct ld_listener *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->loop = loop;
    l->log = log;
    l->budget = 1;
    l->fd = listen_on(at, backlog);
    if (l->fd < 0)
        goto fail;
    ev_io_init(&l->io, on_readable, l->fd, EV_READ);
    ev_timer_init(&l->retry, on_retry, 0, 0);
    l->io.data = l->retry.data = l;
    if (at->family == AF_UNIX && !(l->path = strdup(at->path)))
        goto fail;
    return l;

fail:
    if (l->fd >= 0)
        close(l->fd);
    free(l);
    return NULL;
}

void ld_listener_start(struct ld_listener *l, ld_accept_fn on_accept, void *ctx)
{
    l->on_accept = on_accept;
    l->ctx = ctx;
    ev_io_start(l->loop, &l->io);
}

void ld_listener_pause(struct ld_listener *l)
{
    ev_io_stop(l->loop, &l->io);
    ev_timer_stop(l->loop, &l->retry);
}

uint16_t ld_listener_port(const struct ld_listener *l)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (getsockname(l->fd, (struct sockaddr *)&sa, &len) < 0)
        return 0;
    if (sa.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&sa)->sin_port);
    if (sa.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
    return 0;
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
