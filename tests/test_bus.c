/* test_bus.c -- what workers post arrives whole, in order, and only where it
 * was meant to; what the supervisor says is done.
 *
 * Two workers and the supervisor's ends of their channels, in one process.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus_parts.h"

static const struct ld_log silent = {.level = LD_SILENT};

/* A worker, and what it was told. */
struct party {
    struct ld_seat seat;
    struct ld_bus *bus;
    int supervisor; /* the other end of its control channel */
    int messages;
    size_t bytes;
    uint32_t next; /* number that the next message should bear */
    uint32_t from, incarnation;
    uint8_t control[64];
    size_t control_size;
    uint32_t watched;
    int stops;
    uint32_t drains, drain_seconds;
};

static struct ev_loop *loop;
static struct party parties[2];
static int inboxes[2], outboxes[2];

static void on_message(void *ctx, uint32_t slot, uint32_t incarnation,
                       const void *p, size_t n)
{
    struct party *party = ctx;
    const uint8_t *bytes = p;
    uint32_t number;

    party->messages++;
    party->bytes += n;
    party->from = slot;
    party->incarnation = incarnation;
    if (n < sizeof(number))
        return;
    memcpy(&number, p, sizeof(number));
    assert_int_equal(number, party->next);
    party->next++;
    for (size_t i = sizeof(number); i < n; i++)
        if (bytes[i] != (uint8_t)(number + i))
            fail_msg("byte %zu of message %u is wrong", i, number);
}

static void on_control(void *ctx, const void *p, size_t n)
{
    struct party *party = ctx;

    assert_true(n <= sizeof(party->control));
    memcpy(party->control, p, n);
    party->control_size = n;
}

static void on_watch(void *ctx, uint32_t slot, bool on)
{
    ((struct party *)ctx)->watched = on ? slot : 0;
}

static void on_stop(void *ctx)
{
    ((struct party *)ctx)->stops++;
}

static void on_drain(void *ctx, uint32_t seconds)
{
    struct party *party = ctx;

    party->drains++;
    party->drain_seconds = seconds;
}

static const struct ld_bus_events events = {
    on_message, on_control, on_watch, on_stop, on_drain, NULL, NULL};

static void say(struct party *p, const char *bytes, size_t n)
{
    assert_int_equal(send(p->supervisor, bytes, n, 0), n);
}

static bool is_busy(const struct party *p)
{
    struct pollfd fds[] = {{.fd = p->seat.inbox, .events = POLLIN},
                           {.fd = p->seat.control, .events = POLLIN}};
    const struct ld_bus_peer *other = &p->bus->peers[2 - p->seat.slot];

    return ld_outbox_waits(&other->outbox) || p->bus->staged > 0 ||
           (poll(fds, 2, 0) > 0 && p->stops == 0);
}

/* Run the loop until nothing is left to do. */
static void settle(void)
{
    do {
        ev_run(loop, EVRUN_NOWAIT);
    } while (is_busy(&parties[0]) || is_busy(&parties[1]));
}

static void open_party(int i, uint32_t incarnation)
{
    struct party *p = &parties[i];
    int pair[2];

    memset(p, 0, sizeof(*p));
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    p->supervisor = pair[0];
    p->seat = (struct ld_seat){.slot = (uint32_t)i + 1,
                               .incarnation = incarnation,
                               .slots = 2,
                               .control = pair[1],
                               .inbox = inboxes[i],
                               .outboxes = outboxes};
    p->bus = ld_bus_new(loop, &p->seat, &silent, &events, p);
    assert_non_null(p->bus);
}

static void close_party(struct party *p)
{
    ld_bus_free(p->bus);
    close(p->supervisor);
    close(p->seat.control);
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    for (int i = 0; i < 2; i++) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) < 0)
            return -1;
        inboxes[i] = pair[0];
        outboxes[i] = pair[1];
    }
    open_party(0, 1);
    open_party(1, 3);
    for (int i = 0; i < 2; i++)
        ld_bus_start(parties[i].bus);
    say(&parties[0], "W\0\2\0\0\0\3\1", 8);
    say(&parties[1], "W\0\1\0\0\0\1\1", 8);
    settle();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        close_party(&parties[i]);
        close(inboxes[i]);
        close(outboxes[i]);
    }
    ev_loop_destroy(loop);
    return 0;
}

/* Post a message of N bytes that bears NUMBER. */
static bool post(uint32_t number, size_t n)
{
    uint8_t *bytes = malloc(n);
    bool done;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(number + i);
    memcpy(bytes, &number, n < sizeof(number) ? n : sizeof(number));
    done = ld_bus_post(parties[0].bus, 2, bytes, n);
    free(bytes);
    return done;
}

