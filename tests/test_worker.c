/* test_worker.c -- connections over real sockets on a real loop, above all
 * that the loop sleeps when there is nothing to do. */
#include "conn_parts.h"
#include "support_peer.h"

#include <fcntl.h>
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker.h"

static const struct ld_log silent = {.level = LD_SILENT};
static struct ev_loop *loop;
static struct ld_worker *worker;
static struct ld_timeouts never = {HUGE_VAL, HUGE_VAL};
static struct ld_profile profile = {.frame_limit = 1 << 16,
                                    .lifetime = HUGE_VAL,
                                    .stall = HUGE_VAL,
                                    .output_limit = 1 << 30,
                                    .linger = 60,
                                    .state_count = 1,
                                    .timeouts = &never};

typedef bool (*script)(struct ld_conn *c, enum ld_status st);

static script handler;
static int wakes, closes;
static enum ld_status last;

static void wake(void *ctx, struct ld_conn *c, enum ld_status st)
{
    bool waits;

    (void)ctx;
    wakes++;
    last = st;
    ld_conn_drop_wait(c);
    ld_pool_run(c->pool, c, false);
    waits = handler(c, st);
    ld_pool_run(c->pool, NULL, false);
    if (!waits)
        ld_conn_finish(c);
}

static void closed(void *ctx, struct ld_conn *c)
{
    (void)ctx;
    (void)c;
    closes++;
    ev_break(loop, EVBREAK_ALL);
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    worker = ld_worker_new(loop, &silent);
    assert_non_null(worker);
    worker->pool->hooks = (struct ld_hooks){.wake = wake, .closed = closed};
    wakes = closes = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(worker->pool->open, 0);
    ld_worker_free(worker);
    ev_loop_destroy(loop);
    return 0;
}

/* A connection whose handler is RUN; returns it and the far end. */
static struct ld_conn *open_conn(script run, int *far)
{
    struct ld_link link = {.transport = &ld_sock};
    struct ld_conn *c;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 2; i++)
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    *far = fds[1];
    link.fd = fds[0];
    handler = run;
    c = ld_conn_new(worker->pool, link, &profile);
    assert_non_null(c);
    ld_conn_begin(c);
    return c;
}

static void on_timer(struct ev_loop *l, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(l, EVBREAK_ALL);
}

/* How often the loop wakes up within SECONDS, at most; one time is ours. */
static unsigned wakeups(double seconds)
{
    unsigned before = ev_iteration(loop);
    ev_timer t;

    ev_timer_init(&t, on_timer, seconds, 0);
    ev_timer_start(loop, &t);
    ev_run(loop, 0);
    ev_timer_stop(loop, &t);
    return ev_iteration(loop) - before;
}

static void serve_until_closed(void)
{
    int before = closes;

    wakeups(10);
    assert_int_equal(closes, before + 1);
}

static bool sink(struct ld_conn *c, enum ld_status st)
{
    return !st && ld_conn_some(c, 100, LD_OPENS) == LD_AGAIN;
}

static void a_loop_without_connections_ends(void **state)
{
    (void)state;
    ev_run(loop, 0);
}

static void an_idle_connection_lets_the_loop_sleep(void **state)
{
    int far;

    (void)state;
    open_conn(sink, &far);
    assert_in_range(wakeups(0.05), 1, 4);
    close(far);
    serve_until_closed();
    assert_int_equal(last, LD_EOF);
}

/* A reply that no socket takes at once, and the end. */
static bool flood(struct ld_conn *c, enum ld_status st)
{
    static uint8_t much[4 << 20];

    (void)st;
    conn_write(c, much, sizeof(much));
    return false;
}

static void input_while_it_flushes_does_not_spin(void **state)
{
    int far;

    (void)state;
    open_conn(flood, &far);
    assert_int_equal(send(far, "unread", 6, 0), 6);
    assert_in_range(wakeups(0.05), 1, 4);
    shutdown(far, SHUT_WR);
    assert_in_range(wakeups(0.05), 1, 4);
    close(far);
    serve_until_closed();
}

/* Writes more than the peer takes, and waits for that. */
static bool stuck(struct ld_conn *c, enum ld_status st)
{
    static uint8_t much[4 << 20];

    if (st)
        return false;
    conn_write(c, much, sizeof(much));
    return ld_conn_some(c, 1, LD_OPENS) == LD_AGAIN;
}

static void a_held_connection_does_not_spin_whatever_its_peer_does(void **s)
{
    int far;

    (void)s;
    open_conn(stuck, &far);
    assert_int_equal(send(far, "x", 1, 0), 1);
    assert_in_range(wakeups(0.05), 1, 4);
    shutdown(far, SHUT_WR);
    assert_in_range(wakeups(0.05), 1, 4);
    close(far); /* and the loss is noticed, though nothing is read */
    serve_until_closed();
    assert_int_equal(last, LD_RESET);
}

