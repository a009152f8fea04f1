/* test_timer.c -- deadlines fire in order, whatever is done to the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>
#include <cmocka.h>

#include "timer.h"

enum { MANY = 300 };

/* A timer that knows when it should fire. */
struct alarm {
    struct ld_timer timer; /* first: found from it */
    struct ld_timers *heap;
    double at; /* by the model; HUGE_VAL: idle */
    int fired;
    struct alarm *victim; /* to cancel when fired */
    double again;         /* to set itself to when fired, or 0 */
};

static double last_fired;

static void fire(struct ld_timer *t, double now)
{
    struct alarm *a = (struct alarm *)(void *)t;

    assert_true(a->at <= now);
    assert_true(a->at >= last_fired);
    assert_int_equal(t->index, 0); /* idle already: it may be freed */
    last_fired = a->at;
    a->at = HUGE_VAL;
    a->fired++;
    if (a->victim) {
        ld_timer_cancel(a->heap, &a->victim->timer);
        a->victim->at = HUGE_VAL;
    }
    if (a->again > 0) {
        a->at = a->again;
        ld_timer_set(a->heap, t, a->again);
    }
}

static void alarm_init(struct alarm *a, struct ld_timers *heap)
{
    *a = (struct alarm){.timer.fire = fire, .heap = heap, .at = HUGE_VAL};
}

static void alarm_set(struct alarm *a, double at)
{
    assert_int_equal(ld_timer_set(a->heap, &a->timer, at), LD_OK);
    a->at = at;
}

static void timers_fire_in_order_of_their_deadlines(void **state)
{
    static const double at[] = {5, 1, 4, 2, 3, 1};
    struct ld_timers heap = {0};
    struct alarm a[6];

    (void)state;
    last_fired = 0;
    for (int i = 0; i < 6; i++) {
        alarm_init(&a[i], &heap);
        alarm_set(&a[i], at[i]);
    }
    assert_true(ld_timers_next(&heap) == 1);
    ld_timers_run(&heap, 0.5);
    ld_timers_run(&heap, 3);
    for (int i = 0; i < 6; i++)
        assert_int_equal(a[i].fired, at[i] <= 3);
    assert_true(ld_timers_next(&heap) == 4);
    ld_timers_run(&heap, 9);
    assert_true(isinf(ld_timers_next(&heap)));
    ld_timers_free(&heap);
}

static void a_timer_can_cancel_another_that_is_due(void **state)
{
    struct ld_timers heap = {0};
    struct alarm a, b;

    (void)state;
    last_fired = 0;
    alarm_init(&a, &heap);
    alarm_init(&b, &heap);
    alarm_set(&a, 1);
    alarm_set(&b, 2);
    a.victim = &b;
    ld_timers_run(&heap, 3);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 0);
    assert_true(isinf(ld_timer_at(&heap, &b.timer)));
    ld_timer_cancel(&heap, &b.timer); /* an idle one: nothing happens */
    ld_timers_free(&heap);
}

static void a_timer_that_sets_itself_again_does_not_hold_the_loop(void **state)
{
    struct ld_timers heap = {0};
    struct alarm a, b;

    (void)state;
    last_fired = 0;
    alarm_init(&a, &heap);
    alarm_init(&b, &heap);
    a.again = 1;
    alarm_set(&a, 1);
    alarm_set(&b, 50);
    ld_timers_run(&heap, 3);
    assert_in_range(a.fired, 1, 2);
    assert_true(ld_timer_at(&heap, &a.timer) == 1);
    ld_timers_free(&heap);
}

static double earliest(const struct alarm *a)
{
    double least = HUGE_VAL;

    for (int i = 0; i < MANY; i++)
        least = a[i].at < least ? a[i].at : least;
    return least;
}

/* Settings, moves both ways, cancellations and runs, against a plain array. */
static void any_sequence_of_operations_does_what_a_list_would(void **state)
{
    static struct alarm a[MANY];
    struct ld_timers heap = {0};
    double now = 0;

    (void)state;
    srand(7);
    last_fired = 0;
    for (int i = 0; i < MANY; i++)
        alarm_init(&a[i], &heap);
    for (int i = 0; i < 40000; i++) {
        struct alarm *one = &a[rand() % MANY];

        switch (rand() % 8) {
        case 0:
            ld_timer_cancel(&heap, &one->timer);
            one->at = HUGE_VAL;
            break;
        case 1:
            now += rand() % 20;
            last_fired = 0;
            ld_timers_run(&heap, now);
            assert_true(earliest(a) > now);
            break;
        default: alarm_set(one, now + 1 + rand() % 500);
        }
        assert_true(ld_timers_next(&heap) == earliest(a));
        assert_true(ld_timer_at(&heap, &one->timer) == one->at);
    }
    ld_timers_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_of_their_deadlines),
        cmocka_unit_test(a_timer_can_cancel_another_that_is_due),
        cmocka_unit_test(a_timer_that_sets_itself_again_does_not_hold_the_loop),
        cmocka_unit_test(any_sequence_of_operations_does_what_a_list_would),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
