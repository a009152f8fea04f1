/* conn_read.c -- the reads of a connection; see conn.h.
 *
 * Every read is tried at once.  What it cannot finish is recorded as the wait
 * and tried again, by ld_conn_try_wait(), when enough has changed.  A frame
 * that is not whole stays in the buffer from its first byte, and its parse
 * state stays in the ld_await: nothing is scanned twice.
 */
#include <stdlib.h>
#include <string.h>

#include "conn_read.h"

struct ld_await *ld_conn_take_await(struct ld_conn *c)
{
    struct ld_pool *pool = c->pool;
    struct ld_await *a = c->await;

    if (a)
        return a;
    a = pool->spare_awaits;
    if (a)
        pool->spare_awaits = a->next;
    else
        a = calloc(1, sizeof(*a));
    c->await = a;
    return a;
}

struct ld_await *ld_conn_fresh_await(struct ld_conn *c, uint64_t n)
{
    struct ld_await *a = ld_conn_take_await(c);

    if (!a)
        return NULL;
    a->parse.need = 0;
    a->left = n;
    return a;
}

void ld_conn_drop_wait(struct ld_conn *c)
{
    struct ld_await *a = c->await;

    c->wait = LD_WAIT_NONE;
    c->waiter = 0;
    c->format = NULL;
    c->need = 0;
    c->held = false;
    if (!a)
        return;
    if (a->sink)
        ld_conn_unpipe(c);
    c->await = NULL;
    a->next = c->pool->spare_awaits;
    c->pool->spare_awaits = a;
}

/* The connection has ended: say so a few times, then no more. */
static enum ld_status gone(struct ld_conn *c)
{
    bool waits = c->pool->running == c && !c->pool->in_hook;

    if (waits && c->gone_count >= LD_GONE_MAX) {
        ld_conn_tell_reader(c);
        ld_conn_drop_wait(c);
        c->wait = LD_WAIT_ABANDON;
        c->pool->result->need = 0;
        return LD_AGAIN;
    }
    c->gone_count += waits;
    return c->doom ? (enum ld_status)c->doom : LD_CLOSED;
}

/* Does another coroutine than the running one read C?  A read that is nobody's
 * any more is dropped. */
bool ld_conn_is_read(struct ld_conn *c)
{
    const struct ld_conn *w = c->wait ? ld_conn_waiter(c) : NULL;

    if (w && w != c->pool->running)
        return true;
    if (c->wait)
        ld_conn_drop_wait(c);
    return false;
}

/* The coroutine that runs is going to read C, which is not its own. */
static void admit_other(struct ld_conn *c, struct ld_conn *running)
{
    c->waiter = ld_conn_handle(running);
    c->waiter_epoch = running->epoch;
    c->pool->elsewhere = c;
    ld_conn_queue(c); /* to be watched, and its input stowed */
}

/* May a read begin?  LD_OK, or why not.  A wait that the same coroutine left
 * behind, in a callback where it could not be suspended, is forgotten. */
enum ld_status ld_conn_admit(struct ld_conn *c)
{
    struct ld_conn *running = c->pool->running;

    c->view++;
    if (c->phase != LD_PHASE_OPEN || c->doom)
        return gone(c);
    if (!running || c->pool->in_hook)
        return LD_HOOK;
    if (ld_conn_is_read(c))
        return LD_BUSY;
    ld_conn_drop_wait(c);
    if (running != c)
        admit_other(c, running);
    return LD_OK;
}

/* No more bytes will come, and AVAIL of the frame did. */
enum ld_status ld_conn_ended(struct ld_conn *c, size_t avail)
{
    if (c->eof_told)
        return gone(c);
    c->eof_told = true;
    if (avail == 0 && (c->flags & LD_OPENS))
        return LD_EOF;
    c->gone_count++;
    c->pool->result->size = (uint32_t)avail;
    return LD_TRUNCATED;
}

/* Keep the parse state of a frame that is under way. */
static enum ld_status save_parse(struct ld_conn *c, const struct ld_parse *p)
{
    struct ld_await *a = ld_conn_take_await(c);

