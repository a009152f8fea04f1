/* test_channel_places.c -- channels with places at marks only, connections
 * that follow several, and what is known of a follower. */
#include "support_channel.h"

enum { MB = 1 << 20 };

static const uint64_t ANY = UINT64_MAX;

static struct ld_channel *marked_channel(uint32_t items)
{
    struct ld_channel_limits limits = {MB, items, 0, true};
    struct ld_channel *ch = ld_channel_new(rig.pool, &limits);

    assert_non_null(ch);
    return ch;
}

static const char *heard(struct peer *p)
{
    settle();
    peer_take(p, 1000);
    return peer_heard(p);
}

static void stall(struct ld_channel *ch, struct peer *p)
{
    p->memory.room = 1;
    say(ch, "<>");
    settle();
    assert_true(p->c->blocked);
}

static void a_newcomer_begins_at_the_newest_mark_or_waits_for_one(void **state)
{
    struct ld_channel *ch = marked_channel(100);
    struct peer early, late;

    (void)state;
    greet(ch, "(head)");
    listener_open(&early, ch, ANY, LD_SKIP);
    say(ch, "a");
    settle();
    say(ch, "b");
    assert_string_equal(heard(&early), "");
    say_mark(ch, "K");
    say(ch, "c");
    assert_string_equal(heard(&early), "(head)Kc");
    listener_open(&late, ch, ANY, LD_SKIP);
    assert_string_equal(heard(&late), "(head)Kc");
    assert_int_equal(ch->lost, 0);
    peer_free(&early);
    peer_free(&late);
}

static void who_waits_begins_at_the_first_mark_that_comes(void **state)
{
    struct ld_channel *ch = marked_channel(100);
    struct peer early, late;

    (void)state;
    listener_open(&early, ch, ANY, LD_SKIP);
    say(ch, "a");
    say_mark(ch, "K");
    say(ch, "b");
    say_mark(ch, "L");
    assert_string_equal(heard(&early), "KbL");
    listener_open(&late, ch, ANY, LD_SKIP);
    assert_string_equal(heard(&late), "L");
    peer_free(&early);
    peer_free(&late);
}

static void the_preamble_is_that_of_the_mark(void **state)
{
    struct ld_channel *ch = marked_channel(100);
    struct peer p;

    (void)state;
    greet(ch, "(old)");
    listener_open(&p, ch, ANY, LD_SKIP);
    say(ch, "a");
    settle();
    greet(ch, "(new)");
    say(ch, "b");
    say_mark(ch, "K");
    assert_string_equal(heard(&p), "(new)K");
    peer_free(&p);
}

static void a_mark_that_was_evicted_is_none(void **state)
{
    struct ld_channel *ch = marked_channel(2);
    struct peer p, q;

    (void)state;
    say_mark(ch, "K");
    say(ch, "a");
    say(ch, "b");
    listener_open(&p, ch, ANY, LD_SKIP);
    for (int i = 0; i < 10; i++)
        say(ch, "x"); /* what it would begin with has long gone */
    assert_string_equal(heard(&p), "");
    say_mark(ch, "L");
    say(ch, "c");
    assert_string_equal(heard(&p), "Lc");
    listener_open(&q, ch, ANY, LD_SKIP);
    assert_string_equal(heard(&q), "Lc");
    peer_free(&p);
    peer_free(&q);
}

static void a_mark_on_what_comes_next_is_a_place(void **state)
{
    struct ld_channel *ch = marked_channel(100);
    struct peer p;

    (void)state;
    say_mark(ch, "K");
    say_mark(ch, "");
    listener_open(&p, ch, ANY, LD_SKIP);
    say(ch, "a");
    assert_string_equal(heard(&p), "a");
    peer_free(&p);
}

