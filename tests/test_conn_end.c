/* test_conn_end.c -- how connections end, and what may come too late. */
#include "support_peer.h"

#include <math.h>

static struct peer peer, other;

/* Reads a byte, answers with as many bytes as *data says, and is done. */
static bool answer(struct peer *p, enum ld_status st)
{
    static uint8_t bytes[200000];

    if (p->wakes == 1 && (st = ld_conn_read(p->c, 1, 0)) == LD_AGAIN)
        return true;
    if (!st)
        conn_write(p->c, bytes, *(size_t *)p->data);
    return false;
}

static bool wait(struct peer *p, enum ld_status st)
{
    return !st && ld_conn_read(p->c, 1, LD_OPENS) == LD_AGAIN;
}

static size_t size;

static void open_with_answer(size_t n, size_t room)
{
    size = n;
    peer_open(&peer, &rig, answer, &size);
    peer.memory.room = room;
}

static void output_is_flushed_before_the_end(void **state)
{
    (void)state;
    open_with_answer(1000, 10);
    peer_say(&peer, "x");
    assert_int_equal(peer.closes, 0);
    peer_take(&peer, 989);
    assert_int_equal(peer.closes, 0);
    peer_take(&peer, 1);
    assert_int_equal(peer.closes, 1);
    assert_int_equal(peer_count(&peer), 1000);
    assert_false(peer.memory.was_reset);
    peer_free(&peer);
}

static void a_peer_that_takes_nothing_is_reset_after_the_linger_time(void **s)
{
    (void)s;
    open_with_answer(1000, 10);
    peer_say(&peer, "x");
    rig_advance(&rig, 4.9);
    assert_int_equal(peer.closes, 0);
    rig_advance(&rig, 0.1);
    assert_int_equal(peer.closes, 1);
    assert_true(peer.memory.was_reset); /* it must not take 10 for 1000 */
    peer_free(&peer);
}

static void while_it_flushes_it_watches_for_room_alone(void **state)
{
    (void)state;
    open_with_answer(1000, 0);
    peer_say(&peer, "x");
    assert_int_equal(peer_watched(&peer), LD_WRITE);
    peer_say(&peer, "more input");
    assert_int_equal(peer_watched(&peer), LD_WRITE);
    ld_conn_ready(peer.c, LD_READ); /* a late event changes nothing */
    assert_int_equal(peer.memory.input.bytes, 10);
    peer_free(&peer);
}

static void a_peer_that_leaves_while_it_is_flushed_ends_it(void **state)
{
    (void)state;
    open_with_answer(1000, 0);
    peer_say(&peer, "x");
    peer_end(&peer, LD_RESET);
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
    open_with_answer(1000, 0); /* one that ended its side gets it all */
    peer_say(&peer, "x");
    peer.memory.end = LD_EOF;
    peer_take(&peer, 1000);
    assert_int_equal(peer_count(&peer), 1000);
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
}

static void unread_input_is_dropped_until_the_peer_ends(void **state)
{
    (void)state;
    open_with_answer(3, 100);
    peer_say(&peer, "xgarbage");
    assert_int_equal(peer.closes, 0);
    assert_true(peer.memory.shut); /* the answer, then our end */
    assert_int_equal(peer_count(&peer), 3);
    assert_null(peer.c->in);
    assert_int_equal(peer_watched(&peer), LD_READ);
    peer_say(&peer, "more garbage");
    assert_int_equal(peer.memory.input.bytes, 0);
    assert_int_equal(peer.wakes, 2);
    peer_end(&peer, LD_EOF);
    assert_int_equal(peer.closes, 1);
    assert_false(peer.memory.was_reset);
    peer_free(&peer);
}

static void garbage_that_the_connection_has_not_seen_counts_too(void **state)
{
    (void)state;
    size = 3;
    peer_open(&peer, &rig, answer, &size);
    assert_int_equal(ld_chain_write(&peer.memory.input, "g", 1), LD_OK);
    ld_conn_doom(peer.c, LD_CLOSED, false);
    ld_pool_settle(rig.pool);
    assert_int_equal(peer.closes, 0);
    peer_end(&peer, LD_RESET);
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
}

static void a_peer_that_never_ends_is_not_waited_for_long(void **state)
{
    (void)state;
    open_with_answer(3, 100);
    peer_say(&peer, "xgarbage");
    for (int i = 0; i < 4 && peer.c; i++) {
        peer_say(&peer, "and more");
        rig_advance(&rig, 0.5);
    }
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
}

static void
a_peer_that_sends_without_end_is_not_listened_to_for_ever(void **state)
{
    static uint8_t much[1 << 16];
    int i = 0;

    (void)state;
    open_with_answer(3, 100);
    peer_say(&peer, "xgarbage");
    for (; i < 1000 && peer.c; i++)
        peer_feed(&peer, much, sizeof(much));
    assert_in_range(i, 10, 20); /* a megabyte */
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
}

static void an_end_with_nothing_unread_is_immediate(void **state)
{
    (void)state;
    open_with_answer(3, 100);
    peer_say(&peer, "x");
    assert_int_equal(peer.closes, 1);
    assert_int_equal(peer_count(&peer), 3);
    assert_true(isinf(ld_timers_next(&rig.pool->timers)));
    peer_free(&peer);
}

static void slices_go_stale_when_the_handler_is_done(void **state)
{
    uint32_t view;

    (void)state;
    open_with_answer(1000, 0);
    assert_int_equal(ld_chain_write(&peer.memory.input, "xunread", 7), LD_OK);
    view = peer.c->view;
    ld_conn_ready(peer.c, LD_READ);
    assert_int_equal(peer.c->phase, LD_PHASE_FLUSHING);
    assert_true(peer.c->view != view);
    assert_int_not_equal(peer.c->view, rig.pool->result->view);
    peer_free(&peer);
}

