/* pool.c -- see pool.h. */
#include "pool.h"

#include <errno.h>
#include <stdlib.h>

#include "conn.h"

enum { NO_SLOT = UINT32_MAX, MAX_PAGES = (1 << LD_SLOT_BITS) / LD_PAGE_CONNS };

struct ld_pool *ld_pool_new(struct ev_loop *loop, const struct ld_log *log)
{
    struct ld_pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    pool->loop = loop;
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
    free_spares(pool);
    for (uint32_t i = 0; i < pool->page_count; i++)
        free(pool->pages[i]);
    free(pool->pages);
    ld_timers_free(&pool->timers);
    ld_chunks_free(&pool->chunks);
    ld_blob_unref(pool->read_blob);
    free(pool->result);
    free(pool);
}

/* A free connection keeps the next free slot in `need`. */
static enum ld_status add_page(struct ld_pool *pool)
{
    struct ld_conn **pages, *page;
    uint32_t first = pool->page_count * LD_PAGE_CONNS;

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
    c = &pool->pages[slot / LD_PAGE_CONNS][slot % LD_PAGE_CONNS];
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
    pool->closed++;
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

/* A turn may queue more connections, so take the list as it grows. */
void ld_pool_settle(struct ld_pool *pool)
{
    while (pool->dirty) {
        struct ld_conn *c = pool->dirty;

        pool->dirty = c->next;
        pool->dirty_count--;
        c->queued = false;
        c->next = NULL;
        if (c->phase == LD_PHASE_OPEN && c->doom && c->wait)
            ld_conn_run(c, (enum ld_status)c->doom);
        else if (c->phase == LD_PHASE_OPEN)
            ld_conn_settle(c);
    }
}