static void who_falls_off_waits_for_a_mark_that_is_ahead(void **state)
{
    struct ld_channel *ch = marked_channel(3);
    struct ld_follower *f;
    struct peer p;

    (void)state;
    say_mark(ch, "J");
    listener_open(&p, ch, ANY, LD_SKIP);
    f = p.c->extra->follower;
    stall(ch, &p);
    say(ch, "abc");
    say(ch, "d");
    say(ch, "e");
    say(ch, "f"); /* neither J nor what it was to be sent is there */
    assert_string_equal(heard(&p), "J<>");
    assert_true(f->waits);
    assert_int_equal(ld_follower_behind(f), 0);
    assert_int_equal(ld_follower_sent(f), 3);
    say(ch, "g");
    assert_string_equal(heard(&p), "");
    say_mark(ch, "K");
    say(ch, "h");
    assert_string_equal(heard(&p), "Kh");
    assert_int_equal(ld_follower_sent(f), 5);
    assert_int_equal(f->skipped, 1);
    assert_int_equal(f->lost, 5);
    assert_int_equal(f->lost_bytes, 7);
    assert_int_equal(ch->skipped, 1);
    assert_int_equal(ch->lost, 5);
    peer_free(&p);
}

static void who_lags_does_not_go_back_to_the_mark_it_is_stuck_at(void **state)
{
    struct ld_channel *ch = marked_channel(100);
    struct peer p;

    (void)state;
    say_mark(ch, "J");
    listener_open(&p, ch, 3, LD_SKIP);
    stall(ch, &p);
    say_mark(ch, "K");
    say(ch, "abc");
    settle();
    say(ch, "def");
    settle();
    assert_string_equal(heard(&p), "J<>");
    say_mark(ch, "L");
    assert_string_equal(heard(&p), "L");
    peer_free(&p);
}

static void the_next_publisher_is_heard_from_its_first_mark(void **state)
{
    struct ld_channel *ch = marked_channel(100);
    struct peer all, waiting;

    (void)state;
    say_mark(ch, "K");
    listener_open(&all, ch, ANY, LD_SKIP);
    say(ch, "a");
    assert_string_equal(heard(&all), "Ka");
    ld_channel_end(ch);
    listener_open(&waiting, ch, ANY, LD_SKIP);
    greet(ch, "(two)");
    say(ch, "b");
    assert_string_equal(heard(&all), "");
    say_mark(ch, "L");
    assert_string_equal(heard(&all), "(two)L");
    assert_string_equal(heard(&waiting), "(two)L");
    assert_int_equal(ld_follower_sent(all.c->extra->follower), 3);
    assert_int_equal(ch->lost, 0);
    peer_free(&all);
    peer_free(&waiting);
}

static void a_gap_in_the_log_ends_at_a_mark(void **state)
{
    struct ld_channel *ch = marked_channel(100);
    struct peer p;

    (void)state;
    say_mark(ch, "K");
    listener_open(&p, ch, ANY, LD_SKIP);
    assert_string_equal(heard(&p), "K");
    ld_channel_cut(ch);
    say(ch, "a");
    assert_string_equal(heard(&p), "");
    say_mark(ch, "L");
    assert_string_equal(heard(&p), "L");
    peer_free(&p);
}

static void one_connection_follows_several(void **state)
{
    struct ld_channel *a = channel_new(MB, 100, 0);
    struct ld_channel *b = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    listener_open(&p, a, ANY, LD_SKIP);
    assert_int_equal(ld_channel_join(b, p.c, ANY, LD_SKIP), LD_OK);
    say(a, "a");
    settle();
    say(b, "b");
    assert_string_equal(heard(&p), "ab");
    ld_channel_leave(a, p.c);
    ld_channel_leave(a, p.c);
    assert_null(ld_channel_find(a, p.c));
    assert_non_null(ld_channel_find(b, p.c));
    say(a, "a");
    say(b, "b");
    assert_string_equal(heard(&p), "b");
    assert_int_equal(ld_channel_follow(a, p.c, ANY, LD_SKIP), LD_OK);
    assert_null(ld_channel_find(b, p.c));
    ld_channel_forget(p.c);
    assert_false(p.c->follows);
    peer_free(&p);
}

