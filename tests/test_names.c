/* test_names.c -- a name has one holder, and a worker's names go with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "names.h"

static struct ld_names *names;

static struct ld_text text(const char *s)
{
    return (struct ld_text){s, strlen(s)};
}

static int set_up(void **state)
{
    (void)state;
    names = ld_names_new();
    return names ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ld_names_free(names);
    return 0;
}

static enum ld_status hold(const char *name, const char *id, int take)
{
    return ld_names_register(names, text(name), text(id), take, NULL);
}

static void a_name_has_one_holder(void **state)
{
    char previous[LD_NAME_MAX + 1];

    (void)state;
    assert_null(ld_names_find(names, text("a")));
    assert_int_equal(
        ld_names_register(names, text("a"), text("1.1.0.0"), 0, previous),
        LD_OK);
    assert_string_equal(previous, "");
    assert_int_equal(
        ld_names_register(names, text("a"), text("2.1.0.0"), 0, previous),
        LD_BUSY);
    assert_string_equal(previous, "1.1.0.0");
    assert_string_equal(ld_names_find(names, text("a")), "1.1.0.0");
    assert_int_equal(hold("a", "1.1.0.0", 0), LD_OK); /* it has it already */
    assert_int_equal(ld_names_count(names), 1);
}

static void a_name_can_be_taken(void **state)
{
    char previous[LD_NAME_MAX + 1];

    (void)state;
    hold("a", "1.1.0.0", 0);
    assert_int_equal(
        ld_names_register(names, text("a"), text("2.1.0.0"), 1, previous),
        LD_OK);
    assert_string_equal(previous, "1.1.0.0");
    assert_string_equal(ld_names_find(names, text("a")), "2.1.0.0");
    assert_int_equal(ld_names_count(names), 1);
}

static void only_the_holder_releases_a_name(void **state)
{
    (void)state;
    hold("a", "1.1.0.0", 0);
    assert_false(ld_names_release(names, text("a"), text("1.1.0.1")));
    assert_false(ld_names_release(names, text("b"), text("1.1.0.0")));
    assert_true(ld_names_release(names, text("a"), text("1.1.0.0")));
    assert_null(ld_names_find(names, text("a")));
    assert_int_equal(ld_names_count(names), 0);
}

static void names_are_bytes_of_a_bounded_number(void **state)
{
    char long_name[LD_NAME_MAX + 2];

    (void)state;
    memset(long_name, 'x', sizeof(long_name));
    long_name[LD_NAME_MAX + 1] = '\0';
    assert_int_equal(hold(long_name, "1", 0), LD_LIMIT);
    assert_int_equal(hold("a", long_name, 0), LD_LIMIT);
    assert_int_equal(hold("", "1", 0), LD_LIMIT);
    assert_int_equal(hold("a", "", 0), LD_LIMIT);
    long_name[LD_NAME_MAX] = '\0';
    assert_int_equal(hold(long_name, long_name, 0), LD_OK);
    assert_string_equal(ld_names_find(names, text(long_name)), long_name);
    assert_int_equal(ld_names_register(names, (struct ld_text){"a\0b", 3},
                                       text("1"), 0, NULL),
                     LD_OK);
    assert_null(ld_names_find(names, text("a")));
}

struct kept {
    int count;
    const char *prefix;
};

static void check(void *ctx, struct ld_text name, struct ld_text id)
{
    struct kept *k = ctx;

    assert_int_equal(name.p[0], 'n');
    assert_memory_equal(id.p, k->prefix, strlen(k->prefix));
    k->count++;
}

static void a_worker_s_names_go_together(void **state)
{
    struct kept dropped = {0, "1.1."}, left = {0, "1.10."};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char name[16], id[32];

        snprintf(name, sizeof(name), "n%d", i);
        snprintf(id, sizeof(id), i % 2 ? "1.1.%d.0" : "1.10.%d.0", i);
        assert_int_equal(hold(name, id, 0), LD_OK);
    }
    ld_names_drop(names, "1.1.", check, &dropped);
    assert_int_equal(dropped.count, 500);
    ld_names_each(names, check, &left);
    assert_int_equal(left.count, 500);
    ld_names_drop(names, "1.10.", NULL, NULL);
    assert_int_equal(ld_names_count(names), 0);
}

/* Beside a plain array, in random order. */
static void it_agrees_with_an_array(void **state)
{
    enum { NAMES = 300, STEPS = 200000 };
    static int holder[NAMES]; /* 0: none */
    unsigned seed = 1;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        int i = rand_r(&seed) % NAMES, who = 1 + rand_r(&seed) % 5;
        int what = rand_r(&seed) % 4;
        char name[16], id[32];
        const char *found;

        snprintf(name, sizeof(name), "%d", i);
        snprintf(id, sizeof(id), "%d.1.0.0", who);
        if (what == 0) {
            assert_int_equal(ld_names_release(names, text(name), text(id)),
                             holder[i] == who);
            holder[i] = holder[i] == who ? 0 : holder[i];
        } else if (what == 1 && step % 100 == 0) {
            id[4] = '\0';
            ld_names_drop(names, id, NULL, NULL);
            for (int k = 0; k < NAMES; k++)
                holder[k] = holder[k] == who ? 0 : holder[k];
        } else {
            enum ld_status st = hold(name, id, what == 2);

            assert_int_equal(st == LD_OK,
                             what == 2 || !holder[i] || holder[i] == who);
            holder[i] = st ? holder[i] : who;
        }
        found = ld_names_find(names, text(name));
        assert_int_equal(found ? atoi(found) : 0, holder[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_has_one_holder, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_name_can_be_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_holder_releases_a_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_are_bytes_of_a_bounded_number,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_s_names_go_together, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_agrees_with_an_array, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
