/* desk.c -- see desk.h. */
#include "desk.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum job_stage { WAITING, BEGUN, DONE };

enum { TURN_MAX = 256 /* jobs of a turn of the loop */ };

static const double FOREVER = 1e9; /* seconds */

struct job {
    struct job *next;
    ld_desk_fn fn;
    void *ctx;
    enum job_stage stage;
    bool awaited; /* by its caller, on whose stack it is */
};

struct ld_desk {
    struct ev_loop *loop;
    ev_async wake;
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct job *first, *last;
    unsigned count;
    bool closed;
};

static void append(struct ld_desk *d, struct job *j)
{
    if (d->first)
        d->last->next = j;
    else
        d->first = j;
    d->last = j;
    d->count++;
    ev_async_send(d->loop, &d->wake);
}

static struct job *take(struct ld_desk *d)
{
    struct job *j = d->first;

    if (j) {
        d->first = j->next;
        d->count--;
        j->stage = BEGUN;
    }
    return j;
}

/* Locked, before and after. */
static void perform(struct ld_desk *d, struct job *j)
{
    pthread_mutex_unlock(&d->lock);
    j->fn(j->ctx);
    pthread_mutex_lock(&d->lock);
    if (!j->awaited) {
        free(j);
        return;
    }
    j->stage = DONE;
    pthread_cond_broadcast(&d->done);
}

/* What is put meanwhile is for the next turn of the loop, and so is what is
 * much: work must not keep it from its connections, whose mailboxes would
 * overflow by what it sends them. */
static void on_wake(struct ev_loop *loop, ev_async *w, int events)
{
    struct ld_desk *d = w->data;
    unsigned count;

    (void)events;
    pthread_mutex_lock(&d->lock);
    count = d->count < TURN_MAX ? d->count : TURN_MAX;
    for (; count > 0 && d->first; count--)
        perform(d, take(d));
    if (d->first && !d->closed)
        ev_async_send(loop, &d->wake);
    pthread_mutex_unlock(&d->lock);
}

/* Without one for its event, libev would print and abort. */
static bool has_descriptor(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void ld_desk_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

struct timespec ld_desk_after(double seconds)
{
    struct timespec t;
    double most = fmin(fmax(seconds, 0), FOREVER), whole = floor(most);

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)((most - whole) * 1e9);
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

struct ld_desk *ld_desk_new(struct ev_loop *loop)
{
    struct ld_desk *d = has_descriptor() ? calloc(1, sizeof(*d)) : NULL;

    if (!d)
        return NULL;
    d->loop = loop;
    pthread_mutex_init(&d->lock, NULL);
    ld_desk_cond_init(&d->done);
    ev_async_init(&d->wake, on_wake);
    d->wake.data = d;
    ev_async_start(loop, &d->wake);
    ev_unref(loop);
    return d;
}

/* Locked: may there be one more job? */
static enum ld_status room(const struct ld_desk *d)
{
    return d->closed ? LD_CLOSED : d->count >= LD_DESK_MAX ? LD_LIMIT : LD_OK;
}

enum ld_status ld_desk_put(struct ld_desk *d, ld_desk_fn fn, void *ctx)
{
    struct job *j = calloc(1, sizeof(*j));
    enum ld_status st;

    if (!j)
        return LD_NOMEM;
    j->fn = fn;
    j->ctx = ctx;
    pthread_mutex_lock(&d->lock);
    st = room(d);
    if (!st)
        append(d, j);
    pthread_mutex_unlock(&d->lock);
    if (st)
        free(j);
    return st;
}

static void withdraw(struct ld_desk *d, const struct job *j)
{
    struct job *before = NULL, **at = &d->first;

    while (*at != j) {
        before = *at;
        at = &before->next;
    }
    *at = j->next;
    if (d->last == j)
        d->last = before;
    d->count--;
}

/* Locked, before and after.  The job is on the caller's stack: once begun, it
 * is waited for. */
static enum ld_status await(struct ld_desk *d, struct job *j, double seconds)
{
    struct timespec until = ld_desk_after(seconds);

    append(d, j);
    while (j->stage == WAITING)
        if (pthread_cond_timedwait(&d->done, &d->lock, &until) == ETIMEDOUT &&
            j->stage == WAITING) {
            withdraw(d, j);
            return LD_TIMEOUT;
        }
    while (j->stage != DONE)
        pthread_cond_wait(&d->done, &d->lock);
    return LD_OK;
}

enum ld_status ld_desk_call(struct ld_desk *d, ld_desk_fn fn, void *ctx,
                            double seconds)
{
    struct job j = {.fn = fn, .ctx = ctx, .awaited = true};
    enum ld_status st;

    pthread_mutex_lock(&d->lock);
    st = room(d);
    if (!st)
        st = await(d, &j, seconds);
    pthread_mutex_unlock(&d->lock);
    return st;
}

void ld_desk_close(struct ld_desk *d)
{
    pthread_mutex_lock(&d->lock);
    if (!d->closed) {
        d->closed = true; /* work that leads to work would be for ever */
        while (d->first)
            perform(d, take(d));
        ev_ref(d->loop);
        ev_async_stop(d->loop, &d->wake);
    }
    pthread_mutex_unlock(&d->lock);
}

void ld_desk_free(struct ld_desk *d)
{
    if (!d)
        return;
    while (d->first) {
        struct job *j = take(d);

        if (!j->awaited)
            free(j);
    }
    pthread_cond_destroy(&d->done);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
