/* sock.h -- the two calls on a plain socket that every turn makes.
 *
 * Inline, and conn.c inlines what leads to them: after a system call the
 * processor predicts no return right, so each level of calls around one costs
 * more than the call itself.
 */
#ifndef LD_SOCK_H
#define LD_SOCK_H

#include <errno.h>
#include <sys/socket.h>

#include "transport.h"

/* Have the kernel take no more than BYTES that it has not sent; 0 for the
 * system's default.  Does nothing for what is no TCP. */
void ld_sock_notsent_lowat(struct ld_link *l, unsigned bytes);

/* Acknowledge what has come now, not up to 40 ms later.  Does nothing for what
 * is no TCP. */
void ld_sock_quick_ack(struct ld_link *l);

/* What errno says about the connection. */
enum ld_status ld_sock_failure(void);

static inline enum ld_status ld_sock_read(struct ld_link *l, void *dst,
                                          size_t size, size_t *got)
{
    ssize_t n = recv(l->fd, dst, size, 0);

    if (n > 0) {
        *got = (size_t)n;
        return LD_OK;
    }
    return n == 0 ? LD_EOF : ld_sock_failure();
}

/* MSG_NOSIGNAL: a library must not depend on how SIGPIPE is set. */
static inline enum ld_status ld_sock_write(struct ld_link *l, const void *src,
                                           size_t size, size_t *put)
{
    ssize_t n = send(l->fd, src, size, MSG_NOSIGNAL);

    if (n < 0)
        return ld_sock_failure();
    *put = (size_t)n;
    return LD_OK;
}

/* The transport's read, whichever it is. */
static inline enum ld_status ld_link_read(struct ld_link *l, void *dst,
                                          size_t size, size_t *got)
{
    if (l->transport == &ld_sock)
        return ld_sock_read(l, dst, size, got);
    return l->transport->read(l, dst, size, got);
}

/* The transport's write of one piece. */
static inline enum ld_status ld_link_write(struct ld_link *l, void *src,
                                           size_t size, size_t *put)
{
    struct iovec iov = {src, size};

    if (l->transport == &ld_sock)
        return ld_sock_write(l, src, size, put);
    return l->transport->writev(l, &iov, 1, put);
}

#endif
