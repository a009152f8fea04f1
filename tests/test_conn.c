/* test_conn.c -- a connection's turns: events, output, deadlines, ends. */
#include "support_peer.h"

#include <math.h>

static struct peer peer, other;

/* Sends each byte back, in two writes. */
static bool echo(struct peer *p, enum ld_status st)
{
    if (p->wakes == 1)
        st = ld_conn_some(p->c, 1, LD_OPENS);
    for (; st == LD_OK; st = ld_conn_some(p->c, 1, LD_OPENS)) {
        conn_say(p->c, result_text(&rig, 0));
        conn_say(p->c, ".");
    }
    return st == LD_AGAIN;
}

static void an_idle_connection_holds_no_buffer(void **state)
{
    (void)state;
    assert_true(sizeof(struct ld_conn) <= 256);
    peer_open(&peer, &rig, echo, NULL);
    assert_null(peer.c->in);
    assert_null(peer.c->out);
    assert_null(peer.c->await);
    peer_say(&peer, "abc");
    assert_string_equal(peer_heard(&peer), "a.b.c.");
    assert_null(peer.c->in);
    assert_null(peer.c->out);
    peer_free(&peer);
}

static void what_a_turn_writes_leaves_as_one_writev(void **state)
{
    (void)state;
    peer_open(&peer, &rig, echo, NULL);
    assert_int_equal(peer.writes, 0);
    peer_say(&peer, "0123456789");
    assert_int_equal(peer.writes, 1);
    assert_int_equal(peer_count(&peer), 20);
    peer_free(&peer);
}

static void an_empty_write_calls_nobody(void **state)
{
    (void)state;
    peer_open(&peer, &rig, echo, NULL);
    conn_say(peer.c, "");
    ld_pool_settle(rig.pool);
    assert_int_equal(peer.writes, 0);
    assert_null(peer.c->out);
    peer_free(&peer);
}

static void readiness_is_one_read(void **state)
{
    static uint8_t much[3 * LD_READ_SIZE];

    (void)state;
    peer_open(&peer, &rig, echo, NULL);
    assert_int_equal(ld_chain_write(&peer.memory.input, much, sizeof(much)),
                     LD_OK);
    ld_conn_ready(peer.c, LD_READ);
    assert_int_equal(peer.reads, 1);
    assert_int_equal(peer.memory.input.bytes, 2 * LD_READ_SIZE);
    peer_free(&peer);
}

/* Answers each byte with 40,000, and counts the bytes in `step`. */
static bool generous(struct peer *p, enum ld_status st)
{
    static uint8_t answer[40000];

    if (p->wakes == 1)
        st = ld_conn_some(p->c, 1, LD_OPENS);
    for (; st == LD_OK; st = ld_conn_some(p->c, 1, LD_OPENS)) {
        p->step++;
        conn_write(p->c, answer, sizeof(answer));
    }
    return st == LD_AGAIN;
}

static void a_handler_is_held_above_the_high_watermark(void **state)
{
    (void)state;
    peer_open(&peer, &rig, generous, NULL);
    peer.memory.room = 0;
    peer_say(&peer, "abcdef");
    assert_int_equal(peer.step, 2);
    assert_true(peer.c->held);
    assert_int_equal(peer_watched(&peer), LD_WRITE);
    peer_take(&peer, 80000 - LD_LOW_WATER - 1);
    assert_int_equal(peer.step, 2);
    peer_take(&peer, 1);
    assert_int_equal(peer.step, 4);
    assert_true(peer.c->held);
    peer_take(&peer, 1 << 20);
    assert_int_equal(peer.step, 6);
    assert_int_equal(peer_watched(&peer), LD_READ);
    assert_int_equal(peer_count(&peer), 240000);
    peer_free(&peer);
}

static void a_held_connection_reads_nothing_more(void **state)
{
    (void)state;
    peer_open(&peer, &rig, generous, NULL);
    peer.memory.room = 0;
    peer_say(&peer, "ab");
    peer_say(&peer, "cd");
    assert_int_equal(peer.memory.input.bytes, 2);
    ld_conn_ready(peer.c, LD_READ); /* even when it is told to */
    assert_int_equal(peer.memory.input.bytes, 2);
    peer_end(&peer, LD_RESET);
    assert_int_equal(peer.last, LD_RESET);
    peer_free(&peer);
}

