/* nowhere.c -- the transport of a task, which has none; see transport.h. */
#include "transport.h"

static enum ld_status nowhere_read(struct ld_link *l, void *dst, size_t size,
                                   size_t *got)
{
    (void)l;
    (void)dst;
    (void)size;
    (void)got;
    return LD_AGAIN;
}

static enum ld_status nowhere_writev(struct ld_link *l, const struct iovec *iov,
                                     int n, size_t *put)
{
    (void)l;
    (void)iov;
    (void)n;
    (void)put;
    return LD_AGAIN;
}

static enum ld_status nowhere_shutdown(struct ld_link *l)
{
    (void)l;
    return LD_OK;
}

static void nowhere_close(struct ld_link *l, bool reset)
{
    (void)l;
    (void)reset;
}

static bool nowhere_pending(struct ld_link *l)
{
    (void)l;
    return false;
}

static int nowhere_wants(struct ld_link *l, int wanted)
{
    (void)l;
    (void)wanted;
    return 0;
}

const struct ld_transport ld_nowhere = {
    .name = "task",
    .read = nowhere_read,
    .writev = nowhere_writev,
    .shutdown = nowhere_shutdown,
    .close = nowhere_close,
    .pending = nowhere_pending,
    .wants = nowhere_wants,
};
