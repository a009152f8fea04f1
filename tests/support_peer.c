/* support_peer.c -- see support_peer.h. */
#include "support_peer.h"
#include "conn_parts.h"

#include <math.h>

static enum ld_status counted_read(struct ld_link *l, void *dst, size_t size,
                                   size_t *got)
{
    ((struct peer *)l->state)->reads++;
    return ld_memory_transport.read(l, dst, size, got);
}

static enum ld_status counted_writev(struct ld_link *l, const struct iovec *iov,
                                     int n, size_t *put)
{
    ((struct peer *)l->state)->writes++;
    return ld_memory_transport.writev(l, iov, n, put);
}

static void wake(void *ctx, struct ld_conn *c, enum ld_status st)
{
    struct peer *p = c->owner;
    struct ld_pool *pool = c->pool;
    struct ld_conn *outer = pool->running;
    bool waits;

    (void)ctx;
    assert_ptr_equal(p->c, c);
    p->wakes++;
    p->last = st;
    ld_conn_drop_wait(c);
    ld_pool_run(pool, c, false);
    waits = p->script(p, st);
    ld_pool_run(pool, outer, false);
    if (!waits || c->wait == LD_WAIT_ABANDON)
        ld_conn_finish(c);
    else
        assert_int_not_equal(c->wait, LD_WAIT_NONE);
}

static void closed(void *ctx, struct ld_conn *c)
{
    struct peer *p = c->owner;

    (void)ctx;
    p->closes++;
    if (p->on_closed)
        p->on_closed(p, LD_OK);
    p->c = NULL;
}

void rig_init(struct rig *r)
{
    static const struct ld_log silent = {.level = LD_SILENT};

    r->pool = ld_pool_new(NULL, &silent);
    assert_non_null(r->pool);
    r->pool->now = 100;
    r->pool->hooks =
        (struct ld_hooks){.wake = wake, .closed = closed, .ctx = r};
    for (int i = 0; i < 2; i++)
        r->timeouts[i] = (struct ld_timeouts){HUGE_VAL, HUGE_VAL};
    r->profile = (struct ld_profile){.frame_limit = 1 << 16,
                                     .lifetime = HUGE_VAL,
                                     .stall = HUGE_VAL,
                                     .output_limit = 1 << 20,
                                     .linger = 5,
                                     .state_count = 2,
                                     .timeouts = r->timeouts};
}

void rig_free(struct rig *r)
{
    assert_int_equal(r->pool->open, 0);
    ld_pool_free(r->pool);
}

struct rig rig;

int rig_set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

int rig_tear_down(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

void rig_advance(struct rig *r, double seconds)
{
    double until = r->pool->now + seconds;

    while (ld_timers_next(&r->pool->timers) <= until) {
        r->pool->now = ld_timers_next(&r->pool->timers);
        ld_timers_run(&r->pool->timers, r->pool->now);
        ld_pool_settle(r->pool);
    }
    r->pool->now = until;
}

void peer_open(struct peer *p, struct rig *r, peer_script script, void *data)
{
    static struct ld_transport counted;
    struct ld_link link = {.transport = &counted, .state = p, .fd = -1};

    counted = ld_memory_transport;
    counted.read = counted_read;
    counted.writev = counted_writev;
    memset(p, 0, sizeof(*p));
    ld_memory_init(&p->memory, &r->pool->chunks);
    p->rig = r;
    p->script = script;
    p->data = data;
    p->c = ld_conn_new(r->pool, link, &r->profile);
    assert_non_null(p->c);
    p->c->owner = p;
    p->handle = ld_conn_handle(p->c);
    ld_conn_begin(p->c);
}

void peer_free(struct peer *p)
{
    if (p->c) {
        p->c->reset = true;
        if (p->c->phase == LD_PHASE_OPEN)
            ld_conn_finish(p->c);
        else
            ld_conn_end_timeout(p->c);
    }
    assert_null(p->c);
    assert_int_equal(p->closes, 1);
    ld_memory_clear(&p->memory);
}

int peer_watched(const struct peer *p)
{
    return p->c ? p->c->io.events & (LD_READ | LD_WRITE) : 0;
}

void peer_feed(struct peer *p, const void *bytes, size_t n)
{
    assert_int_equal(ld_chain_write(&p->memory.input, bytes, n), LD_OK);
    while (p->memory.input.bytes > 0 && (peer_watched(p) & LD_READ))
        ld_conn_ready(p->c, LD_READ);
}

void peer_say(struct peer *p, const char *text)
{
    peer_feed(p, text, strlen(text));
}

void peer_end(struct peer *p, enum ld_status how)
{
    p->memory.end = how;
    if (peer_watched(p))
        ld_conn_ready(p->c, peer_watched(p));
}

void peer_take(struct peer *p, size_t n)
{
    p->memory.room += n;
    while (p->memory.room > 0 && (peer_watched(p) & LD_WRITE))
        ld_conn_ready(p->c, LD_WRITE);
}

const char *peer_heard(struct peer *p)
{
    static char text[1 << 16];
    size_t n = p->memory.output.bytes;

    assert_true(n < sizeof(text));
    ld_chain_copy(&p->memory.output, 0, n, (uint8_t *)text);
    text[n] = '\0';
    ld_chain_clear(&p->memory.output);
    return text;
}

size_t peer_count(struct peer *p)
{
    size_t n = p->memory.output.bytes;

    ld_chain_clear(&p->memory.output);
    return n;
}

void conn_write(struct ld_conn *c, const void *bytes, size_t n)
{
    struct ld_chain *out = ld_conn_output(c);

    if (!out)
        return;
    assert_int_equal(ld_chain_write(out, bytes, n), LD_OK);
    ld_conn_wrote(c);
}

void conn_say(struct ld_conn *c, const char *text)
{
    conn_write(c, text, strlen(text));
}

struct ld_format *format_new(const char *source)
{
    struct ld_format_error err;
    struct ld_format *f = ld_format_compile(source, strlen(source), &err);

    if (!f)
        fail_msg("%s: column %u: %s", source, err.column, err.message);
    return f;
}

const char *result_text(const struct rig *r, int v)
{
    static char text[256];
    const struct ld_result *result = r->pool->result;
    size_t n = result->values[v].s.len;

    assert_true(n < sizeof(text));
    memcpy(text, result->frame + result->values[v].s.off, n);
    text[n] = '\0';
    return text;
}
