/* test_channel_policy.c -- what becomes of followers that cannot keep up. */
#include "support_channel.h"

enum { MB = 1 << 20 };

static const uint64_t ANY = UINT64_MAX;

/* P takes nothing more, from the middle of an entry on. */
static void stall(struct ld_channel *ch, struct peer *p)
{
    p->memory.room = 1;
    say(ch, "<>");
    settle();
    assert_true(p->c->blocked);
}

/* What P gets now that it reads again, from "<>" on. */
static const char *resume(struct peer *p)
{
    settle();
    peer_take(p, 1000);
    return peer_heard(p);
}

static void who_falls_off_the_tail_skips_to_the_newest_mark(void **state)
{
    struct ld_channel *ch = channel_new(MB, 3, 0);
    struct peer p;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    stall(ch, &p);
    say(ch, "a");
    say_mark(ch, "K");
    say(ch, "b");
    say_mark(ch, "L");
    say(ch, "c");
    assert_string_equal(resume(&p), "<>Lc");
    assert_int_equal(ch->skipped, 1);
    assert_int_equal(ch->lost, 3);
    peer_free(&p);
}

static void what_it_skips_to_is_no_lag_either(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    listener_open(&p, ch, 5, LD_SKIP);
    stall(ch, &p);
    say(ch, "abcdef");
    say_mark(ch, "K1234567");
    settle();
    peer_take(&p, 1); /* to the mark, of which nothing fits yet */
    say(ch, "ghi");
    settle();
    assert_string_equal(resume(&p), "<>K1234567ghi");
    peer_free(&p);
}

static void without_a_mark_ahead_it_skips_to_the_head(void **state)
{
    struct ld_channel *ch = channel_new(MB, 3, 0);
    struct peer p;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    stall(ch, &p);
    say_mark(ch, "K");
    say(ch, "abc");
    say(ch, "def");
    say(ch, "ghi");
    assert_string_equal(resume(&p), "<>");
    say(ch, "j");
    assert_string_equal(resume(&p), "j");
    peer_free(&p);
}

static void who_is_over_its_lag_skips_only_forward(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p, q;

    (void)state;
    listener_open(&p, ch, 5, LD_SKIP);
    listener_open(&q, ch, 5, LD_SKIP);
    stall(ch, &p);
    q.memory.room = 1;
    say_mark(ch, "Kabcd");
    settle();
    say(ch, "e");
    settle(); /* p is at the mark, q has begun it */
    assert_string_equal(resume(&p), "<>"); /* 6 behind: to the head */
    assert_string_equal(resume(&q), "<>Kabcde");
    say(ch, "f");
    settle();
    assert_string_equal(peer_heard(&p), "f");
    stall(ch, &p);
    say(ch, "abcdef");
    say_mark(ch, "L");
    assert_string_equal(resume(&p), "<>L");
    peer_free(&p);
    peer_free(&q);
}

static void who_drops_goes_on_at_the_oldest_within_its_lag(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p, q;

    (void)state;
    listener_open(&p, ch, 4, LD_DROP);
    stall(ch, &p);
    for (int i = 0; i < 10; i++)
        say(ch, (char[]){(char)('a' + i), '\0'});
    assert_string_equal(resume(&p), "<>ghij");
    assert_int_equal(ch->dropped, 1);
    assert_int_equal(ch->lost, 6);
    peer_free(&p);

    ch = channel_new(MB, 3, 0);
    listener_open(&q, ch, ANY, LD_DROP);
    stall(ch, &q);
    for (int i = 0; i < 10; i++)
        say(ch, (char[]){(char)('a' + i), '\0'});
    assert_string_equal(resume(&q), "<>hij");
    stall(ch, &q);
    say(ch, "abcd"); /* larger than the lag: nothing is within it */
    assert_int_equal(ld_channel_follow(ch, q.c, 3, LD_DROP), LD_OK);
    assert_string_equal(resume(&q), "<>");
    say(ch, "e");
    assert_string_equal(resume(&q), "e");
    peer_free(&q);
}

static struct ld_conn *lagged;

static void on_lagged(void *ctx, struct ld_conn *c)
{
    assert_null(ctx);
    assert_int_equal(c->doom, LD_OK);
    lagged = c;
}

