/* pool.h -- what the connections of one worker share.
 *
 * Owns the connection slab, the read buffer, chunks, timers and the list of
 * connections with work to do before the loop blocks.  Connections live in
 * pages that are never unmapped, so a stale handle is always safe to check.
 * Knows nothing of Lua: a connection's handler is behind struct ld_hooks.
 */
#ifndef LD_POOL_H
#define LD_POOL_H

#include <stdbool.h>

#include "blob.h"
#include "crowd.h"
#include "log.h"
#include "timer.h"
#include "unpack.h"

struct ev_loop;
struct ld_chain;
struct ld_conn;
struct ld_await;

enum {
    LD_READ_SIZE = 65536,    /* one read takes at most this much */
    LD_HIGH_WATER = 65536,   /* queued output above which a handler is held */
    LD_LOW_WATER = 16384,    /* and below which it goes on */
    LD_PAGE_CONNS = 256,     /* connections in a page of the slab */
    LD_SLOT_BITS = 24,       /* of a handle; the rest is the generation */
    LD_GENERATION_BITS = 28, /* 52 bits: a handle is exact in a double */
    LD_NEWCOMERS_MAX = 8,    /* served at each wake-up */
    LD_HANDSHAKES_MAX = 2    /* the same */
};

/* How a connection calls its handler.  WAKE runs it with the outcome of what
 * it awaited, or with why the connection failed; GO_ON because C was unparked;
 * NEWS gives it its messages; STRAY says that input or the end came to a
 * connection that nobody reads; CLOSED is the last call. */
struct ld_hooks {
    void (*wake)(void *ctx, struct ld_conn *c, enum ld_status st);
    void (*go_on)(void *ctx, struct ld_conn *c);
    void (*news)(void *ctx, struct ld_conn *c);
    void (*stray)(void *ctx, struct ld_conn *c);
    void (*closed)(void *ctx, struct ld_conn *c);
    void *ctx;
};

/* First in, first out; a connection that has gone is passed over. */
struct ld_queue {
    int64_t *handles; /* [head, tail), at most cap */
    uint32_t head, tail, cap;
};

/* The channels of a worker; see channel.h. */
struct ld_channels {
    struct ld_channel *queue; /* have something to write */
    struct ld_channel *all;
    /* C is to end as it could not keep up; NULL: nobody wants to know. */
    void (*lagged)(void *ctx, struct ld_conn *c);
    void *ctx;
};

struct ld_pool {
    struct ev_loop *loop; /* NULL: nothing is watched, a test drives */
    double now;           /* seconds, monotonic, of this wake-up */
    const struct ld_log *log;
    struct ld_hooks hooks;
    struct ld_conn *running;   /* whose coroutine runs now, or NULL */
    bool starved;              /* memory is scarce: little is buffered */
    bool in_hook;              /* and what runs may not wait */
    int64_t reader;            /* handle of `running` outside hooks, or 0 */
    struct ld_conn *elsewhere; /* which `running` awaits, if not itself */
    struct ld_result *result;
    struct ld_blob *read_blob; /* LD_READ_SIZE */
    struct ld_chunks chunks;
    struct ld_timers timers; /* of connections, by `now` */
    struct ld_timers alarms; /* the exact ones, by ld_pool_clock() */
    struct ld_queue dirty;   /* written, ended or woken by others */
    struct ld_channels channels;
    struct ld_crowd newcomers;  /* connections that have read nothing yet */
    struct ld_crowd handshakes; /* which take long */
    struct ld_sources *sources; /* the owner's; or NULL */
    uint64_t throttled;         /* counts for how often a source had to wait */
    struct ld_conn **pages;
    uint32_t page_count;
    uint32_t free_slots; /* head of the list; UINT32_MAX: empty */
    uint32_t open;       /* connections alive */
    struct ld_chain *spare_chains;
    struct ld_await *spare_awaits;
    int pipe[2];             /* for splice(); 0 while there is none */
    uint64_t opened, closed; /* connections, not tasks, so far */
};

/* NULL with errno set when out of memory. */
struct ld_pool *ld_pool_new(struct ev_loop *loop, const struct ld_log *log);

/* From now on C's coroutine runs (NULL: none), or a hook does, which may not
 * wait. */
void ld_pool_run(struct ld_pool *pool, struct ld_conn *c, bool in_hook);

/* All connections must have closed. */
void ld_pool_free(struct ld_pool *pool);

/* Exactly now, on the clock of the pool: real with a loop, else `now`. */
double ld_pool_clock(const struct ld_pool *pool);

/* Write out, wake, and end, whatever turns left for later.  Call before the
 * loop blocks.  True when more is left, as handlers that wake each other must
 * not keep the loop from its events. */
bool ld_pool_settle(struct ld_pool *pool);

/* The number of connections to settle. */
static inline uint32_t ld_pool_dirty(const struct ld_pool *pool)
{
    return pool->dirty.tail - pool->dirty.head;
}

/* Has any connection output on its way out, with its handler done? */
bool ld_pool_is_ending(const struct ld_pool *pool);

/* Append a handle; the caller sees to it that it is there once. */
void ld_pool_queue(struct ld_pool *pool, int64_t handle);

/* A pristine connection struct with its slot and generation set, or NULL. */
struct ld_conn *ld_pool_take(struct ld_pool *pool);
void ld_pool_give(struct ld_pool *pool, struct ld_conn *c);

/* An empty chain for output, and its return, full or not. */
struct ld_chain *ld_pool_chain(struct ld_pool *pool);
void ld_pool_return_chain(struct ld_pool *pool, struct ld_chain *q);

#endif
