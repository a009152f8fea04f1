/* test_dial_names.c -- outgoing connections to names: where they are looked
 * up, which address is tried when, and that late answers do no harm. */
#include "support_dial.h"

#include <unistd.h>

static const char *const v4[] = {"127.0.0.1", NULL};
static const char *const v6[] = {"::1", NULL};
/* No route leads a stream there. */
static const char *const multicast[] = {"ff02::1", NULL};

static const struct dns_answer no_such_name = {.rcode = 3};
static const struct dns_answer none = {.rcode = 0};
static const struct dns_answer silence = {.silent = true};

/* Dials the name at PORT, with D as the DNS server. */
static void run(struct outcome *o, struct dns *d, uint16_t port, double timeout)
{
    struct ld_dial_target to = {
        .host = "service.test", .port = port, .timeout = timeout};

    dns_open(d);
    dial_run(o, &to);
    dns_close(d);
}

static void localhost_is_not_asked_of_dns(void **state)
{
    struct ld_dial_target to = {.host = "localhost", .timeout = 5};
    int fd = listen_at("127.0.0.1", &to.port, 1);
    struct dns d = {.answers = {no_such_name, no_such_name}};
    struct outcome o;

    (void)state;
    dns_open(&d);
    dial_run(&o, &to);
    assert_reached(&o, "127.0.0.1", to.port);
    assert_int_equal(d.asked[DNS_A] + d.asked[DNS_AAAA], 0);
    dns_close(&d);
    close(fd);
}

static void one_family_is_enough(void **state)
{
    const struct dns_answer others[] = {none, no_such_name, silence};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct dns d = {.answers = {{.addresses = v4}, others[i]}};
        uint16_t port = 0;
        int fd = listen_at("127.0.0.1", &port, 1);
        struct outcome o;

        run(&o, &d, port, 10);
        assert_reached(&o, "127.0.0.1", port);
        close(fd);
        ld_dialer_free(dial_rig.dialer); /* asks another server next */
        dial_rig.dialer = ld_dialer_new(dial_rig.loop, NULL);
    }
}

/* A port where both families listen, unless there is no IPv6. */
static bool listen_both(uint16_t *port, int fds[2])
{
    fds[0] = listen_at("127.0.0.1", port, 1);
    fds[1] = listen_at("::1", port, 1);
    if (fds[1] >= 0)
        return true;
    close(fds[0]);
    return false;
}

static void ipv6_comes_first_though_its_answer_comes_second(void **state)
{
    struct dns d = {.answers = {{.addresses = v4}, {.addresses = v6}}};
    uint16_t port = 0;
    struct outcome o;
    int fds[2];

    (void)state;
    if (!listen_both(&port, fds))
        return;
    run(&o, &d, port, 10);
    assert_reached(&o, "::1", port);
    close(fds[0]);
    close(fds[1]);
}

static void ipv4_goes_on_where_ipv6_gets_no_answer(void **state)
{
    struct dns d = {.answers = {{.addresses = v4}, {.addresses = v6}}};
    int witnesses[WITNESSES], fd, hole;
    uint16_t port = 0;
    struct outcome o;

    (void)state;
    hole = black_hole("::1", &port, witnesses);
    if (hole < 0)
        return;
    fd = listen_at("127.0.0.1", &port, 1);
    run(&o, &d, port, 10);
    assert_reached(&o, "127.0.0.1", port);
    for (int i = 0; i < WITNESSES; i++)
        close(witnesses[i]);
    close(hole);
    close(fd);
}

static void a_late_answer_is_tried_when_the_first_was_refused(void **state)
{
    struct dns d = {
        .answers = {{.addresses = v4}, {.addresses = v6, .delay = 0.1}}};
    uint16_t port = 0;
    struct outcome o;
    int fd = listen_at("::1", &port, 1);

    (void)state;
    if (fd < 0)
        return;
    run(&o, &d, port, 10);
    assert_reached(&o, "::1", port);
    close(fd);
}

static void the_most_telling_failure_is_told(void **state)
{
    struct dns d = {.answers = {{.addresses = v4}, {.addresses = multicast}}};
    uint16_t port = 0;
    struct outcome o;

    (void)state;
    close(listen_at("127.0.0.1", &port, 1));
    run(&o, &d, port, 10);
    assert_failed(&o, LD_REFUSED,
                  ": 127.0.0.1: Connection refused"); /* not: unreachable */
    assert_failed(&o, LD_REFUSED, "service.test:");
}

