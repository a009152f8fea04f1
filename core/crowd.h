/* crowd.h -- so many of those that are ready get their turn at each wake-up.
 *
 * Whoever is ready and not admitted is ready again at the next one, so nothing
 * is lost; who has been served for long does not wait for all that have just
 * come.  Turns go round, lest the same ones come first each time.
 */
#ifndef LD_CROWD_H
#define LD_CROWD_H

#include <stdbool.h>
#include <stdint.h>

struct ld_crowd {
    uint32_t most;       /* admitted at a wake-up */
    uint32_t seen, from; /* at this one; the first of those admitted */
};

/* The loop has woken up. */
static inline void ld_crowd_wake(struct ld_crowd *c)
{
    c->from += c->most;
    if (c->from >= c->seen)
        c->from = 0;
    c->seen = 0;
}

/* Is it the turn of one that is ready? */
static inline bool ld_crowd_admits(struct ld_crowd *c)
{
    uint32_t place = c->seen++;

    return place >= c->from && place - c->from < c->most;
}

#endif