/* Goes on after the end of its input, with output that is stuck. */
static bool farewell(struct ld_conn *c, enum ld_status st)
{
    static uint8_t much[4 << 20];

    if (st == LD_EOF) {
        conn_write(c, much, sizeof(much));
        return ld_conn_flush(c) == LD_AGAIN;
    }
    return !st && ld_conn_some(c, 1, LD_OPENS) == LD_AGAIN;
}

static void the_peers_end_is_read_once(void **state)
{
    int far;

    (void)state;
    open_conn(farewell, &far);
    shutdown(far, SHUT_WR);
    assert_in_range(wakeups(0.05), 1, 5);
    assert_int_equal(wakes, 2);
    assert_int_equal(closes, 0);
    close(far);
    serve_until_closed();
}

static void a_lingering_connection_sleeps_until_its_peer_speaks(void **state)
{
    struct ld_conn *c;
    char byte;
    int far;

    (void)state;
    c = open_conn(sink, &far);
    ld_conn_doom(c, LD_CLOSED, false);
    assert_int_equal(send(far, "unread", 6, 0), 6);
    assert_in_range(wakeups(0.05), 1, 5);
    assert_int_equal(closes, 0);
    assert_int_equal(recv(far, &byte, 1, 0), 0); /* our end is there */
    close(far);
    serve_until_closed();
}

/* Streams for ever to whoever takes it. */
static bool stream(struct ld_conn *c, enum ld_status st)
{
    if (st)
        return false;
    conn_say(c, "x");
    if (ld_conn_flush(c) == LD_AGAIN)
        return true;
    return false;
}

static void a_handler_that_only_writes_leaves_room_for_others(void **state)
{
    static uint8_t bytes[1 << 16];
    int far;

    (void)state;
    open_conn(stream, &far);
    assert_in_range(wakes, 1, 100); /* of its first turn */
    for (int i = 1; i < 50; i++) {
        int before = wakes;

        while (recv(far, bytes, sizeof(bytes), 0) > 0) {
        }
        ev_run(loop, EVRUN_NOWAIT);
        assert_in_range(wakes - before, 1, 100);
    }
    close(far);
    serve_until_closed();
}

static void deadlines_fire_and_end_the_silent(void **state)
{
    struct ld_timeouts soon = {HUGE_VAL, 0.02};

    (void)state;
    for (int i = 0; i < 2; i++) {
        int far;
        struct ld_conn *c = open_conn(sink, &far);

        assert_int_equal(ld_conn_enter(c, 0), LD_OK);
        assert_int_equal(ld_conn_timeout(c, 0, soon), LD_OK);
        serve_until_closed();
        assert_int_equal(last, LD_TIMEOUT);
        close(far);
    }
}

static void what_others_write_leaves_before_the_loop_blocks(void **state)
{
    struct ld_conn *c;
    char bytes[4];
    int far;

    (void)state;
    c = open_conn(sink, &far);
    conn_say(c, "hey");
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(recv(far, bytes, 4, 0), 3);
    close(far);
    serve_until_closed();
}

/* An event that is pending when its connection ends, and its fd is another's
 * at once. */
static void a_pending_event_dies_with_its_connection(void **state)
{
    struct ld_conn *c;
    int first, second;

    (void)state;
    c = open_conn(sink, &first);
    ev_run(loop, EVRUN_NOWAIT);
    ev_feed_event(loop, &c->io, EV_READ);
    c->reset = true;
    ld_conn_finish(c);
    assert_int_equal(closes, 1);
    open_conn(sink, &second);
    wakes = 0;
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(wakes, 0);
    assert_int_equal(send(second, "x", 1, 0), 1);
    wakeups(0.05);
    assert_int_equal(wakes, 1);
    close(first);
    close(second);
    serve_until_closed();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_loop_without_connections_ends),
        TEST(an_idle_connection_lets_the_loop_sleep),
        TEST(input_while_it_flushes_does_not_spin),
        TEST(a_held_connection_does_not_spin_whatever_its_peer_does),
        TEST(the_peers_end_is_read_once),
        TEST(a_lingering_connection_sleeps_until_its_peer_speaks),
        TEST(a_handler_that_only_writes_leaves_room_for_others),
        TEST(deadlines_fire_and_end_the_silent),
        TEST(what_others_write_leaves_before_the_loop_blocks),
        TEST(a_pending_event_dies_with_its_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
