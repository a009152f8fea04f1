/* test_desk.c -- work from other threads: order, limits, waiting, closing. */
#include "desk.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS = 4, EACH = 2000 };

struct fixture {
    struct ev_loop *loop;
    struct ld_desk *desk;
    unsigned done[THREADS]; /* by thread: the next number that must come */
    unsigned total, limited;
    bool in_order;
};

struct job {
    struct fixture *f;
    unsigned thread, number;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->loop = ev_loop_new(0);
    f->desk = ld_desk_new(f->loop);
    f->in_order = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    ld_desk_close(f->desk);
    ld_desk_free(f->desk);
    ev_loop_destroy(f->loop);
    free(f);
    return 0;
}

static void count(void *ctx)
{
    struct job *j = ctx;
    struct fixture *f = j->f;

    f->in_order = f->in_order && f->done[j->thread] == j->number;
    f->done[j->thread]++;
    if (++f->total == THREADS * EACH)
        ev_break(f->loop, EVBREAK_ONE);
    free(j);
}

struct sender {
    struct fixture *f;
    unsigned thread;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;

    for (unsigned i = 0; i < EACH; i++) {
        struct job *j = malloc(sizeof(*j));

        *j = (struct job){s->f, s->thread, i};
        if (ld_desk_put(s->f->desk, count, j))
            free(j);
    }
    return NULL;
}

static void keep(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)t;
    (void)events;
    ev_break(loop, EVBREAK_ONE);
}

/* What one thread puts is done in its order, and all of it is done. */
static void test_order(void **state)
{
    struct fixture *f = *state;
    struct sender senders[THREADS];
    pthread_t threads[THREADS];
    ev_timer timer;

    ev_timer_init(&timer, keep, 30, 0);
    ev_timer_start(f->loop, &timer);
    for (unsigned i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){f, i};
        pthread_create(&threads[i], NULL, send_all, &senders[i]);
    }
    ev_run(f->loop, 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ev_timer_stop(f->loop, &timer);
    assert_int_equal(f->total, THREADS * EACH);
    assert_true(f->in_order);
}

static void add(void *ctx)
{
    ++*(unsigned *)ctx;
}

/* A desk is full at its limit, and has room again once it was emptied; but a
 * turn of the loop does not do all of that, so that others have theirs. */
static void test_limit(void **state)
{
    struct fixture *f = *state;
    unsigned n = 0, turns = 0;

    for (unsigned i = 0; i < LD_DESK_MAX; i++)
        assert_int_equal(ld_desk_put(f->desk, add, &n), LD_OK);
    assert_int_equal(ld_desk_put(f->desk, add, &n), LD_LIMIT);
    assert_int_equal(ld_desk_call(f->desk, add, &n, 0), LD_LIMIT);
    for (; n < LD_DESK_MAX && turns < LD_DESK_MAX; turns++)
        ev_run(f->loop, EVRUN_NOWAIT);
    assert_int_equal(n, LD_DESK_MAX);
    assert_in_range(turns, LD_DESK_MAX / 1000, LD_DESK_MAX / 10);
    assert_int_equal(ld_desk_put(f->desk, add, &n), LD_OK);
}

/* A call that nobody gets to is withdrawn: it is not done later, and what was
 * before and behind it is. */
static void test_withdrawn(void **state)
{
    struct fixture *f = *state;
    unsigned before = 0, called = 0, behind = 0;

    ld_desk_put(f->desk, add, &before);
    assert_int_equal(ld_desk_call(f->desk, add, &called, 0.01), LD_TIMEOUT);
    ld_desk_put(f->desk, add, &behind);
    ev_run(f->loop, EVRUN_NOWAIT);
    assert_int_equal(called, 0);
    assert_int_equal(before + behind, 2);
}

struct caller {
    struct fixture *f;
    unsigned value;
    enum ld_status st;
};

static void set(void *ctx)
{
    struct caller *c = ctx;

    c->value = 7;
    ev_break(c->f->loop, EVBREAK_ONE);
}

static void *call(void *arg)
{
    struct caller *c = arg;

    c->st = ld_desk_call(c->f->desk, set, c, 30);
    return c->st == LD_OK && c->value == 7 ? c : NULL;
}

/* A call returns when its function has. */
static void test_call(void **state)
{
    struct fixture *f = *state;
    struct caller c = {.f = f};
    pthread_t thread;
    ev_timer timer;
    void *good;

    ev_timer_init(&timer, keep, 30, 0);
    ev_timer_start(f->loop, &timer);
    pthread_create(&thread, NULL, call, &c);
    ev_run(f->loop, 0);
    pthread_join(thread, &good);
    ev_timer_stop(f->loop, &timer);
    assert_ptr_equal(good, &c);
}

/* At its end what waits is done, and then nothing is taken. */
static void test_close(void **state)
{
    struct fixture *f = *state;
    unsigned n = 0;

    ld_desk_put(f->desk, add, &n);
    ld_desk_close(f->desk);
    assert_int_equal(n, 1);
    assert_int_equal(ld_desk_put(f->desk, add, &n), LD_CLOSED);
    assert_int_equal(ld_desk_call(f->desk, add, &n, 1), LD_CLOSED);
}

static void test_keeps_no_loop(void **state)
{
    struct fixture *f = *state;

    assert_false(ev_run(f->loop, 0)); /* it has nothing to wait for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_withdrawn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keeps_no_loop, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
