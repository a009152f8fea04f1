/* Two connections that are piped to each other, and coroutines that wait for
 * another connection's output to drain.
 */
#include "support_relay.h"

static void a_pipe_goes_both_ways_and_carries_each_end(void **state)
{
    (void)state;
    open_far();
    peer_say(&far, "early ");
    start(&near, &far, 0);
    assert_string_equal(peer_heard(&near), "early ");
    peer_say(&near, "to");
    peer_say(&far, "back");
    assert_string_equal(peer_heard(&far), "to");
    assert_string_equal(peer_heard(&near), "back");
    peer_end(&near, LD_EOF);
    ld_pool_settle(rig.pool);
    assert_true(far.memory.shut);
    assert_false(near.memory.shut);
    peer_say(&far, "more");
    assert_string_equal(peer_heard(&near), "more");
    assert_false(job.over);
    peer_end(&far, LD_EOF);
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_OK);
    assert_int_equal(job.there, 2);
    assert_int_equal(job.back, 14);
    assert_true(near.memory.shut || !near.c);
    free_both();
}

/* Neither side may be cut off while what it is to get is on its way. */
static void a_pipe_ends_when_all_has_been_taken(void **state)
{
    uint64_t fed = 0, heard = 0;

    (void)state;
    open_far();
    near.memory.room = 0;
    start(&near, &far, 0);
    near.memory.room = 0;
    feed(&far, &fed, 30000);
    peer_end(&near, LD_EOF);
    peer_end(&far, LD_EOF);
    ld_pool_settle(rig.pool);
    assert_false(job.over);
    take(&near, &heard, 29999);
    assert_false(job.over);
    take(&near, &heard, 1);
    assert_true(job.over);
    assert_int_equal(job.st, LD_OK);
    assert_int_equal(heard, 30000);
    assert_int_equal(job.back, 30000);
    free_both();
}

/* Each side is told of the other's output: they may not wake each other
 * forever. */
static void two_ends_that_nobody_takes_come_to_rest(void **state)
{
    uint64_t there = 0, back = 0, heard = 0;

    (void)state;
    open_far();
    start(&near, &far, 0);
    near.memory.room = far.memory.room = 0;
    feed(&near, &there, 100);
    feed(&far, &back, 100);
    peer_end(&near, LD_EOF);
    peer_end(&far, LD_EOF);
    for (int i = 0; i < 10; i++)
        ld_pool_settle(rig.pool);
    assert_false(ld_pool_settle(rig.pool));
    assert_false(job.over);
    take(&near, &heard, 100);
    heard = 0;
    take(&far, &heard, 100);
    assert_true(job.over);
    assert_int_equal(job.st, LD_OK);
    free_both();
}

static void a_full_side_does_not_hold_the_other_way(void **state)
{
    uint64_t fed = 0;

    (void)state;
    open_far();
    start(&near, &far, 0);
    far.memory.room = 0;
    feed(&near, &fed, 1 << 18);
    assert_false(peer_watched(&near) & LD_READ);
    peer_say(&far, "still heard");
    assert_string_equal(peer_heard(&near), "still heard");
    free_both();
}

static void a_reset_of_either_ends_the_pipe(void **state)
{
    (void)state;
    open_far();
    start(&near, &far, 0);
    peer_end(&far, LD_RESET);
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_RESET);
    assert_int_equal(job.source, far.handle);
    assert_int_equal(near.c->wait, LD_WAIT_BYTES); /* its script reads on */
    peer_free(&near);
    job.over = false;
    peer_free(&far);
    open_far();
    start(&near, &far, 0);
    peer_end(&near, LD_RESET);
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_RESET);
    assert_int_equal(far.c->wait, LD_WAIT_NONE);
    assert_int_equal(peer_watched(&far), LD_READ);
    free_both();
}

static void a_side_that_is_finished_ends_the_pipe(void **state)
{
    (void)state;
    open_far();
    start(&near, &far, 0);
    ld_conn_finish(far.c);
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_CLOSED);
    free_both();
}

static void nobody_else_reads_a_side_of_a_pipe(void **state)
{
    struct peer third;

    (void)state;
    open_far();
    start(&near, &far, 0);
    peer_open(&third, &rig, waits, NULL);
    ld_pool_run(rig.pool, third.c, false);
    assert_int_equal(ld_conn_read(far.c, 1, 0), LD_BUSY);
    assert_int_equal(ld_conn_read(near.c, 1, 0), LD_BUSY);
    ld_pool_run(rig.pool, NULL, false);
    peer_free(&third);
    free_both();
}

static void bytes_of_the_other_side_are_a_sign_of_life(void **state)
{
    (void)state;
    rig.timeouts[0].idle = 10;
    open_far();
    start(&near, &far, 0);
    assert_int_equal(ld_conn_enter(near.c, 0), LD_OK);
    for (int i = 0; i < 4; i++) {
        rig_advance(&rig, 8);
        peer_say(&far, "x");
    }
    assert_false(job.over);
    rig_advance(&rig, 11);
    assert_int_equal(job.st, LD_TIMEOUT);
    free_both();
}