/* It may never drain, so it is not waited for. */
static void who_quits_is_ended_though_it_never_drains(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    rig.pool->channels.lagged = on_lagged;
    listener_open(&p, ch, 5, LD_QUIT);
    stall(ch, &p);
    say(ch, "abcde");
    settle();
    say(ch, "f");
    settle();
    assert_non_null(p.c);
    assert_int_equal(p.c->phase, LD_PHASE_OPEN);
    lagged = NULL;
    say(ch, "g");
    settle();
    assert_ptr_equal(lagged, p.c);
    assert_int_equal(p.last, LD_LIMIT);
    assert_int_equal(ch->quit, 1);
    assert_int_equal(ch->count, 0);
    peer_take(&p, 100); /* the torn entry, whole */
    assert_string_equal(peer_heard(&p), "<>");
    peer_free(&p);
}

static void what_was_there_at_the_start_is_no_lag(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    say_mark(ch, "K123456789");
    peer_open(&p, &rig, listen_only, NULL);
    p.memory.room = 0;
    assert_int_equal(ld_channel_follow(ch, p.c, 3, LD_QUIT), LD_OK);
    settle();
    say(ch, "abc");
    settle();
    assert_string_equal(resume(&p), "K123456789abc");
    peer_free(&p);
}

static void a_burst_that_had_no_turn_yet_is_no_lag(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 1);
    struct peer p;

    (void)state;
    listener_open(&p, ch, 1, LD_QUIT);
    say(ch, "abcdef");
    say(ch, "ghijkl");
    pass(1);
    assert_string_equal(peer_heard(&p), "abcdefghijkl");
    peer_free(&p);
}

static void who_skips_past_a_new_preamble_gets_it(void **state)
{
    struct ld_channel *ch = channel_new(MB, 3, 0);
    struct peer p, q;

    (void)state;
    greet(ch, "first ");
    listener_open(&p, ch, ANY, LD_SKIP);
    listener_open(&q, ch, ANY, LD_SKIP);
    stall(ch, &p);
    say(ch, "a");
    greet(ch, "second ");
    settle();
    assert_string_equal(peer_heard(&q), "first <>a");
    say_mark(ch, "K");
    say(ch, "b");
    say(ch, "c");
    assert_string_equal(resume(&p), "first <>second Kbc");
    assert_string_equal(resume(&q), "Kbc");
    stall(ch, &p); /* it has the newest */
    stall(ch, &q); /* and it was there when it changed */
    say(ch, "d");
    say(ch, "e");
    say(ch, "f");
    say_mark(ch, "L");
    assert_string_equal(resume(&p), "<>L");
    assert_string_equal(resume(&q), "<><>L");
    peer_free(&p);
    peer_free(&q);
}

static void a_greeting_that_was_due_is_not_lost_by_skipping(void **state)
{
    struct ld_channel *ch = channel_new(MB, 2, 0);
    struct peer p;

    (void)state;
    greet(ch, "head ");
    peer_open(&p, &rig, listen_only, NULL);
    p.memory.room = 0;
    say_mark(ch, "K");
    assert_int_equal(ld_channel_follow(ch, p.c, ANY, LD_SKIP), LD_OK);
    settle();
    say(ch, "a");
    say(ch, "b");
    say(ch, "c");
    assert_string_equal(resume(&p), "head ");
    say(ch, "d");
    assert_string_equal(resume(&p), "d");
    peer_free(&p);
}

static void a_cut_makes_all_lose_their_place(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer skips, quits;

    (void)state;
    listener_open(&skips, ch, ANY, LD_SKIP);
    listener_open(&quits, ch, ANY, LD_QUIT);
    stall(ch, &skips);
    say(ch, "a");
    ld_channel_cut(ch);
    assert_int_equal(ld_channel_bytes(ch), 0);
    say_mark(ch, "K");
    say(ch, "b");
    assert_string_equal(resume(&skips), "<>Kb");
    assert_int_equal(quits.last, LD_LIMIT);
    peer_free(&skips);
    peer_free(&quits);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_falls_off_the_tail_skips_to_the_newest_mark),
        TEST(what_it_skips_to_is_no_lag_either),
        TEST(without_a_mark_ahead_it_skips_to_the_head),
        TEST(who_is_over_its_lag_skips_only_forward),
        TEST(who_drops_goes_on_at_the_oldest_within_its_lag),
        TEST(who_quits_is_ended_though_it_never_drains),
        TEST(what_was_there_at_the_start_is_no_lag),
        TEST(a_burst_that_had_no_turn_yet_is_no_lag),
        TEST(who_skips_past_a_new_preamble_gets_it),
        TEST(a_greeting_that_was_due_is_not_lost_by_skipping),
        TEST(a_cut_makes_all_lose_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
