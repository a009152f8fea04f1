/* sock.c -- the transport over a plain stream socket; see transport.h. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sock.h"

enum ld_status ld_sock_failure(void)
{
    switch (errno) {
    case EAGAIN:
    case EINTR: return LD_AGAIN;
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT: return LD_RESET;
    case ECONNREFUSED: return LD_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH: return LD_UNREACHABLE;
    default: return LD_ERROR;
    }
}

void ld_sock_notsent_lowat(struct ld_link *l, unsigned bytes)
{
    if (l->transport == &ld_sock)
        setsockopt(l->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes,
                   sizeof(bytes));
}

void ld_sock_quick_ack(struct ld_link *l)
{
    int on = 1;

    if (l->transport == &ld_sock)
        setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static enum ld_status sock_writev(struct ld_link *l, const struct iovec *iov,
                                  int count, size_t *put)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov,
                         .msg_iovlen = (size_t)count};
    ssize_t n;

    if (count == 1)
        return ld_sock_write(l, iov->iov_base, iov->iov_len, put);
    n = sendmsg(l->fd, &msg, MSG_NOSIGNAL);
    if (n < 0)
        return ld_sock_failure();
    *put = (size_t)n;
    return LD_OK;
}

static enum ld_status sock_shutdown(struct ld_link *l)
{
    return shutdown(l->fd, SHUT_WR) < 0 ? ld_sock_failure() : LD_OK;
}

static void sock_close(struct ld_link *l, bool reset)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (reset)
        setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(l->fd);
    l->fd = -1;
}

static bool sock_pending(struct ld_link *l)
{
    int n = 0;

    return ioctl(l->fd, FIONREAD, &n) == 0 && n > 0;
}

static int sock_wants(struct ld_link *l, int wanted)
{
    (void)l;
    return wanted;
}

const struct ld_transport ld_sock = {
    .name = "sock",
    .read = ld_sock_read,
    .writev = sock_writev,
    .shutdown = sock_shutdown,
    .close = sock_close,
    .pending = sock_pending,
    .wants = sock_wants,
};
