/* support_relay.c -- see support_relay.h. */
#include "support_relay.h"
#include "conn_parts.h"

struct peer near, far;
struct job job;
int go_ons;

static void (*rig_wake)(void *ctx, struct ld_conn *c, enum ld_status st);

/* As the bind half does: who waits for a read goes on, whosever it is. */
static void wake(void *ctx, struct ld_conn *c, enum ld_status st)
{
    struct ld_conn *w = ld_conn_waiter(c);
    bool away = c->waiter != 0;
    uint32_t generation;

    job.source = ld_conn_handle(c);
    ld_conn_drop_wait(c);
    if (!w || (away && !w->parked))
        return;
    w->parked = LD_NOT_PARKED;
    w->epoch++;
    generation = w->generation;
    rig_wake(ctx, w, st);
    if (w->generation == generation && w->phase == LD_PHASE_OPEN && w->waiter)
        w->parked = LD_AWAY;
}

static void go_on(void *ctx, struct ld_conn *c)
{
    if (c->parked == LD_AWAY) {
        wake(ctx, c, LD_CLOSED);
        return;
    }
    c->parked = LD_NOT_PARKED;
    go_ons++;
}

int relay_set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    rig_wake = rig.pool->hooks.wake;
    rig.pool->hooks.wake = wake;
    rig.pool->hooks.go_on = go_on;
    memset(&job, 0, sizeof(job));
    go_ons = 0;
    return 0;
}

static bool reads_on(struct peer *p)
{
    return ld_conn_read(p->c, 1 << 16, 0) == LD_AGAIN &&
           p->c->wait != LD_WAIT_ABANDON;
}

static bool works(struct peer *p, enum ld_status st)
{
    const union ld_value *v = rig.pool->result->values;

    if (p->step++ == 0) {
        st = job.n ? ld_conn_relay(job.from->c, job.to->c, job.n)
                   : ld_conn_pipe(job.from->c, job.to->c);
        if (st == LD_AGAIN)
            return true;
    }
    if (!job.over) {
        job.over = true;
        assert_int_equal(job.from->c->wait, LD_WAIT_NONE);
        assert_true(!job.to->c || job.to->c->wait == LD_WAIT_NONE);
        job.st = st;
        job.there = (uint64_t)v[0].n;
        job.back = (uint64_t)v[1].n;
    }
    return reads_on(p);
}

bool waits(struct peer *p, enum ld_status st)
{
    return !st && reads_on(p);
}

static bool ends(struct peer *p, enum ld_status st)
{
    (void)p;
    (void)st;
    return false;
}

void open_far(void)
{
    peer_open(&far, &rig, waits, NULL);
    far.script = ends;
    far.c->passive = true;
    ld_conn_drop_wait(far.c);
    ld_conn_watch(far.c);
}

void start(struct peer *from, struct peer *to, uint64_t n)
{
    job.from = from;
    job.to = to;
    job.n = n;
    peer_open(&near, &rig, works, NULL);
    ld_pool_settle(rig.pool);
}

void free_both(void)
{
    peer_free(&near);
    peer_free(&far);
}

uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

void feed(struct peer *p, uint64_t *at, size_t n)
{
    static uint8_t bytes[1 << 18];

    assert_in_range(n, 0, sizeof(bytes));
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(*at + i);
    *at += n;
    peer_feed(p, bytes, n);
    ld_pool_settle(rig.pool);
}

static void check_heard(struct peer *p, uint64_t *at)
{
    static uint8_t bytes[1 << 20];
    struct ld_chain *q = &p->memory.output;
    size_t n = q->bytes;

    assert_in_range(n, 0, sizeof(bytes));
    ld_chain_copy(q, 0, n, bytes);
    ld_chain_clear(q);
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != byte_at(*at + i))
            fail_msg("byte %zu is wrong", (size_t)*at + i);
    *at += n;
}

void take(struct peer *p, uint64_t *at, size_t n)
{
    peer_take(p, n);
    ld_pool_settle(rig.pool);
    if (near.c)
        peer_feed(&near, "", 0);
    if (far.c)
        peer_feed(&far, "", 0);
    ld_pool_settle(rig.pool);
    check_heard(p, at);
}
