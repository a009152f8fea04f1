/* worker.h -- a loop and the pool of connections on it.
 *
 * Owns the pool and its watchers; borrows the loop.  Sees to it that the
 * pool's clock is right at each wake-up, that deadlines fire, and that what
 * handlers wrote to each other leaves before the loop blocks.
 */
#ifndef LD_WORKER_H
#define LD_WORKER_H

#include <ev.h>

#include "pool.h"

struct ld_worker {
    struct ev_loop *loop;
    struct ld_pool *pool;
    ev_prepare prepare;
    ev_check check;
    ev_timer deadline; /* of connections, on the coarse clock */
    double armed;      /* when it fires, on the pool's clock */
    ev_timer alarm;    /* of pool->alarms, on time */
    double alarm_armed;
    ev_idle more; /* active while turns lead to turns */
};

/* NULL with errno set. */
struct ld_worker *ld_worker_new(struct ev_loop *loop, const struct ld_log *log);

/* The same with POOL, which it owns then, and which has had no loop. */
struct ld_worker *ld_worker_adopt(struct ev_loop *loop, struct ld_pool *pool);

/* All connections must have closed. */
void ld_worker_free(struct ld_worker *w);

#endif