static void a_queued_connection_that_ends_leaves_the_queue(void **state)
{
    struct peer third;

    (void)state;
    peer_open(&peer, &rig, wait, NULL);
    peer_open(&other, &rig, wait, NULL);
    peer_open(&third, &rig, wait, NULL);
    conn_say(peer.c, "a");
    conn_say(other.c, "b");
    conn_say(third.c, "c");
    assert_int_equal(ld_pool_dirty(rig.pool), 3);
    peer_free(&other); /* from the middle of the queue */
    ld_pool_settle(rig.pool);
    assert_int_equal(ld_pool_dirty(rig.pool), 0);
    assert_string_equal(peer_heard(&peer), "a");
    assert_string_equal(peer_heard(&third), "c");
    peer_free(&peer);
    peer_free(&third);
}

/* Ends the peer that it is given, when woken. */
static bool killer(struct peer *p, enum ld_status st)
{
    struct peer *victim = p->data;

    if (p->wakes > 1 && victim->c)
        ld_conn_doom(victim->c, LD_CLOSED, false);
    return !st && ld_conn_read(p->c, 1, LD_OPENS) == LD_AGAIN;
}

static void connections_may_end_each_other_while_the_pool_settles(void **state)
{
    (void)state;
    peer_open(&peer, &rig, killer, &other);
    peer_open(&other, &rig, killer, &peer);
    conn_say(peer.c, "x");
    conn_say(other.c, "y");
    ld_conn_doom(peer.c, LD_CLOSED, false);
    ld_pool_settle(rig.pool);
    assert_int_equal(peer.closes, 1);
    assert_int_equal(other.closes, 1);
    assert_string_equal(peer_heard(&other), "y");
    assert_int_equal(ld_pool_dirty(rig.pool), 0);
    peer_free(&peer);
    peer_free(&other);
}

/* What on_close of a careless handler may do. */
static bool busybody(struct peer *p, enum ld_status st)
{
    struct ld_timeouts soon = {1, 1};

    (void)st;
    assert_null(ld_conn_output(p->c));
    assert_int_equal(ld_conn_timeout(p->c, 0, soon), LD_OK);
    ld_conn_shutdown(p->c);
    ld_conn_doom(p->c, LD_CLOSED, true);
    assert_int_not_equal(ld_conn_read(p->c, 1, 0), LD_AGAIN);
    return false;
}

static void whatever_on_close_does_leaves_nothing_behind(void **state)
{
    (void)state;
    open_with_answer(3, 100);
    peer.on_closed = busybody;
    peer_say(&peer, "x");
    assert_int_equal(peer.closes, 1);
    assert_int_equal(rig.pool->timers.count, 0);
    assert_int_equal(ld_pool_dirty(rig.pool), 0);
    rig_advance(&rig, 10);
    peer_free(&peer);
}

static void the_end_is_not_hurried_by_a_timeout_set_late(void **state)
{
    struct ld_timeouts soon = {1, 1};

    (void)state;
    open_with_answer(1000, 0);
    peer_say(&peer, "x");
    assert_int_equal(ld_conn_timeout(peer.c, 0, soon), LD_OK);
    rig_advance(&rig, 3);
    assert_int_equal(peer.closes, 0);
    peer_take(&peer, 1000);
    assert_int_equal(peer_count(&peer), 1000);
    peer_free(&peer);
}

static void a_handle_outlives_its_connection_and_finds_nothing(void **state)
{
    int64_t first;

    (void)state;
    peer_open(&peer, &rig, wait, NULL);
    first = peer.handle;
    assert_ptr_equal(ld_conn_find(rig.pool, first), peer.c);
    peer_free(&peer);
    assert_null(ld_conn_find(rig.pool, first));
    peer_open(&peer, &rig, wait, NULL);
    assert_int_equal(peer.handle & 0xffffff, first & 0xffffff); /* its slot */
    assert_null(ld_conn_find(rig.pool, first));
    assert_ptr_equal(ld_conn_find(rig.pool, peer.handle), peer.c);
    assert_null(ld_conn_find(rig.pool, 0));
    assert_null(ld_conn_find(rig.pool, -1));
    assert_null(ld_conn_find(rig.pool, INT64_MAX));
    peer_free(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_is_flushed_before_the_end),
        cmocka_unit_test(
            a_peer_that_takes_nothing_is_reset_after_the_linger_time),
        cmocka_unit_test(while_it_flushes_it_watches_for_room_alone),
        cmocka_unit_test(a_peer_that_leaves_while_it_is_flushed_ends_it),
        cmocka_unit_test(unread_input_is_dropped_until_the_peer_ends),
        cmocka_unit_test(garbage_that_the_connection_has_not_seen_counts_too),
        cmocka_unit_test(a_peer_that_never_ends_is_not_waited_for_long),
        cmocka_unit_test(
            a_peer_that_sends_without_end_is_not_listened_to_for_ever),
        cmocka_unit_test(an_end_with_nothing_unread_is_immediate),
        cmocka_unit_test(slices_go_stale_when_the_handler_is_done),
        cmocka_unit_test(a_queued_connection_that_ends_leaves_the_queue),
        cmocka_unit_test(connections_may_end_each_other_while_the_pool_settles),
        cmocka_unit_test(whatever_on_close_does_leaves_nothing_behind),
        cmocka_unit_test(the_end_is_not_hurried_by_a_timeout_set_late),
        cmocka_unit_test(a_handle_outlives_its_connection_and_finds_nothing),
    };

    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