static void more_addresses_than_are_tried_do_no_harm(void **state)
{
    static const char *const many[] = {
        "127.0.0.2",  "127.0.0.3",  "127.0.0.4",  "127.0.0.5",  "127.0.0.6",
        "127.0.0.7",  "127.0.0.8",  "127.0.0.9",  "127.0.0.10", "127.0.0.11",
        "127.0.0.12", "127.0.0.13", "127.0.0.14", "127.0.0.15", NULL};
    struct dns d = {.answers = {{.addresses = many}, no_such_name}};
    uint16_t port = 0;
    struct outcome o;

    (void)state;
    close(listen_at("127.0.0.1", &port, 1));
    run(&o, &d, port, 10);
    assert_failed(&o, LD_REFUSED, "Connection refused");
}

static void a_name_that_is_not_there_is_a_dns_error(void **state)
{
    struct dns d = {.answers = {no_such_name, no_such_name}};
    struct outcome o;

    (void)state;
    run(&o, &d, 80, 10);
    assert_failed(&o, LD_DNS, "service.test: Domain name not found");
}

static void a_name_without_addresses_is_a_dns_error(void **state)
{
    struct dns d = {.answers = {none, none}};
    struct outcome o;

    (void)state;
    run(&o, &d, 80, 10);
    assert_failed(&o, LD_DNS, "service.test: ");
}

static void dns_that_is_silent_or_babbles_is_given_up_at_its_time(void **state)
{
    const struct dns_answer garbage = {.addresses = v4, .garbage = true};
    struct dns mute = {.answers = {silence, silence}},
               mad = {.answers = {garbage, garbage}};
    struct outcome o;

    (void)state;
    run(&o, &mute, 80, 0.1);
    assert_failed(&o, LD_TIMEOUT,
                  "service.test:80: no answer from DNS within 0.1 s");
    ld_dialer_free(dial_rig.dialer);
    dial_rig.dialer = ld_dialer_new(dial_rig.loop, NULL);
    run(&o, &mad, 80, 0.1);
    assert_true(o.st == LD_TIMEOUT || o.st == LD_DNS);
}

static void only_the_family_of_the_source_is_asked_for(void **state)
{
    struct ld_dial_target to = {
        .host = "service.test", .source = "127.0.0.5", .timeout = 10};
    struct dns d = {.answers = {{.addresses = v4}, {.addresses = v6}}};
    int fd = listen_at("127.0.0.1", &to.port, 1);
    struct outcome o;

    (void)state;
    dns_open(&d);
    dial_run(&o, &to);
    assert_reached(&o, "127.0.0.1", to.port);
    assert_int_equal(d.asked[DNS_A], 1);
    assert_int_equal(d.asked[DNS_AAAA], 0);
    dns_close(&d);
    close(fd);
}

static void answers_for_nobody_are_dropped(void **state)
{
    struct ld_dial_target to = {
        .host = "service.test", .port = 80, .timeout = 10};
    struct dns d = {.answers = {{.addresses = v4, .delay = 0.01}, silence}};
    struct outcome o, other;

    (void)state;
    dns_open(&d);
    ld_dial_cancel(dial_begin(&o, &to)); /* its questions are on their way */
    dial_pass(0.05);
    assert_int_equal(d.asked[DNS_A], 1);
    for (int i = 0; i < 4; i++) {
        struct ld_dial *dial = dial_begin(&o, &to);

        dial_begin(&other, &to);
        for (int j = 0; j < i; j++)
            ev_run(dial_rig.loop, EVRUN_NOWAIT);
        ld_dial_cancel(dial);
    }
    dial_pass(0.02);
    assert_int_equal(o.calls, 0);
    dns_close(&d); /* the others go with the dialer, unanswered */
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, dial_set_up, dial_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(localhost_is_not_asked_of_dns),
        TEST(one_family_is_enough),
        TEST(ipv6_comes_first_though_its_answer_comes_second),
        TEST(ipv4_goes_on_where_ipv6_gets_no_answer),
        TEST(a_late_answer_is_tried_when_the_first_was_refused),
        TEST(the_most_telling_failure_is_told),
        TEST(more_addresses_than_are_tried_do_no_harm),
        TEST(a_name_that_is_not_there_is_a_dns_error),
        TEST(a_name_without_addresses_is_a_dns_error),
        TEST(dns_that_is_silent_or_babbles_is_given_up_at_its_time),
        TEST(only_the_family_of_the_source_is_asked_for),
        TEST(answers_for_nobody_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