static void messages_of_any_size_arrive_whole_and_in_order(void **state)
{
    static const size_t sizes[] = {4,     5,     100,   32743, 32744, 32745,
                                   32752, 32753, 32768, 65488, 70000, 3000000};
    enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
    uint32_t number = 0;
    size_t sum = 0;

    (void)state;
    for (int around = 0; around < 3; around++)
        for (size_t i = 0; i < SIZES; i++) {
            size_t n = sizes[around == 1 ? SIZES - 1 - i : i];

            assert_true(post(number++, n));
            sum += n;
            if (around == 2)
                settle();
        }
    settle();
    assert_int_equal(parties[1].messages, number);
    assert_int_equal(parties[1].bytes, sum);
    assert_int_equal(parties[1].from, 1);
    assert_int_equal(parties[1].incarnation, 1);
    assert_int_equal(parties[0].messages, 0);
}

static void an_empty_message_is_one(void **state)
{
    (void)state;
    assert_true(ld_bus_post(parties[0].bus, 2, "", 0));
    settle();
    assert_int_equal(parties[1].messages, 1);
    assert_int_equal(parties[1].bytes, 0);
}

static void a_million_posts_are_none_lost(void **state)
{
    uint32_t number = 0;

    (void)state;
    while (number < 1000000) {
        for (int i = 0; i < 1000; i++)
            assert_true(post(number++, 40));
        ev_run(loop, EVRUN_NOWAIT);
    }
    settle();
    assert_int_equal(parties[1].messages, 1000000);
}

static void a_queue_is_bounded_and_goes_on_when_it_is_read(void **state)
{
    enum { SIZE = 1 << 20 };
    uint32_t number = 0;
    size_t posted;

    (void)state;
    while (post(number, SIZE))
        number++;
    posted = (size_t)number * SIZE;
    assert_in_range(posted, LD_BUS_QUEUE - 2 * SIZE, LD_BUS_QUEUE + 2 * SIZE);
    assert_false(post(number, LD_BUS_QUEUE + 1));
    settle();
    assert_int_equal(parties[1].messages, number);
    assert_true(post(number, SIZE));
    settle();
    assert_int_equal(parties[1].messages, number + 1);
}

static void last_words_are_sent(void **state)
{
    (void)state;
    assert_true(post(0, 100));
    close_party(&parties[0]);
    open_party(0, 2);
    settle();
    assert_int_equal(parties[1].messages, 1);
}

static void one_wake_up_takes_a_bounded_amount(void **state)
{
    int most = 0;

    (void)state;
    for (uint32_t i = 0; i < 2000; i++)
        post(i, 1000);
    while (parties[1].messages < 2000) {
        int before = parties[1].messages;

        ev_run(loop, EVRUN_NOWAIT);
        if (parties[1].messages - before > most)
            most = parties[1].messages - before;
    }
    assert_in_range(most, 1, 120);
}

static void there_is_nobody_to_post_to(void **state)
{
    (void)state;
    assert_false(ld_bus_post(parties[0].bus, 0, "x", 1));
    assert_false(ld_bus_post(parties[0].bus, 1, "x", 1)); /* itself */
    assert_false(ld_bus_post(parties[0].bus, 3, "x", 1));
    say(&parties[0], "W\0\2\0\0\0\3\0", 8); /* down */
    settle();
    assert_false(ld_bus_post(parties[0].bus, 2, "x", 1));
}

static void what_was_meant_for_the_dead_is_not_for_the_next(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        post(i, 100000); /* more than the socket takes */
    ev_run(loop, EVRUN_NOWAIT);
    close_party(&parties[1]);
    open_party(1, 4);
    say(&parties[0], "W\0\2\0\0\0\3\0", 8);
    say(&parties[0], "W\0\2\0\0\0\4\1", 8);
    ld_bus_start(parties[1].bus);
    settle();
    assert_int_equal(parties[1].messages, 0);
    assert_true(post(0, 100));
    settle();
    assert_int_equal(parties[1].messages, 1);
}

