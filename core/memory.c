/* memory.c -- see memory.h. */
#include "memory.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static enum ld_status memory_read(struct ld_link *l, void *dst, size_t size,
                                  size_t *got)
{
    struct ld_memory *m = l->state;
    size_t n = least(m->input.bytes, least(size, m->read_max));

    if (m->end == LD_RESET)
        return LD_RESET;
    if (n == 0)
        return m->end;
    ld_chain_copy(&m->input, 0, n, dst);
    ld_chain_consume(&m->input, n);
    *got = n;
    return LD_OK;
}

static enum ld_status memory_writev(struct ld_link *l, const struct iovec *iov,
                                    int count, size_t *put)
{
    struct ld_memory *m = l->state;
    size_t most = least(m->room, m->write_max), taken = 0;

    if (m->end == LD_RESET)
        return LD_RESET;
    for (int i = 0; i < count && taken < most; i++) {
        size_t n = least(iov[i].iov_len, most - taken);

        if (ld_chain_write(&m->output, iov[i].iov_base, n))
            return LD_ERROR;
        taken += n;
    }
    if (m->room != SIZE_MAX)
        m->room -= taken;
    *put = taken;
    return taken > 0 ? LD_OK : LD_AGAIN;
}

static enum ld_status memory_shutdown(struct ld_link *l)
{
    ((struct ld_memory *)l->state)->shut = true;
    return LD_OK;
}

static void memory_close(struct ld_link *l, bool reset)
{
    struct ld_memory *m = l->state;

    m->closed = true;
    m->was_reset = reset;
}

static bool memory_pending(struct ld_link *l)
{
    return ((struct ld_memory *)l->state)->input.bytes > 0;
}

static int memory_wants(struct ld_link *l, int wanted)
{
    (void)l;
    return wanted;
}

const struct ld_transport ld_memory_transport = {
    .name = "memory",
    .read = memory_read,
    .writev = memory_writev,
    .shutdown = memory_shutdown,
    .close = memory_close,
    .pending = memory_pending,
    .wants = memory_wants,
};

void ld_memory_init(struct ld_memory *m, struct ld_chunks *chunks)
{
    ld_chain_init(&m->input, chunks);
    ld_chain_init(&m->output, chunks);
    m->room = m->read_max = m->write_max = SIZE_MAX;
    m->end = LD_AGAIN;
    m->shut = m->closed = m->was_reset = false;
}

void ld_memory_clear(struct ld_memory *m)
{
    ld_chain_clear(&m->input);
    ld_chain_clear(&m->output);
}
