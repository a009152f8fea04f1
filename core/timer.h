/* timer.h -- deadlines in a heap, against a clock that the owner sets.
 *
 * Borrows the timers in it.  Knows no loop: the worker asks for the earliest
 * deadline and calls ld_timers_run(), and a test moves the clock by hand.
 */
#ifndef LD_TIMER_H
#define LD_TIMER_H

#include <stdbool.h>

#include "ld.h"

struct ld_timer;
typedef void (*ld_timer_fn)(struct ld_timer *t, double now);

/* Embedded in what waits.  Zero INDEX means idle. */
struct ld_timer {
    ld_timer_fn fire;
    uint32_t index; /* in the heap, from 1 */
};

struct ld_timer_entry {
    double at; /* seconds on the owner's clock */
    struct ld_timer *timer;
};

struct ld_timers {
    struct ld_timer_entry *heap; /* [1..count] */
    uint32_t count, cap;
};

/* Set T to fire at AT, moving it if it was set already.  LD_NOMEM leaves T as
 * it was. */
enum ld_status ld_timer_set(struct ld_timers *h, struct ld_timer *t, double at);

void ld_timer_cancel(struct ld_timers *h, struct ld_timer *t);

/* When T will fire, or HUGE_VAL when it is idle. */
double ld_timer_at(const struct ld_timers *h, const struct ld_timer *t);

/* The earliest deadline, or HUGE_VAL. */
double ld_timers_next(const struct ld_timers *h);

/* Fire, in order, what is due at NOW; at most as many as were set before, so
 * that one that sets itself again for NOW cannot keep the loop. */
void ld_timers_run(struct ld_timers *h, double now);

void ld_timers_free(struct ld_timers *h);

/* Seconds on the monotonic clock, exactly now. */
double ld_monotonic(void);

#endif