static void blobs_of_several_channels_stay_whole(void **state)
{
    struct ld_channel *a = channel_new(MB, 1000, 0);
    struct ld_channel *b = channel_new(MB, 1000, 0);
    struct peer p;
    int as = 0, bs = 0;

    (void)state;
    listener_open(&p, a, ANY, LD_SKIP);
    assert_int_equal(ld_channel_join(b, p.c, ANY, LD_SKIP), LD_OK);
    p.memory.room = 0;
    for (int i = 0; i < 50; i++) {
        say(a, "aaa");
        say(b, "bbb");
        settle();
    }
    for (int i = 0; i < 1000 && as + bs < 100; i++) {
        const char *text;

        peer_take(&p, 2);
        settle();
        text = peer_heard(&p);
        for (; *text; text++) {
            as += *text == 'a';
            bs += *text == 'b';
        }
        if (as % 3 && bs % 3)
            fail_msg("a blob was torn: %d of a, %d of b", as, bs);
    }
    assert_true(as > 30 && bs > 30); /* neither starves */
    peer_free(&p);
}

static void there_are_only_so_many(void **state)
{
    struct ld_channel *ch;
    struct peer p;

    (void)state;
    listener_open(&p, channel_new(MB, 9, 0), ANY, LD_SKIP);
    for (int i = 1; i < LD_FOLLOWS_MAX; i++) {
        ch = channel_new(MB, 9, 0);
        assert_int_equal(ld_channel_join(ch, p.c, ANY, LD_SKIP), LD_OK);
        assert_int_equal(ld_channel_join(ch, p.c, 5, LD_QUIT), LD_OK);
    }
    ch = channel_new(MB, 9, 0);
    assert_int_equal(ld_channel_join(ch, p.c, ANY, LD_SKIP), LD_LIMIT);
    peer_free(&p);
}

static void it_is_known_what_a_follower_was_sent(void **state)
{
    struct ld_channel *ch = channel_new(MB, 3, 0);
    struct ld_follower *f;
    struct peer p;

    (void)state;
    say(ch, "before");
    listener_open(&p, ch, ANY, LD_SKIP);
    f = p.c->extra->follower;
    say(ch, "abc");
    assert_string_equal(heard(&p), "abc");
    assert_int_equal(ld_follower_sent(f), 3);
    assert_int_equal(ld_follower_behind(f), 0);
    stall(ch, &p);
    say(ch, "de");
    assert_int_equal(ld_follower_sent(f), 5); /* "<>" is with the connection */
    assert_int_equal(ld_follower_behind(f), 2);
    say(ch, "f");
    say(ch, "g");
    say(ch, "h");
    assert_int_equal(ld_follower_sent(f), 5);
    assert_int_equal(ld_follower_behind(f), 5);
    assert_string_equal(heard(&p), "<>");
    assert_int_equal(f->lost, 4);
    say(ch, "i");
    assert_string_equal(heard(&p), "i");
    assert_int_equal(ld_follower_sent(f), 6);
    peer_free(&p);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_newcomer_begins_at_the_newest_mark_or_waits_for_one),
        TEST(who_waits_begins_at_the_first_mark_that_comes),
        TEST(the_preamble_is_that_of_the_mark),
        TEST(a_mark_that_was_evicted_is_none),
        TEST(a_mark_on_what_comes_next_is_a_place),
        TEST(who_falls_off_waits_for_a_mark_that_is_ahead),
        TEST(who_lags_does_not_go_back_to_the_mark_it_is_stuck_at),
        TEST(the_next_publisher_is_heard_from_its_first_mark),
        TEST(a_gap_in_the_log_ends_at_a_mark),
        TEST(one_connection_follows_several),
        TEST(blobs_of_several_channels_stay_whole),
        TEST(there_are_only_so_many),
        TEST(it_is_known_what_a_follower_was_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