/* Writes for ever in one turn, as a careless handler may. */
static bool careless(struct peer *p, enum ld_status st)
{
    static uint8_t much[1000];

    (void)st;
    if (p->wakes > 1)
        return false;
    for (int i = 0; i < 100000; i++)
        conn_write(p->c, much, sizeof(much));
    p->step = (int)ld_conn_unsent(p->c);
    return ld_conn_some(p->c, 1, LD_OPENS) == LD_AGAIN;
}

static void output_over_its_limit_ends_the_connection(void **state)
{
    (void)state;
    peer_open(&peer, &rig, careless, NULL);
    assert_in_range(peer.step, rig.profile.output_limit,
                    rig.profile.output_limit + 1000);
    assert_int_equal(peer.c->phase, LD_PHASE_FLUSHING);
    peer_take(&peer, 0);
    assert_int_equal(peer_count(&peer), peer.step);
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
}

static void what_others_write_over_the_limit_ends_the_reader_alone(void **s)
{
    static uint8_t much[10000];

    (void)s;
    peer_open(&peer, &rig, echo, NULL);
    peer_open(&other, &rig, echo, NULL);
    peer.memory.room = 0;
    for (int i = 0; i < 200; i++) {
        conn_write(peer.c, much, sizeof(much));
        conn_write(other.c, much, sizeof(much));
        ld_pool_settle(rig.pool);
        if (peer.last == LD_LIMIT)
            break;
    }
    assert_int_equal(peer.last, LD_LIMIT);
    assert_int_equal(other.last, LD_OK);
    assert_null(other.c->out);
    peer_free(&peer);
    peer_free(&other);
}

static void what_others_write_leaves_before_the_loop_blocks(void **state)
{
    enum { MANY = 300 };
    static struct peer many[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        peer_open(&many[i], &rig, echo, NULL);
        conn_say(many[i].c, "a");
        conn_say(many[i].c, "b");
    }
    assert_int_equal(many[0].writes, 0);
    assert_null(many[MANY - 1].c->out); /* they do not all hold a chunk */
    ld_pool_settle(rig.pool);
    assert_int_equal(many[0].writes, 1);
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(peer_heard(&many[i]), "ab");
        peer_free(&many[i]);
    }
}

static bool flusher(struct peer *p, enum ld_status st)
{
    if (p->wakes == 1) {
        assert_int_equal(ld_conn_flush(p->c), LD_OK); /* nothing is queued */
        conn_say(p->c, "12345");
        return ld_conn_flush(p->c) == LD_AGAIN;
    }
    p->step = (int)st;
    return false;
}

static void a_flush_waits_until_all_is_taken(void **state)
{
    (void)state;
    peer_open(&peer, &rig, echo, NULL);
    peer_free(&peer);
    peer_open(&peer, &rig, flusher, NULL);
    assert_int_equal(peer.wakes, 2);
    assert_string_equal(peer_heard(&peer), "12345");
    peer_free(&peer);
}

/* Waits for a byte; then its answer is the end of the line. */
static bool last_words(struct peer *p, enum ld_status st)
{
    if (p->wakes == 1)
        return ld_conn_some(p->c, 9, LD_OPENS) == LD_AGAIN;
    p->step = (int)st;
    conn_say(p->c, ld_strstatus(st));
    return false;
}

static void an_end_wakes_the_handler_with_its_reason(void **state)
{
    (void)state;
    peer_open(&peer, &rig, last_words, NULL);
    peer_end(&peer, LD_EOF);
    assert_string_equal(peer_heard(&peer), "eof");
    peer_free(&peer);
    peer_open(&peer, &rig, last_words, NULL);
    peer_end(&peer, LD_RESET);
    assert_int_equal(peer.step, LD_RESET);
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
    peer_open(&peer, &rig, last_words, NULL);
    ld_conn_doom(peer.c, LD_CLOSED, false);
    assert_int_equal(peer.wakes, 1); /* not from inside the caller */
    ld_pool_settle(rig.pool);
    assert_string_equal(peer_heard(&peer), "closed");
    peer_free(&peer);
}