static void half_a_message_of_the_dead_leaves_no_trace(void **state)
{
    static uint8_t half[100];
    struct ld_bus_head head = {1, 1, 3};
    uint32_t record = LD_RECORD_MORE | 50;

    (void)state;
    memcpy(half, &head, sizeof(head));
    memcpy(half + sizeof(head), &record, sizeof(record));
    assert_int_equal(send(outboxes[1], half, sizeof(head) + 4 + 50, 0),
                     sizeof(head) + 4 + 50);
    settle();
    close_party(&parties[0]);
    open_party(0, 2);
    ld_bus_start(parties[0].bus);
    say(&parties[0], "W\0\2\0\0\0\3\1", 8);
    settle();
    assert_true(post(0, 100));
    settle();
    record = LD_RECORD_REST | 50; /* of what is long forgotten */
    memcpy(half + sizeof(head), &record, sizeof(record));
    send(outboxes[1], half, sizeof(head) + 4 + 50, 0);
    settle();
    assert_int_equal(parties[1].messages, 1);
    assert_int_equal(parties[1].bytes, 100);
    assert_int_equal(parties[1].incarnation, 2);
}

static void datagrams_that_are_none_are_dropped(void **state)
{
    static const struct ld_bus_head wrong = {9, 1, 3}, good = {1, 1, 3};
    uint8_t bytes[sizeof(good) + 8];
    uint32_t record = 1000;

    (void)state;
    send(outboxes[1], "x", 1, 0);
    send(outboxes[1], &wrong, sizeof(wrong), 0);
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, &good, sizeof(good));
    memcpy(bytes + sizeof(good), &record, sizeof(record));
    send(outboxes[1], bytes, sizeof(bytes), 0);
    settle();
    assert_int_equal(parties[1].messages, 0);
}

static void the_supervisor_s_orders_are_followed(void **state)
{
    char answer[16];

    (void)state;
    assert_int_equal(recv(parties[0].supervisor, answer, 16, 0), 1);
    assert_int_equal(answer[0], LD_CONTROL_READY);
    say(&parties[0], "p", 1);
    say(&parties[0], "t\0\2", 3);
    say(&parties[0], "N\0\1a\0\1b", 7);
    settle();
    assert_int_equal(recv(parties[0].supervisor, answer, 16, 0), 1);
    assert_int_equal(answer[0], LD_CONTROL_PING);
    assert_int_equal(parties[0].watched, 2);
    assert_int_equal(parties[0].control_size, 7);
    assert_memory_equal(parties[0].control, "N\0\1a\0\1b", 7);
    say(&parties[0], "g\0\2", 3);
    say(&parties[0], "s\0\0\1\2", 5);
    settle();
    assert_int_equal(parties[0].watched, 0);
    assert_int_equal(parties[0].drains, 1);
    assert_int_equal(parties[0].drain_seconds, 258);
    assert_int_equal(parties[0].stops, 0);
    say(&parties[0], "q", 1);
    settle();
    assert_int_equal(parties[0].stops, 1);
    ld_bus_ask(parties[0].bus, "R...", 4);
    assert_int_equal(recv(parties[0].supervisor, answer, 16, 0), 4);
}

static void without_a_supervisor_a_worker_stops(void **state)
{
    (void)state;
    shutdown(parties[0].supervisor, SHUT_RDWR);
    settle();
    assert_int_equal(parties[0].stops, 1);
}

static void joining_takes_in_what_is_so(void **state)
{
    (void)state;
    close_party(&parties[0]);
    open_party(0, 2);
    say(&parties[0], "W\0\2\0\0\0\3\1", 8);
    assert_int_equal(ld_bus_join(parties[0].bus, 0.01), LD_TIMEOUT);
    say(&parties[0], "i", 1);
    say(&parties[0], "s\0\0\0\1", 5); /* comes later */
    assert_int_equal(ld_bus_join(parties[0].bus, 10), LD_OK);
    assert_int_equal(parties[0].control_size, 8);
    assert_int_equal(parties[0].drains, 0);
    ld_bus_start(parties[0].bus);
    assert_true(post(0, 10));
    settle();
    assert_int_equal(parties[1].messages, 1);
    assert_int_equal(parties[0].drains, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(messages_of_any_size_arrive_whole_and_in_order),
        TEST(an_empty_message_is_one),
        TEST(a_million_posts_are_none_lost),
        TEST(a_queue_is_bounded_and_goes_on_when_it_is_read),
        TEST(last_words_are_sent),
        TEST(one_wake_up_takes_a_bounded_amount),
        TEST(there_is_nobody_to_post_to),
        TEST(what_was_meant_for_the_dead_is_not_for_the_next),
        TEST(half_a_message_of_the_dead_leaves_no_trace),
        TEST(datagrams_that_are_none_are_dropped),
        TEST(the_supervisor_s_orders_are_followed),
        TEST(without_a_supervisor_a_worker_stops),
        TEST(joining_takes_in_what_is_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