/* Anything may come next: what is moved is right, and is bounded. */
static void pipes_in_any_order(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 300; round++) {
        uint64_t fed[2] = {0, 0}, heard[2] = {0, 0};
        uint64_t most = 1 + (uint64_t)rand() % 400000;
        struct peer *p[2] = {&near, &far};
        bool over[2] = {false, false};

        open_far();
        start(&near, &far, 0);
        near.memory.room = far.memory.room = 0;
        while (!job.over) {
            int i = rand() % 2;

            if (rand() % 3 && fed[i] < most)
                feed(p[i], &fed[i], (size_t)rand() % 70000);
            else if (!over[i] && fed[i] >= most) {
                over[i] = true;
                peer_end(p[i], LD_EOF);
            }
            i = rand() % 2;
            take(p[!i], &heard[i], (size_t)rand() % 50000);
            if (over[i] && (peer_watched(p[i]) & LD_READ))
                ld_conn_ready(p[i]->c, LD_READ);
            for (i = 0; i < 2; i++)
                if (p[i]->c)
                    assert_in_range(ld_conn_unsent(p[i]->c), 0, HELD_MAX);
        }
        assert_int_equal(job.st, LD_OK);
        assert_int_equal(job.there, fed[0]);
        assert_int_equal(job.back, fed[1]);
        take(&far, &heard[0], 0);
        take(&near, &heard[1], 0);
        assert_int_equal(heard[0], fed[0]);
        assert_int_equal(heard[1], fed[1]);
        free_both();
        memset(&job, 0, sizeof(job));
    }
}

/* --- drained output ------------------------------------------------------ */

/* NEAR's coroutine waits for FAR's output and is parked. */
static enum ld_status flush_far(struct peer *by)
{
    enum ld_status st;

    ld_pool_run(rig.pool, by->c, false);
    st = ld_conn_flush(far.c);
    ld_pool_run(rig.pool, NULL, false);
    if (st == LD_BUSY)
        by->c->parked = LD_PARKED;
    return st;
}

static void any_coroutine_waits_for_output(void **state)
{
    (void)state;
    open_far();
    peer_open(&near, &rig, waits, NULL);
    assert_int_equal(flush_far(&near), LD_OK);
    far.memory.room = 0;
    conn_say(far.c, "slow");
    ld_pool_settle(rig.pool);
    assert_int_equal(flush_far(&near), LD_BUSY);
    assert_int_equal(flush_far(&near), LD_BUSY);
    peer_take(&far, 3);
    ld_pool_settle(rig.pool);
    assert_int_equal(go_ons, 0);
    peer_take(&far, 1);
    ld_pool_settle(rig.pool);
    assert_int_equal(go_ons, 1);
    assert_int_equal(flush_far(&near), LD_OK);
    free_both();
}

static void who_waits_for_output_hears_of_the_end(void **state)
{
    (void)state;
    open_far();
    peer_open(&near, &rig, waits, NULL);
    far.memory.room = 0;
    conn_say(far.c, "slow");
    assert_int_equal(flush_far(&near), LD_BUSY);
    peer_end(&far, LD_RESET);
    ld_pool_settle(rig.pool);
    assert_int_equal(go_ons, 1);
    assert_int_equal(ld_conn_drained(far.c), LD_RESET);
    free_both();
}

/* Those that have gone leave their place to others. */
static void those_that_wait_for_output_are_bounded(void **state)
{
    enum { MANY = 4097 };
    struct peer *many = calloc(MANY, sizeof(*many));

    (void)state;
    assert_non_null(many);
    open_far();
    far.memory.room = 0;
    conn_say(far.c, "slow");
    for (int i = 0; i < MANY; i++) {
        peer_open(&many[i], &rig, waits, NULL);
        assert_int_equal(flush_far(&many[i]),
                         i < MANY - 1 ? LD_BUSY : LD_LIMIT);
    }
    peer_free(&many[0]);
    assert_int_equal(flush_far(&many[MANY - 1]), LD_BUSY);
    for (int i = 1; i < MANY; i++)
        peer_free(&many[i]);
    peer_free(&far);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, relay_set_up, rig_tear_down)
        T(a_pipe_goes_both_ways_and_carries_each_end),
        T(a_pipe_ends_when_all_has_been_taken),
        T(two_ends_that_nobody_takes_come_to_rest),
        T(a_full_side_does_not_hold_the_other_way),
        T(a_reset_of_either_ends_the_pipe),
        T(a_side_that_is_finished_ends_the_pipe),
        T(nobody_else_reads_a_side_of_a_pipe),
        T(bytes_of_the_other_side_are_a_sign_of_life),
        T(pipes_in_any_order),
        T(any_coroutine_waits_for_output),
        T(who_waits_for_output_hears_of_the_end),
        T(those_that_wait_for_output_are_bounded),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
