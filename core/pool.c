/* pool.c -- see pool.h. */
#include "pool.h"
#include "conn_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"

enum {
    NO_SLOT = UINT32_MAX,
    MAX_PAGES = (1 << LD_SLOT_BITS) / LD_PAGE_CONNS,
    ROUNDS_MAX = 16 /* of turns that lead to turns, before events are seen */
};

struct ld_pool *ld_pool_new(struct ev_loop *loop, const struct ld_log *log)
{
    struct ld_pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    pool->loop = loop;
    pool->newcomers.most = LD_NEWCOMERS_MAX;
    pool->handshakes.most = LD_HANDSHAKES_MAX;
    pool->log = log;
    pool->free_slots = NO_SLOT;
    pool->result = calloc(1, sizeof(*pool->result));
    pool->read_blob = ld_blob_new(LD_READ_SIZE);
    if (!pool->result || !pool->read_blob) {
        ld_pool_free(pool);
        errno = ENOMEM;
        return NULL;
    }
    return pool;
}

void ld_pool_run(struct ld_pool *pool, struct ld_conn *c, bool in_hook)
{
    pool->running = c;
    pool->in_hook = in_hook;
    pool->reader = c && !in_hook ? ld_conn_handle(c) : 0;
}

double ld_pool_clock(const struct ld_pool *pool)
{
    return pool->loop ? ld_monotonic() : pool->now;
}

/* Without memory the connection waits for its next event. */
void ld_pool_queue(struct ld_pool *pool, int64_t handle)
{
    struct ld_queue *q = &pool->dirty;
    uint32_t count = q->tail - q->head;

    if (q->tail == q->cap && q->head >= q->cap / 2 && q->cap > 0) {
        memmove(q->handles, q->handles + q->head, count * sizeof(*q->handles));
        q->head = 0;
        q->tail = count;
    } else if (q->tail == q->cap) {
        uint32_t cap = q->cap ? 2 * q->cap : 256;
        int64_t *grown = realloc(q->handles, cap * sizeof(*grown));

        if (!grown)
            return;
        q->handles = grown;
        q->cap = cap;
    }
    q->handles[q->tail++] = handle;
}

static void free_spares(struct ld_pool *pool)
{
    while (pool->spare_chains) {
        struct ld_chain *q = pool->spare_chains;

        pool->spare_chains = q->next;
        ld_chain_clear(q);
        free(q);
    }
    while (pool->spare_awaits) {
        struct ld_await *a = pool->spare_awaits;

        pool->spare_awaits = a->next;
        free(a->values);
        free(a);
    }
}

void ld_pool_free(struct ld_pool *pool)
{
    ld_channels_free(pool);
    free_spares(pool);
    for (uint32_t i = 0; i < pool->page_count; i++)
        free(pool->pages[i]);
    free(pool->pages);
    ld_sources_free(pool->sources);
    ld_timers_free(&pool->timers);
    ld_timers_free(&pool->alarms);
    free(pool->dirty.handles);
    ld_chunks_free(&pool->chunks);
    ld_blob_unref(pool->read_blob);
    if (pool->pipe[1] > 0) {
        close(pool->pipe[0]);
        close(pool->pipe[1]);
    }
    free(pool->result);
    free(pool);
}

/* A free connection keeps the next free slot in `need`. */
static enum ld_status add_page(struct ld_pool *pool)
{
    struct ld_conn **pages, *page;
    uint32_t first = ld_pool_slots(pool);

    if (pool->page_count == MAX_PAGES)
        return LD_LIMIT;
    pages = realloc(pool->pages, (pool->page_count + 1) * sizeof(*pages));
    if (!pages)
        return LD_NOMEM;
    pool->pages = pages;
    page = calloc(LD_PAGE_CONNS, sizeof(*page));
    if (!page)
        return LD_NOMEM;
    for (uint32_t i = LD_PAGE_CONNS; i-- > 0;) {
        page[i].slot = first + i;
        page[i].generation = 1;
        page[i].need = pool->free_slots;
        pool->free_slots = first + i;
    }
    pages[pool->page_count++] = page;
    return LD_OK;
}

struct ld_conn *ld_pool_take(struct ld_pool *pool)
{
    struct ld_conn *c;
    uint32_t slot, generation;

    if (pool->free_slots == NO_SLOT && add_page(pool)) {
        errno = ENOMEM;
        return NULL;
    }
    slot = pool->free_slots;
    c = ld_pool_at(pool, slot);
    pool->free_slots = c->need;
    generation = c->generation;
    *c = (struct ld_conn){.slot = slot,
                          .generation = generation,
                          .pool = pool,
                          .phase = LD_PHASE_OPEN};
    pool->open++;
    pool->opened++;
    return c;
}

void ld_pool_give(struct ld_pool *pool, struct ld_conn *c)
{
    c->phase = LD_PHASE_FREE;
    c->generation = (c->generation + 1) & ((1U << LD_GENERATION_BITS) - 1);
    if (c->generation == 0)
        c->generation = 1;
    c->need = pool->free_slots;
    pool->free_slots = c->slot;
    pool->open--;
    pool->closed += !c->task;
}

struct ld_chain *ld_pool_chain(struct ld_pool *pool)
{
    struct ld_chain *q = pool->spare_chains;

    if (q) {
        pool->spare_chains = q->next;
        return q;
    }
    q = malloc(sizeof(*q));
    if (q)
        ld_chain_init(q, &pool->chunks);
    return q;
}

void ld_pool_return_chain(struct ld_pool *pool, struct ld_chain *q)
{
    ld_chain_reset(q);
    q->next = pool->spare_chains;
    pool->spare_chains = q;
}

bool ld_pool_is_ending(const struct ld_pool *pool)
{
    for (uint32_t i = 0; i < ld_pool_slots(pool); i++) {
        uint8_t phase = ld_pool_at(pool, i)->phase;

        if (phase == LD_PHASE_FLUSHING || phase == LD_PHASE_LINGERING)
            return true;
    }
    return false;
}

/* A round is what was queued when it began. */
bool ld_pool_settle(struct ld_pool *pool)
{
    struct ld_queue *q = &pool->dirty;

    ld_channels_settle(pool);
    for (int round = 0; round < ROUNDS_MAX && q->head < q->tail; round++) {
        for (uint32_t left = q->tail - q->head; left > 0; left--) {
            struct ld_conn *c = ld_conn_find(pool, q->handles[q->head++]);

            if (c && c->queued) {
                c->queued = false;
                if (c->phase == LD_PHASE_OPEN)
                    ld_conn_settle(c);
            }
        }
        ld_channels_settle(pool);
    }
    if (q->head == q->tail)
        q->head = q->tail = 0;
    return q->tail > 0;
}