/* Dooms itself, and finds that at its next read. */
static bool suicidal(struct peer *p, enum ld_status st)
{
    (void)st;
    conn_say(p->c, "bye");
    ld_conn_doom(p->c, LD_CLOSED, *(bool *)p->data);
    assert_int_equal(ld_conn_some(p->c, 1, LD_OPENS), LD_CLOSED);
    assert_int_equal(ld_conn_flush(p->c), LD_OK);
    return false;
}

static void a_close_flushes_and_a_reset_does_not(void **state)
{
    bool reset = false;

    (void)state;
    peer_open(&peer, &rig, suicidal, &reset);
    assert_string_equal(peer_heard(&peer), "bye");
    assert_false(peer.memory.was_reset);
    peer_free(&peer);
    reset = true;
    peer_open(&peer, &rig, suicidal, &reset);
    assert_string_equal(peer_heard(&peer), "");
    assert_true(peer.memory.was_reset);
    peer_free(&peer);
}

static void a_half_close_follows_what_is_queued(void **state)
{
    (void)state;
    peer_open(&peer, &rig, echo, NULL);
    peer.memory.room = 1;
    conn_say(peer.c, "abc");
    ld_conn_shutdown(peer.c);
    ld_pool_settle(rig.pool);
    assert_false(peer.memory.shut);
    conn_say(peer.c, "never");
    peer_take(&peer, 10);
    assert_true(peer.memory.shut);
    assert_string_equal(peer_heard(&peer), "abc");
    peer_say(&peer, "x"); /* reading goes on */
    assert_int_equal(peer.wakes, 2);
    peer_free(&peer);
}

static void a_lost_connection_is_found_while_writing(void **state)
{
    (void)state;
    peer_open(&peer, &rig, last_words, NULL);
    peer.memory.end = LD_RESET;
    conn_say(peer.c, "hello");
    ld_pool_settle(rig.pool);
    assert_int_equal(peer.step, LD_RESET);
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
}

static bool meddler(struct peer *p, enum ld_status st)
{
    struct peer *victim = p->data;

    (void)st;
    if (p->wakes > 1)
        return false;
    assert_int_equal(ld_conn_some(victim->c, 1, 0), LD_BUSY);
    assert_int_equal(ld_conn_flush(victim->c), LD_OK);
    conn_say(victim->c, "x");
    assert_int_equal(ld_conn_flush(victim->c), LD_BUSY);
    ld_pool_run(rig.pool, p->c, true);
    assert_int_equal(ld_conn_some(p->c, 1, 0), LD_HOOK);
    ld_pool_run(rig.pool, p->c, false);
    return ld_conn_some(p->c, 1, 0) == LD_AGAIN;
}

static void only_the_running_handler_may_wait(void **state)
{
    (void)state;
    peer_open(&other, &rig, echo, NULL);
    peer_open(&peer, &rig, meddler, &other);
    assert_int_equal(ld_conn_some(other.c, 1, 0), LD_HOOK); /* nobody runs */
    peer_say(&other, "y"); /* its own read is still pending */
    assert_string_equal(peer_heard(&other), "xy.");
    peer_free(&peer);
    peer_free(&other);
}

/* Enters state 0 or 1 by what it reads, and waits there. */
static bool stateful(struct peer *p, enum ld_status st)
{
    if (p->wakes == 1)
        assert_int_equal(ld_conn_enter(p->c, 0), LD_OK);
    else if (st)
        return false;
    else if (rig.pool->result->frame[0] != '-')
        ld_conn_enter(p->c, rig.pool->result->frame[0] == '1');
    return ld_conn_some(p->c, 1, LD_OPENS) == LD_AGAIN;
}

static void a_states_time_runs_from_its_entry(void **state)
{
    (void)state;
    rig.timeouts[0].total = 10;
    rig.timeouts[1].total = 2;
    peer_open(&peer, &rig, stateful, NULL);
    rig_advance(&rig, 9);
    peer_say(&peer, "-"); /* bytes do not help */
    peer_say(&peer, "0"); /* a new entry does */
    rig_advance(&rig, 9.9);
    assert_int_equal(peer.last, LD_OK);
    peer_say(&peer, "1");
    rig_advance(&rig, 1.9);
    assert_int_equal(peer.last, LD_OK);
    rig_advance(&rig, 0.1);
    assert_int_equal(peer.last, LD_TIMEOUT);
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
    assert_true(isinf(ld_timers_next(&rig.pool->timers)));
}