    if (!a)
        return LD_NOMEM;
    if (p->count > a->values_cap) {
        union ld_value *grown =
            realloc(a->values, p->count * sizeof(*a->values));

        if (!grown)
            return LD_NOMEM;
        a->values = grown;
        a->values_cap = p->count;
    }
    if (p->count > 0)
        memcpy(a->values, c->pool->result->values,
               p->count * sizeof(*a->values));
    if (&a->parse != p)
        a->parse = *p;
    return LD_OK;
}

/* Settle what a run of the unpacker said. */
static enum ld_status judge(struct ld_conn *c, enum ld_status st,
                            const struct ld_parse *p)
{
    struct ld_result *r = c->pool->result;
    uint32_t avail = c->end - c->pos;

    if (st == LD_OK) {
        ld_conn_produce(c, p->pos);
        return LD_OK;
    }
    if (st != LD_AGAIN) {
        r->size = p->pos;
        r->field = p->field;
        return st;
    }
    if (c->eof)
        return ld_conn_ended(c, avail);
    c->need = p->need;
    r->need = p->need - avail;
    if (c->flags & LD_NOWAIT)
        return LD_AGAIN;
    c->wait = LD_WAIT_FRAME;
    if ((p->pc || p->pos || p->scan || p->count || p->depth) &&
        save_parse(c, p))
        return LD_NOMEM;
    return LD_AGAIN;
}

/* Begin a frame, or go on with one of which nothing was decoded yet. */
static enum ld_status parse_fresh(struct ld_conn *c, const struct ld_format *f)
{
    struct ld_parse p;
    enum ld_status st;

    p.pc = p.pos = p.scan = p.count = p.depth = p.field = 0;
    st = ld_unpack(f, &p, ld_conn_input(c), c->end - c->pos,
                   c->profile->frame_limit, c->pool->result->values);
    return judge(c, st, &p);
}

static enum ld_status parse_on(struct ld_conn *c)
{
    struct ld_await *a = c->await;
    enum ld_status st;

    if (!a || a->parse.need == 0)
        return parse_fresh(c, c->format);
    if (a->parse.count > 0)
        memcpy(c->pool->result->values, a->values,
               a->parse.count * sizeof(*a->values));
    st = ld_unpack(c->format, &a->parse, ld_conn_input(c), c->end - c->pos,
                   c->profile->frame_limit, c->pool->result->values);
    return judge(c, st, &a->parse);
}

enum ld_status ld_conn_unpack(struct ld_conn *c, const struct ld_format *f,
                              unsigned flags)
{
    enum ld_status st = ld_conn_admit(c);

    if (st)
        return st;
    c->flags = (uint8_t)flags;
    if (ld_conn_over_high_water(c) && !(flags & LD_NOWAIT)) {
        c->format = f;
        c->wait = LD_WAIT_FRAME;
        c->held = true;
        return LD_AGAIN;
    }
    st = parse_fresh(c, f);
    if (st == LD_AGAIN && !(flags & LD_NOWAIT))
        c->format = f;
    return st;
}

enum ld_status ld_conn_unpack_later(struct ld_conn *c,
                                    const struct ld_format *f, unsigned flags)
{
    uint32_t need = ld_format_first_need(f);

    if (c->eof || need == 0 || (flags & LD_NOWAIT) ||
        need > c->profile->frame_limit)
        return ld_conn_unpack(c, f, flags);
    c->view++;
    c->flags = (uint8_t)flags;
    c->format = f;
    c->need = need;
    c->wait = LD_WAIT_FRAME;
    return LD_AGAIN;
}

enum ld_status ld_conn_unpack_missed(struct ld_conn *c,
                                     const struct ld_format *f, unsigned flags,
                                     enum ld_status st, struct ld_parse *p)
{
    c->view++;
    c->flags = (uint8_t)flags;
    st = judge(c, st, p);
    if (st == LD_AGAIN && !(flags & LD_NOWAIT))
        c->format = f;
    return st;
}

