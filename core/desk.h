/* desk.h -- where other threads leave work for the thread of a loop.
 *
 * Owns the queue; borrows the loop, on which an async watcher wakes it and
 * which that watcher does not keep alive.
 */
#ifndef LD_DESK_H
#define LD_DESK_H

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "ld.h"

enum { LD_DESK_MAX = 65536 /* jobs that wait */ };

typedef void (*ld_desk_fn)(void *ctx);

struct ld_desk;

/* For waits of threads: a condition on the monotonic clock, and the time of
 * that clock in SECONDS; below 0 or no number: now. */
void ld_desk_cond_init(pthread_cond_t *cond);
struct timespec ld_desk_after(double seconds);

/* NULL with errno set. */
struct ld_desk *ld_desk_new(struct ev_loop *loop);

/* Any thread.  Have FN(CTX) called by the loop, in order.  LD_LIMIT: too many
 * wait; LD_CLOSED: see below; LD_NOMEM. */
enum ld_status ld_desk_put(struct ld_desk *d, ld_desk_fn fn, void *ctx);

/* Another thread than the loop's.  The same, and wait until FN has returned;
 * LD_TIMEOUT: it was not begun within SECONDS, and never will be. */
enum ld_status ld_desk_call(struct ld_desk *d, ld_desk_fn fn, void *ctx,
                            double seconds);

/* Do what waits, and then take no more.  In the loop's thread; again does
 * nothing.  The loop is not used from then on. */
void ld_desk_close(struct ld_desk *d);

/* After ld_desk_close(), or in a child of the process, whose loop and threads
 * are not here: then what waits is dropped.  NULL is allowed. */
void ld_desk_free(struct ld_desk *d);

#endif