static void
idle_time_runs_from_the_last_byte_without_touching_the_heap(void **state)
{
    double armed;

    (void)state;
    rig.timeouts[0] = (struct ld_timeouts){3, 100};
    peer_open(&peer, &rig, stateful, NULL);
    armed = ld_timers_next(&rig.pool->timers);
    rig_advance(&rig, 2);
    for (int i = 0; i < 10; i++)
        peer_say(&peer, "-");
    assert_true(ld_timers_next(&rig.pool->timers) == armed);
    rig_advance(&rig, 2.5); /* fires early, and is set again */
    assert_int_equal(peer.last, LD_OK);
    assert_true(ld_timers_next(&rig.pool->timers) == armed + 2);
    rig_advance(&rig, 0.5);
    assert_int_equal(peer.last, LD_TIMEOUT);
    peer_free(&peer);
    rig.timeouts[0] = (struct ld_timeouts){HUGE_VAL, HUGE_VAL};
}

static void a_connection_can_have_timeouts_of_its_own(void **state)
{
    struct ld_timeouts soon = {HUGE_VAL, 1};

    (void)state;
    rig.timeouts[0].total = rig.timeouts[1].total = 50;
    peer_open(&peer, &rig, stateful, NULL);
    peer_open(&other, &rig, stateful, NULL);
    assert_int_equal(ld_conn_timeout(peer.c, 1, soon), LD_OK);
    rig_advance(&rig, 2);
    assert_int_equal(peer.last, LD_OK); /* it is in state 0 */
    peer_say(&peer, "1");
    peer_say(&other, "1");
    rig_advance(&rig, 1);
    assert_int_equal(peer.last, LD_TIMEOUT);
    assert_int_equal(other.last, LD_OK);
    peer_free(&peer);
    peer_free(&other);
}

static void a_peer_that_takes_no_output_runs_out_of_time(void **state)
{
    (void)state;
    rig.timeouts[0].total = 10;
    peer_open(&peer, &rig, generous, NULL);
    assert_int_equal(ld_conn_enter(peer.c, 0), LD_OK);
    peer.memory.room = 0;
    peer_say(&peer, "ab");
    rig_advance(&rig, 10);
    assert_int_equal(peer.last, LD_TIMEOUT);
    peer_free(&peer);
    rig.timeouts[0].total = HUGE_VAL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_holds_no_buffer),
        cmocka_unit_test(what_a_turn_writes_leaves_as_one_writev),
        cmocka_unit_test(an_empty_write_calls_nobody),
        cmocka_unit_test(readiness_is_one_read),
        cmocka_unit_test(a_handler_is_held_above_the_high_watermark),
        cmocka_unit_test(a_held_connection_reads_nothing_more),
        cmocka_unit_test(output_over_its_limit_ends_the_connection),
        cmocka_unit_test(
            what_others_write_over_the_limit_ends_the_reader_alone),
        cmocka_unit_test(what_others_write_leaves_before_the_loop_blocks),
        cmocka_unit_test(a_flush_waits_until_all_is_taken),
        cmocka_unit_test(an_end_wakes_the_handler_with_its_reason),
        cmocka_unit_test(a_close_flushes_and_a_reset_does_not),
        cmocka_unit_test(a_half_close_follows_what_is_queued),
        cmocka_unit_test(a_lost_connection_is_found_while_writing),
        cmocka_unit_test(only_the_running_handler_may_wait),
        cmocka_unit_test(a_states_time_runs_from_its_entry),
        cmocka_unit_test(
            idle_time_runs_from_the_last_byte_without_touching_the_heap),
        cmocka_unit_test(a_connection_can_have_timeouts_of_its_own),
        cmocka_unit_test(a_peer_that_takes_no_output_runs_out_of_time),
    };

    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
