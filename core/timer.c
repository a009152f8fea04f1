/* timer.c -- a binary heap of deadlines; see timer.h. */
#include "timer.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static void place(struct ld_timers *h, uint32_t i, struct ld_timer_entry e)
{
    h->heap[i] = e;
    e.timer->index = i;
}

static void sift_up(struct ld_timers *h, uint32_t i, struct ld_timer_entry e)
{
    for (; i > 1 && h->heap[i / 2].at > e.at; i /= 2)
        place(h, i, h->heap[i / 2]);
    place(h, i, e);
}

static void sift_down(struct ld_timers *h, uint32_t i, struct ld_timer_entry e)
{
    for (uint32_t child = 2 * i; child <= h->count; child = 2 * i) {
        if (child < h->count && h->heap[child + 1].at < h->heap[child].at)
            child++;
        if (h->heap[child].at >= e.at)
            break;
        place(h, i, h->heap[child]);
        i = child;
    }
    place(h, i, e);
}

static enum ld_status grow(struct ld_timers *h)
{
    uint32_t cap = h->cap ? 2 * h->cap : 64;
    struct ld_timer_entry *heap = realloc(h->heap, cap * sizeof(*heap));

    if (!heap)
        return LD_NOMEM;
    h->heap = heap;
    h->cap = cap;
    return LD_OK;
}

enum ld_status ld_timer_set(struct ld_timers *h, struct ld_timer *t, double at)
{
    struct ld_timer_entry e = {at, t};

    if (t->index == 0) {
        if (h->count + 1 >= h->cap && grow(h))
            return LD_NOMEM;
        sift_up(h, ++h->count, e);
    } else if (at < h->heap[t->index].at) {
        sift_up(h, t->index, e);
    } else {
        sift_down(h, t->index, e);
    }
    return LD_OK;
}

void ld_timer_cancel(struct ld_timers *h, struct ld_timer *t)
{
    uint32_t i = t->index;
    struct ld_timer_entry last;

    if (i == 0)
        return;
    t->index = 0;
    last = h->heap[h->count--];
    if (last.timer == t)
        return;
    if (i > 1 && last.at < h->heap[i / 2].at)
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

double ld_timer_at(const struct ld_timers *h, const struct ld_timer *t)
{
    return t->index ? h->heap[t->index].at : HUGE_VAL;
}

double ld_timers_next(const struct ld_timers *h)
{
    return h->count ? h->heap[1].at : HUGE_VAL;
}

void ld_timers_run(struct ld_timers *h, double now)
{
    for (uint32_t left = h->count; left > 0 && ld_timers_next(h) <= now;
         left--) {
        struct ld_timer *t = h->heap[1].timer;

        ld_timer_cancel(h, t);
        t->fire(t, now);
    }
}

void ld_timers_free(struct ld_timers *h)
{
    free(h->heap);
    h->heap = NULL;
    h->count = h->cap = 0;
}

double ld_monotonic(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
