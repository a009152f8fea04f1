/* dial_attempt.c -- one socket, and what its errors mean; see dial.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dial_parts.h"

enum { ADDRESS_TEXT = INET6_ADDRSTRLEN + 16 };

bool ld_dial_numeric(struct ld_dial_address *a, const char *text, uint16_t port)
{
    memset(a, 0, sizeof(*a));
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(port);
        a->len = sizeof(a->v4);
    } else if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(port);
        a->len = sizeof(a->v6);
    }
    return a->len > 0;
}

static const char *address_text(const struct ld_dial_address *a, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (a->sa.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host));
        snprintf(text, ADDRESS_TEXT, "[%s]", host);
    } else {
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof(host));
        snprintf(text, ADDRESS_TEXT, "%s", host);
    }
    return text;
}

/* What connect() says about the way to TO.  EADDRNOTAVAIL: IPv4 has no free
 * local port, or IPv6 is off. */
static enum ld_status meaning(const struct ld_dial_address *to, int err)
{
    switch (err) {
    case ECONNREFUSED:
    case ENOENT: return LD_REFUSED;
    case EPIPE:
    case ECONNRESET: return LD_RESET;
    case ETIMEDOUT: return LD_TIMEOUT;
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case EAFNOSUPPORT: return LD_UNREACHABLE;
    case EADDRNOTAVAIL:
        return to && to->sa.sa_family == AF_INET6 ? LD_UNREACHABLE : LD_LIMIT;
    case EAGAIN:
    case EMFILE:
    case ENFILE: return LD_LIMIT;
    case ENOMEM:
    case ENOBUFS: return LD_NOMEM;
    default: return LD_ERROR;
    }
}

static enum ld_status note(struct ld_dial *d, const struct ld_dial_address *to,
                           int err)
{
    enum ld_status st = meaning(to, err);
    char text[ADDRESS_TEXT];

    if (to && d->named)
        ld_dial_note(d, st, "%s: %s: %s", d->label, address_text(to, text),
                     strerror(err));
    else
        ld_dial_note(d, st, "%s: %s", d->label, strerror(err));
    return st;
}

/* A port of ours may be that of the target: then it met itself. */
static bool is_itself(int fd, const struct ld_dial_address *to)
{
    struct ld_dial_address ours = {.len = 0};
    socklen_t len = sizeof(ours.v6);

    if (!to || getsockname(fd, &ours.sa, &len) < 0 || len != to->len)
        return false;
    if (to->sa.sa_family == AF_INET6)
        return ours.v6.sin6_port == to->v6.sin6_port &&
               !memcmp(&ours.v6.sin6_addr, &to->v6.sin6_addr,
                       sizeof(to->v6.sin6_addr));
    return ours.v4.sin_port == to->v4.sin_port &&
           ours.v4.sin_addr.s_addr == to->v4.sin_addr.s_addr;
}

/* The socket is ready: it is connected, or has failed. */
static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
    struct ld_dial_attempt *a = io->data;
    struct ld_dial *d = a->dial;
    int err = 0, fd = io->fd;
    socklen_t len = sizeof(err);

    (void)events;
    ev_io_stop(loop, io);
    d->live--;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (!err && is_itself(fd, a->to))
        err = ECONNREFUSED;
    if (!err) {
        ld_dial_connected(d, fd, true);
        return;
    }
    close(fd);
    note(d, a->to, err);
    ld_dial_failed(d);
}

/* From where D wants to come.  LD_OK, or what was noted. */
static enum ld_status bind_source(struct ld_dial *d, int fd)
{
    static const int on = 1;
    char text[ADDRESS_TEXT];

    if (*d->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, d->device,
                                 (socklen_t)strlen(d->device)) < 0) {
        ld_dial_note(d, LD_ERROR, "%s: cannot use interface '%s': %s", d->label,
                     d->device, strerror(errno));
        return LD_ERROR;
    }
    if (!d->source.len)
        return LD_OK;
    /* The port is chosen when the target is known: more are free then. */
    if (d->source.v4.sin_port)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    else
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, &d->source.sa, d->source.len) == 0)
        return LD_OK;
    ld_dial_note(d, LD_ERROR, "%s: cannot come from %s: %s", d->label,
                 address_text(&d->source, text), strerror(errno));
    return LD_ERROR;
}

static enum ld_status prepare(struct ld_dial *d, int fd)
{
    static const int on = 1;

    if (d->local.sun_family)
        return LD_OK;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    return bind_source(d, fd);
}

static void watch(struct ld_dial *d, const struct ld_dial_address *to, int fd)
{
    struct ld_dial_attempt *a = &d->attempts[d->attempt_count++];

    a->dial = d;
    a->to = to;
    ev_io_init(&a->io, on_ready, fd, EV_WRITE);
    a->io.data = a;
    ev_io_start(d->dialer->loop, &a->io);
    d->live++;
}

enum ld_status ld_dial_attempt(struct ld_dial *d,
                               const struct ld_dial_address *to)
{
    const struct sockaddr *sa =
        to ? &to->sa : (const struct sockaddr *)&d->local;
    socklen_t len = to ? to->len : sizeof(d->local);
    int fd, err;
    enum ld_status st;

    fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return note(d, to, errno);
    st = prepare(d, fd);
    if (st) {
        close(fd);
        return st;
    }
    if (connect(fd, sa, len) == 0) {
        ld_dial_connected(d, fd, false);
        return LD_OK;
    }
    err = errno;
    if (err == EINPROGRESS || err == EINTR) {
        watch(d, to, fd);
        return LD_OK;
    }
    close(fd);
    if (err == EAGAIN && !to)
        return LD_AGAIN;
    return note(d, to, err);
}

void ld_dial_drop_attempts(struct ld_dial *d)
{
    for (unsigned i = 0; i < d->attempt_count; i++) {
        struct ld_dial_attempt *a = &d->attempts[i];

        if (!ev_is_active(&a->io))
            continue;
        ev_io_stop(d->dialer->loop, &a->io);
        close(a->io.fd);
        d->live--;
    }
}