static enum ld_status try_bytes(struct ld_conn *c)
{
    uint32_t avail = c->end - c->pos;

    if (avail >= c->need) {
        ld_conn_produce_bytes(c, c->need);
        return LD_OK;
    }
    return c->eof ? ld_conn_ended(c, avail) : LD_AGAIN;
}

static enum ld_status try_some(struct ld_conn *c)
{
    uint32_t avail = c->end - c->pos;

    if (avail == 0)
        return c->eof ? ld_conn_ended(c, 0) : LD_AGAIN;
    ld_conn_produce_bytes(c, avail < c->need ? avail : c->need);
    return LD_OK;
}

static enum ld_status try_once(struct ld_conn *c)
{
    switch (c->wait) {
    case LD_WAIT_FRAME: return parse_on(c);
    case LD_WAIT_BYTES: return try_bytes(c);
    case LD_WAIT_SOME: return try_some(c);
    case LD_WAIT_PIECE: return ld_conn_try_piece(c);
    case LD_WAIT_SKIP: return ld_conn_try_skip(c);
    case LD_WAIT_FILL: return ld_conn_try_fill(c);
    case LD_WAIT_RELAY: return ld_conn_try_relay(c);
    case LD_WAIT_PIPE: return ld_conn_try_pipe(c);
    case LD_WAIT_FLUSH: return ld_conn_has_output(c) ? LD_AGAIN : LD_OK;
    case LD_WAIT_ROOM:
        return ld_conn_unsent(c) <= LD_LOW_WATER ? LD_OK : LD_AGAIN;
    default: return LD_AGAIN;
    }
}

/* Does the coroutine that recorded the wait still wait? */
static bool is_awaited(struct ld_conn *c)
{
    const struct ld_conn *w = ld_conn_waiter(c);

    return w && w->parked;
}

enum ld_status ld_conn_try_wait(struct ld_conn *c)
{
    if (c->waiter && !is_awaited(c)) {
        ld_conn_drop_wait(c); /* what has come is for the next reader */
        return LD_AGAIN;
    }
    if (c->held && c->wait < LD_WAIT_RELAY) {
        if (ld_conn_unsent(c) > LD_LOW_WATER)
            return LD_AGAIN;
        c->held = false;
    } else if (c->wait == LD_WAIT_FRAME && !c->eof &&
               c->end - c->pos < c->need) {
        return LD_AGAIN;
    }
    return try_once(c);
}

/* Begin a wait of KIND that needs NEED bytes and keeps LEFT; try it once. */
enum ld_status ld_conn_begin_wait(struct ld_conn *c, enum ld_wait kind,
                                  uint32_t need, unsigned flags)
{
    enum ld_status st;

    c->flags = (uint8_t)flags;
    c->need = need;
    c->wait = (uint8_t)kind;
    if (ld_conn_over_high_water(c)) {
        c->held = true;
        return LD_AGAIN;
    }
    st = try_once(c);
    if (st != LD_AGAIN && c->wait != LD_WAIT_ABANDON)
        ld_conn_drop_wait(c);
    return st;
}

enum ld_status ld_conn_read(struct ld_conn *c, uint32_t n, unsigned flags)
{
    enum ld_status st = ld_conn_admit(c);

    if (st)
        return st;
    if (n > c->profile->frame_limit) {
        c->pool->result->size = 0;
        return LD_LIMIT;
    }
    if ((flags & LD_NOWAIT) && c->end - c->pos < n) {
        c->pool->result->need = c->eof ? 0 : n - (c->end - c->pos);
        return LD_AGAIN;
    }
    return ld_conn_begin_wait(c, LD_WAIT_BYTES, n, flags);
}

enum ld_status ld_conn_some(struct ld_conn *c, uint32_t max, unsigned flags)
{
    enum ld_status st = ld_conn_admit(c);

    if (st)
        return st;
    return ld_conn_begin_wait(c, LD_WAIT_SOME, max, flags);
}
