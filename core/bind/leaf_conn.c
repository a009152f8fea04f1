/* leaf_conn.c -- what Lua does with a connection, by FFI; see api.h. */
#include <math.h>

#include "../conn_parts.h"
#include "../sock.h"
#include "vm.h"

static int leaf_unpack(struct ld_vm *vm, int64_t h, uint32_t format,
                       uint32_t flags)
{
    struct ld_pool *pool = vm->pool;
    const struct ld_format *f = vm->formats[format - 1];
    struct ld_conn *c;

    if (h == pool->reader)
        return (int)ld_conn_unpack_running(pool->running, f, flags);
    c = ld_conn_find(pool, h);
    return c ? (int)ld_conn_unpack(c, f, flags) : LD_CLOSED;
}

static int leaf_read(struct ld_vm *vm, int64_t h, uint32_t n, uint32_t flags)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c ? (int)ld_conn_read(c, n, flags) : LD_CLOSED;
}

static int leaf_some(struct ld_vm *vm, int64_t h, uint32_t max, uint32_t flags)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c ? (int)ld_conn_some(c, max, flags) : LD_CLOSED;
}

static int leaf_piece(struct ld_vm *vm, int64_t h, const char *delimiter,
                      uint32_t size, uint32_t flags)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    if (size == 0 || size > LD_FORMAT_DELIMITER)
        return LD_RANGE;
    return c ? (int)ld_conn_piece(c, (const uint8_t *)delimiter, size, flags)
             : LD_CLOSED;
}

static int leaf_skip(struct ld_vm *vm, int64_t h, double n)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c ? (int)ld_conn_skip(c, (uint64_t)n) : LD_CLOSED;
}

static int leaf_fill(struct ld_vm *vm, int64_t h, int64_t buffer, double n)
{
    struct ld_conn *c = ld_vm_conn(vm, h);
    struct ld_lua_buffer *b = ld_vm_buffer(vm, buffer);

    if (!c)
        return LD_CLOSED;
    if (!b || b->sealed)
        return LD_STALE;
    if ((double)b->chain->bytes + n > b->max) {
        vm->pool->result->size = 0;
        return LD_LIMIT;
    }
    if (n > b->chain->room)
        vm->external += (size_t)n;
    return (int)ld_conn_fill(c, b->chain, (uint64_t)n);
}

static void leaf_notsent_lowat(struct ld_vm *vm, int64_t h, uint32_t bytes)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    if (c)
        ld_sock_notsent_lowat(&c->link, bytes);
}

static void leaf_quick_ack(struct ld_vm *vm, int64_t h, int on)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    if (c)
        c->quick_ack = on != 0;
}

static int leaf_relay(struct ld_vm *vm, int64_t h, int64_t to, double n)
{
    struct ld_conn *c = ld_vm_conn(vm, h), *sink = ld_vm_conn(vm, to);

    return c && sink ? (int)ld_conn_relay(c, sink, (uint64_t)n) : LD_CLOSED;
}

static int leaf_pipe(struct ld_vm *vm, int64_t h, int64_t other)
{
    struct ld_conn *c = ld_vm_conn(vm, h), *to = ld_vm_conn(vm, other);

    return c && to && c != to ? (int)ld_conn_pipe(c, to) : LD_CLOSED;
}

static int leaf_write(struct ld_vm *vm, int64_t h, const char *p, size_t n)
{
    struct ld_conn *c = ld_vm_conn(vm, h);
    struct ld_chain *out = c ? ld_conn_room(c) : NULL;

    if (!out)
        return LD_OK;
    if (ld_chain_write(out, p, n))
        return LD_NOMEM;
    ld_conn_grew(c);
    return LD_OK;
}

static int leaf_write_args(struct ld_vm *vm, int64_t h, uint32_t count)
{
    struct ld_conn *c = ld_vm_conn(vm, h);
    struct ld_chain *out = c ? ld_conn_room(c) : NULL;

    if (!out) {
        vm->share_count = 0;
        return LD_OK;
    }
    if (ld_vm_append(vm, out, count))
        return LD_NOMEM;
    ld_conn_grew(c);
    return LD_OK;
}

static int leaf_write_buffer(struct ld_vm *vm, int64_t h, int64_t buffer)
{
    struct ld_conn *c = ld_vm_conn(vm, h);
    struct ld_lua_buffer *b = ld_vm_buffer(vm, buffer);
    struct ld_chain *out = c ? ld_conn_room(c) : NULL;

    if (!b)
        return LD_STALE;
    b->sealed = true;
    if (!out)
        return LD_OK;
    if (ld_chain_append(out, b->chain))
        return LD_NOMEM;
    ld_conn_grew(c);
    return LD_OK;
}

