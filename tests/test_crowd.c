/* test_crowd.c -- turns at each wake-up: few, and in the end everybody's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crowd.h"

/* Wake up TIMES with COUNT that are ready each time: how often each had its
 * turn.  Returns the most turns at one wake-up. */
static unsigned turns(struct ld_crowd *c, unsigned count, unsigned times,
                      unsigned *had)
{
    unsigned most = 0;

    memset(had, 0, count * sizeof(*had));
    for (unsigned t = 0; t < times; t++) {
        unsigned now = 0;

        ld_crowd_wake(c);
        for (unsigned i = 0; i < count; i++) {
            bool admitted = ld_crowd_admits(c);

            now += admitted;
            had[i] += admitted;
        }
        most = now > most ? now : most;
    }
    return most;
}

static void a_few_all_have_their_turn_at_once(void **state)
{
    struct ld_crowd c = {.most = 3};
    unsigned had[3];

    (void)state;
    assert_int_equal(turns(&c, 3, 10, had), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(had[i], 10);
}

static void of_many_each_has_its_turn_in_time(void **state)
{
    struct ld_crowd c = {.most = 3};
    unsigned had[10];

    (void)state;
    assert_int_equal(turns(&c, 10, 40, had), 3);
    for (int i = 0; i < 10; i++)
        assert_in_range(had[i], 9, 13);
}

static void when_many_have_gone_the_rest_go_on(void **state)
{
    struct ld_crowd c = {.most = 2};
    unsigned had[100];

    (void)state;
    turns(&c, 100, 30, had);
    turns(&c, 2, 3, had);
    assert_true(had[0] >= 2 && had[1] >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_all_have_their_turn_at_once),
        cmocka_unit_test(of_many_each_has_its_turn_in_time),
        cmocka_unit_test(when_many_have_gone_the_rest_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
