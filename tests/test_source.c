/* test_source.c -- what one source of clients may take up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "source.h"
#include "support_address.h"

static struct ld_sources *all;
static double now;

static int begin(void **state)
{
    (void)state;
    all = ld_sources_new(12345);
    now = 1000;
    return all ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    ld_sources_free(all);
    return 0;
}

static void limit(uint32_t connections, double rate, double bytes)
{
    struct ld_source_limits limits = {connections, rate, bytes, 32, 64};

    ld_sources_limit(all, &limits);
}

static enum ld_source_verdict enter(const char *host, struct ld_source **s)
{
    struct sockaddr_storage sa = address(host);

    return ld_sources_enter(all, &sa, now, s);
}

static void connections_of_a_source_are_counted(void **state)
{
    struct ld_source *a, *b, *c, *none;

    (void)state;
    limit(2, 0, 0);
    assert_int_equal(enter("10.0.0.1", &a), LD_SOURCE_GOOD);
    assert_int_equal(enter("10.0.0.1", &b), LD_SOURCE_GOOD);
    assert_int_equal(enter("10.0.0.1", &none), LD_SOURCE_CONNECTIONS);
    assert_null(none);
    assert_int_equal(enter("10.0.0.2", &c), LD_SOURCE_GOOD);
    assert_int_equal(enter("::ffff:10.0.0.1", &none), LD_SOURCE_CONNECTIONS);
    ld_sources_leave(a);
    assert_int_equal(enter("10.0.0.1", &a), LD_SOURCE_GOOD);
    assert_ptr_equal(a, b);
    ld_sources_leave(NULL);
}

static void networks_are_sources(void **state)
{
    struct ld_source_limits limits = {.connections = 1, .v4 = 24, .v6 = 48};
    struct ld_source *a, *b, *none;

    (void)state;
    ld_sources_limit(all, &limits);
    assert_int_equal(enter("10.0.0.1", &a), LD_SOURCE_GOOD);
    assert_int_equal(enter("10.0.0.200", &none), LD_SOURCE_CONNECTIONS);
    assert_int_equal(enter("10.0.1.1", &b), LD_SOURCE_GOOD);
    assert_int_equal(enter("2001:db8:1::1", &a), LD_SOURCE_GOOD);
    assert_int_equal(enter("2001:db8:1:ff::1", &none), LD_SOURCE_CONNECTIONS);
    assert_int_equal(enter("2001:db8:2::1", &a), LD_SOURCE_GOOD);
    assert_int_equal(enter("unix", &none), LD_SOURCE_GOOD);
    assert_null(none);
}

static void newcomers_come_at_a_rate(void **state)
{
    struct ld_source *s;

    (void)state;
    limit(0, 10, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(enter("10.0.0.1", &s), LD_SOURCE_GOOD);
    assert_int_equal(enter("10.0.0.1", &s), LD_SOURCE_RATE);
    assert_int_equal(enter("10.0.0.2", &s), LD_SOURCE_GOOD);
    now += 0.25;
    assert_int_equal(enter("10.0.0.1", &s), LD_SOURCE_GOOD);
    assert_int_equal(enter("10.0.0.1", &s), LD_SOURCE_GOOD);
    assert_int_equal(enter("10.0.0.1", &s), LD_SOURCE_RATE);
    now += 100; /* no more than a second's worth is saved up */
    for (int i = 0; i < 10; i++)
        assert_int_equal(enter("10.0.0.1", &s), LD_SOURCE_GOOD);
    assert_int_equal(enter("10.0.0.1", &s), LD_SOURCE_RATE);
}

static void bytes_are_overdrawn_and_paid_back(void **state)
{
    struct ld_source *s;

    (void)state;
    limit(0, 0, 1000);
    enter("10.0.0.1", &s);
    assert_true(ld_source_charge(all, s, 600, now) == 0);
    assert_true(ld_source_charge(all, s, 2400, now) == 2.0);
    now += 1;
    assert_true(ld_source_charge(all, s, 0, now) == 1.0);
    now += 2;
    assert_true(ld_source_charge(all, s, 1000, now) == 0);
    limit(0, 0, 0);
    assert_true(ld_source_charge(all, s, 1000000, now) == 0);
}

static void those_that_have_gone_are_forgotten(void **state)
{
    struct ld_source *s, *stays;
    char host[32];

    (void)state;
    limit(5, 5, 0);
    enter("10.255.0.1", &stays);
    for (int i = 0; i < 20000; i++) {
        snprintf(host, sizeof(host), "10.%d.%d.1", i >> 8, i & 255);
        assert_int_equal(enter(host, &s), LD_SOURCE_GOOD);
        ld_sources_leave(s);
        now += 0.01;
    }
    assert_in_range(ld_sources_count(all), 1, 500);
    for (int i = 0; i < 4; i++)
        assert_int_equal(enter("10.255.0.1", &s), LD_SOURCE_GOOD);
    assert_ptr_equal(s, stays);
    assert_int_equal(enter("10.255.0.1", &s), LD_SOURCE_CONNECTIONS);
}

/* Beyond, there is no memory for more: clients are served all the same. */
static void there_are_so_many_at_most(void **state)
{
    struct ld_source *s;
    char host[32];

    (void)state;
    limit(1, 0, 0);
    for (int i = 0; i < LD_SOURCES_MAX + 1000; i++) {
        snprintf(host, sizeof(host), "%d.%d.%d.1", 1 + (i >> 16), i >> 8 & 255,
                 i & 255);
        assert_int_equal(enter(host, &s), LD_SOURCE_GOOD);
    }
    assert_int_equal(ld_sources_count(all), LD_SOURCES_MAX);
    assert_null(s);
    assert_int_equal(enter("1.0.0.1", &s), LD_SOURCE_CONNECTIONS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_of_a_source_are_counted),
        TEST(networks_are_sources),
        TEST(newcomers_come_at_a_rate),
        TEST(bytes_are_overdrawn_and_paid_back),
        TEST(those_that_have_gone_are_forgotten),
        TEST(there_are_so_many_at_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