static int leaf_pack(struct ld_vm *vm, int64_t h, uint32_t format,
                     uint32_t count)
{
    struct ld_conn *c = ld_vm_conn(vm, h);
    struct ld_chain *out = c ? ld_conn_room(c) : NULL;
    enum ld_status st;

    if (!out) {
        vm->share_count = 0;
        return LD_OK;
    }
    st = ld_vm_resolve(vm, count);
    if (!st)
        st = ld_vm_pack(vm, out, vm->formats[format - 1], count);
    if (!st)
        ld_conn_grew(c);
    return (int)st;
}

static int leaf_flush(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c ? (int)ld_conn_flush(c) : LD_OK;
}

static int leaf_drained(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c ? (int)ld_conn_drained(c) : LD_CLOSED;
}

static int leaf_enter(struct ld_vm *vm, int64_t h, uint32_t state)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c ? (int)ld_conn_enter(c, state) : LD_OK;
}

static int leaf_timeout(struct ld_vm *vm, int64_t h, uint32_t state,
                        double idle, double total)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    if (!c)
        return LD_OK;
    if (state >= c->profile->state_count)
        return LD_RANGE;
    return (int)ld_conn_timeout(c, state, (struct ld_timeouts){idle, total});
}

static int leaf_shutdown(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    if (c)
        ld_conn_shutdown(c);
    return LD_OK;
}

static int leaf_close(struct ld_vm *vm, int64_t h, int reset)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    if (c)
        ld_conn_doom(c, LD_CLOSED, reset != 0);
    return LD_OK;
}

static double leaf_unsent(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c ? (double)ld_conn_unsent(c) : 0;
}

static double leaf_unread(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c ? ld_conn_unread(c) : 0;
}

static int leaf_alive(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    return c && c->phase == LD_PHASE_OPEN && !c->doom;
}

static int leaf_hook(struct ld_vm *vm, int on)
{
    int was = vm->pool->in_hook;

    ld_pool_run(vm->pool, vm->pool->running, on != 0);
    return was;
}

static double leaf_now(struct ld_vm *vm)
{
    return vm->virtual_time ? vm->pool->now : ld_monotonic();
}

static void leaf_unpark(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_conn_find(vm->pool, h);

    if (c)
        ld_conn_unpark(c);
}

static void leaf_tell(struct ld_vm *vm, int64_t h, uint32_t news)
{
    struct ld_conn *c = ld_conn_find(vm->pool, h);

    if (c)
        ld_conn_tell(c, news);
}

static int leaf_consumed(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_conn_find(vm->pool, h);

    return c && c->consumed;
}

static void leaf_entangle(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_conn_find(vm->pool, h);

    if (c)
        c->entangled = true;
}

static int leaf_is_quiet(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_conn_find(vm->pool, h);

    return c && c->phase == LD_PHASE_OPEN && !c->doom && !c->eof && !c->shut &&
           c->wait == LD_WAIT_NONE && ld_conn_unread(c) == 0 && !c->out;
}

static double leaf_running(struct ld_vm *vm)
{
    const struct ld_conn *c = vm->pool->running;

    return c ? (double)ld_conn_handle(c) : 0;
}

static double leaf_may_wait(struct ld_vm *vm)
{
    return (double)vm->pool->reader;
}

static void leaf_forget(struct ld_vm *vm, int64_t h)
{
    struct ld_conn *c = ld_vm_conn(vm, h);

    if (c && c->wait && ld_conn_waiter(c) == vm->pool->running)
        ld_conn_drop_wait(c);
}

void ld_leaf_conn(struct ld_api *api)
{
    api->unpack = leaf_unpack;
    api->read = leaf_read;
    api->some = leaf_some;
    api->piece = leaf_piece;
    api->skip = leaf_skip;
    api->fill = leaf_fill;
    api->notsent_lowat = leaf_notsent_lowat;
    api->quick_ack = leaf_quick_ack;
    api->relay = leaf_relay;
    api->pipe = leaf_pipe;
    api->write = leaf_write;
    api->write_args = leaf_write_args;
    api->write_buffer = leaf_write_buffer;
    api->pack = leaf_pack;
    api->flush = leaf_flush;
    api->drained = leaf_drained;
    api->enter = leaf_enter;
    api->timeout = leaf_timeout;
    api->shutdown = leaf_shutdown;
    api->close = leaf_close;
    api->unsent = leaf_unsent;
    api->unread = leaf_unread;
    api->alive = leaf_alive;
    api->hook = leaf_hook;
    api->now = leaf_now;
    api->unpark = leaf_unpark;
    api->tell = leaf_tell;
    api->consumed = leaf_consumed;
    api->entangle = leaf_entangle;
    api->is_quiet = leaf_is_quiet;
    api->running = leaf_running;
    api->may_wait = leaf_may_wait;
    api->forget = leaf_forget;
}
