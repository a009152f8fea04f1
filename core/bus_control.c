/* bus_control.c -- the bus: what the supervisor says. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bus_parts.h"

enum { WAKE_UP_MAX = 64 /* messages: receiving must not starve I/O */ };

/* FD, or -1, came along. */
static void take(struct ld_bus *b, const uint8_t *p, size_t n, int fd)
{
    static const uint8_t pong = LD_CONTROL_PING;

    if (p[0] == LD_CONTROL_SOCKET && n == 5 && fd >= 0) {
        b->events->socket(b->ctx, ld_control_number(p + 1, 2),
                          ld_control_number(p + 3, 2), fd);
        return;
    }
    if (fd >= 0)
        close(fd);
    switch (p[0]) {
    case LD_CONTROL_PING: ld_bus_ask(b, &pong, 1); break;
    case LD_CONTROL_STATE: b->joined = true; break;
    case LD_CONTROL_LEAVE: b->events->leave(b->ctx); break;
    case LD_CONTROL_STOP: b->events->stop(b->ctx); break;
    case LD_CONTROL_DRAIN:
        if (n == 5)
            b->events->drain(b->ctx, ld_control_number(p + 1, 4));
        break;
    case LD_CONTROL_WATCH:
    case LD_CONTROL_UNWATCH:
        if (n == 3)
            b->events->watch(b->ctx, ld_control_number(p + 1, 2),
                             p[0] == LD_CONTROL_WATCH);
        break;
    case LD_CONTROL_WORKER:
        if (n == 8)
            ld_bus_peer_changed(b, ld_control_number(p + 1, 2),
                                ld_control_number(p + 3, 4), p[7]);
        b->events->control(b->ctx, p, n);
        break;
    default: b->events->control(b->ctx, p, n);
    }
}

/* As recv(); *FD is the descriptor that came along, or -1. */
static ssize_t receive(int from, void *p, size_t size, int *fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {p, size};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

    *fd = -1;
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(c), sizeof(*fd));
    return n;
}

/* One message: LD_OK, LD_AGAIN when there is none, LD_CLOSED. */
static enum ld_status take_one(struct ld_bus *b)
{
    uint8_t message[LD_CONTROL_MAX];
    int fd;
    ssize_t n = receive(b->seat->control, message, sizeof(message), &fd);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? LD_AGAIN : LD_CLOSED;
    if (n == 0)
        return LD_CLOSED;
    take(b, message, (size_t)n, fd);
    return LD_OK;
}

void ld_bus_on_control(struct ev_loop *loop, ev_io *w, int events)
{
    struct ld_bus *b = w->data;
    enum ld_status st = LD_OK;

    (void)events;
    for (int i = 0; i < WAKE_UP_MAX && !st; i++)
        st = take_one(b);
    if (st != LD_CLOSED)
        return;
    ev_io_stop(loop, w);
    b->events->stop(b->ctx);
}

void ld_bus_on_control_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct ld_bus *b = w->data;

    (void)events;
    if (ld_outbox_flush(&b->asks) != LD_AGAIN)
        ev_io_stop(loop, w);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum ld_status ld_bus_join(struct ld_bus *b, double seconds)
{
    struct pollfd control = {.fd = b->seat->control, .events = POLLIN};
    double deadline = now() + seconds;

    while (!b->joined) {
        double left = deadline - now();
        enum ld_status st;

        if (left <= 0)
            return LD_TIMEOUT;
        poll(&control, 1, (int)(left * 1000) + 1);
        do {
            st = take_one(b);
        } while (!st && !b->joined);
        if (st == LD_CLOSED)
            return st;
    }
    return LD_OK;
}
