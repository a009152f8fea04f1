/* test_channel.c -- the log of a channel, and what its followers are sent. */
#include "support_channel.h"

enum { MB = 1 << 20 };

static const uint64_t ANY = UINT64_MAX;

static void followers_get_every_entry_in_order_with_one_write(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer a, b;

    (void)state;
    listener_open(&a, ch, ANY, LD_SKIP);
    listener_open(&b, ch, ANY, LD_SKIP);
    say(ch, "one ");
    say(ch, "two ");
    say(ch, "three");
    assert_int_equal(a.writes + b.writes, 0); /* not before its turn */
    settle();
    assert_string_equal(peer_heard(&a), "one two three");
    assert_string_equal(peer_heard(&b), "one two three");
    assert_int_equal(a.writes, 1);
    assert_int_equal(b.writes, 1);
    peer_free(&a);
    peer_free(&b);
}

static void more_entries_than_one_call_takes_are_written_all(void **state)
{
    struct ld_channel *ch = channel_new(MB, 1000, 0);
    struct peer p;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    for (int i = 0; i < 300; i++)
        say(ch, "ab");
    settle();
    assert_int_equal(peer_count(&p), 600);
    assert_int_equal(p.writes, 3);
    peer_free(&p);
}

static void what_many_followers_write_is_one_piece(void **state)
{
    struct ld_channel *ch = channel_new(MB, 1000, 0);
    struct peer peers[10];

    (void)state;
    for (int i = 0; i < 10; i++)
        listener_open(&peers[i], ch, ANY, LD_SKIP);
    peers[1].memory.room = 201; /* in the middle of one */
    peers[2].memory.room = 200; /* between two */
    for (int i = 0; i < 300; i++)
        say(ch, "ab");
    settle();
    assert_int_equal(peers[0].writes, 1);
    peer_take(&peers[1], 1000);
    peer_take(&peers[2], 1000);
    for (int i = 0; i < 10; i++) {
        const char *heard = peer_heard(&peers[i]);

        assert_int_equal(strlen(heard), 600);
        for (int k = 0; k < 600; k++)
            assert_int_equal(heard[k], "ab"[k % 2]);
        peer_free(&peers[i]);
    }
}

static void a_newcomer_starts_at_the_newest_mark(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p, q;

    (void)state;
    say_mark(ch, "old ");
    say_mark(ch, "key ");
    say(ch, "frame ");
    greet(ch, "head ");
    listener_open(&p, ch, ANY, LD_SKIP);
    assert_string_equal(peer_heard(&p), "head key frame ");
    say(ch, "more");
    settle();
    assert_string_equal(peer_heard(&p), "more");
    assert_int_equal(ld_channel_publish(ch, &p.memory.input, true), LD_OK);
    listener_open(&q, ch, ANY, LD_SKIP); /* an empty mark: on what comes */
    say(ch, "next");
    settle();
    assert_string_equal(peer_heard(&q), "head next");
    peer_free(&p);
    peer_free(&q);
}

static void without_a_mark_a_newcomer_gets_what_comes(void **state)
{
    struct ld_channel *ch = channel_new(MB, 2, 0);
    struct peer p, q;

    (void)state;
    say(ch, "a");
    listener_open(&p, ch, ANY, LD_SKIP);
    assert_string_equal(peer_heard(&p), "");
    say_mark(ch, "b");
    say(ch, "c");
    say(ch, "d"); /* the mark has been pushed out */
    settle();
    listener_open(&q, ch, ANY, LD_SKIP);
    say(ch, "e");
    settle();
    assert_string_equal(peer_heard(&p), "bcde");
    assert_string_equal(peer_heard(&q), "e");
    peer_free(&p);
    peer_free(&q);
}

static void
who_waits_for_a_publisher_gets_the_preamble_first_and_once(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    greet(ch, "head ");
    say(ch, "a");
    settle();
    assert_string_equal(peer_heard(&p), "head a");
    greet(ch, "other ");
    say(ch, "b");
    settle();
    assert_string_equal(peer_heard(&p), "b");
    peer_free(&p);
}

static void a_torn_blob_goes_out_whole_and_before_anything_else(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct ld_channel *other = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    p.memory.room = 2;
    say(ch, "abcd");
    say(ch, "efgh");
    settle();
    assert_string_equal(peer_heard(&p), "ab");
    assert_int_equal(ld_conn_unsent(p.c), 2); /* of one blob, no queue */
    conn_say(p.c, "own ");
    peer_take(&p, 100);
    assert_string_equal(peer_heard(&p), "cdown efgh");
    p.memory.room = 1;
    say(ch, "ijkl");
    say(ch, "mnop");
    settle();
    assert_int_equal(ld_channel_follow(other, p.c, ANY, LD_SKIP), LD_OK);
    say(other, "OTHER");
    settle();
    peer_take(&p, 100);
    assert_string_equal(peer_heard(&p), "ijklOTHER");
    peer_free(&p);
}

static void every_way_to_tear_writes_gives_the_same_bytes(void **state)
{
    static const char *const wanted = "hello one twothree four";
    struct ld_channel *ch;
    struct peer p;
    char text[64];

    (void)state;
    for (size_t step = 1; step <= strlen(wanted); step++) {
        size_t len = 0;

        ch = channel_new(MB, 100, 0);
        greet(ch, "hello ");
        peer_open(&p, &rig, listen_only, NULL);
        p.memory.room = 0;
        assert_int_equal(ld_channel_follow(ch, p.c, ANY, LD_QUIT), LD_OK);
        say(ch, "one ");
        say(ch, "two");
        say(ch, "three ");
        settle();
        for (int i = 0; i < 40; i++) {
            if (i == 2)
                say(ch, "four");
            settle();
            peer_take(&p, step);
            strcpy(text + len, peer_heard(&p));
            len = strlen(text);
        }
        assert_string_equal(text, wanted);
        peer_free(&p);
    }
}

static void own_output_that_is_queued_goes_first(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    say(ch, "blob");
    conn_say(p.c, "own ");
    settle();
    assert_string_equal(peer_heard(&p), "own blob");
    peer_free(&p);
}

static void the_log_keeps_its_bounds(void **state)
{
    struct ld_channel *ch = channel_new(10, 4, 0);
    struct ld_chain q;

    (void)state;
    for (int i = 0; i < 100; i++) {
        say(ch, i % 3 ? "abcde" : "x");
        assert_true(ld_channel_bytes(ch) <= 10);
        assert_true(ch->head - ch->tail <= 4);
    }
    say(ch, "0123456789");
    assert_int_equal(ch->head - ch->tail, 1);
    ld_chain_init(&q, &rig.pool->chunks);
    assert_int_equal(ld_chain_write(&q, "0123456789A", 11), LD_OK);
    assert_int_equal(ld_channel_publish(ch, &q, true), LD_LIMIT);
    assert_int_equal(ld_channel_preamble(ch, &q), LD_LIMIT);
    assert_int_equal(ch->head - ch->tail, 1);
    ld_chain_clear(&q);
}

static void a_burst_larger_than_the_log_reaches_who_reads(void **state)
{
    struct ld_channel *ch = channel_new(MB, 3, 10);
    struct peer p;

    (void)state;
    listener_open(&p, ch, 0, LD_QUIT);
    for (int i = 0; i < 10; i++)
        say(ch, "x");
    assert_string_equal(peer_heard(&p), "xxxxxxxxx");
    pass(10);
    assert_string_equal(peer_heard(&p), "x");
    assert_int_equal(ch->lost, 0);
    peer_free(&p);
}

static void a_piece_is_shared_only_if_it_is_most_of_its_blob(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct ld_blob *b = ld_blob_new(10000);
    struct ld_chain q;

    (void)state;
    assert_non_null(b);
    memset(b->data, 'x', 10000);
    ld_chain_init(&q, &rig.pool->chunks);
    assert_int_equal(ld_chain_share(&q, b, 100, 4900), LD_OK);
    assert_int_equal(ld_channel_publish(ch, &q, false), LD_OK);
    assert_int_equal(b->refs, 2); /* copied */
    ld_chain_clear(&q);
    assert_int_equal(ld_chain_share(&q, b, 100, 5000), LD_OK);
    assert_int_equal(ld_channel_publish(ch, &q, false), LD_OK);
    ld_chain_clear(&q);
    assert_int_equal(b->refs, 2); /* shared */
    ld_blob_unref(b);
}

static void a_merge_window_makes_one_write_of_many(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0.35);
    struct peer p, q;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    say_mark(ch, "a");
    pass(0.3);
    say(ch, "b");
    assert_string_equal(peer_heard(&p), "");
    listener_open(&q, ch, ANY, LD_SKIP);
    assert_string_equal(peer_heard(&q), "ab"); /* what is there, at once */
    peer_say(&p, "x");
    assert_string_equal(peer_heard(&p), ""); /* its own turns do not count */
    say(ch, "c");
    pass(0.1);
    assert_string_equal(peer_heard(&p), "abc");
    assert_string_equal(peer_heard(&q), "c");
    assert_int_equal(p.writes, 1);
    say(ch, "d");
    pass(0.34);
    assert_string_equal(peer_heard(&p), "");
    pass(0.02);
    assert_string_equal(peer_heard(&p), "d");
    peer_free(&p);
    peer_free(&q);
}

static void following_again_keeps_the_place(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    say_mark(ch, "a");
    listener_open(&p, ch, ANY, LD_SKIP);
    assert_int_equal(ld_channel_follow(ch, p.c, 7, LD_QUIT), LD_OK);
    assert_int_equal(ch->count, 1);
    say(ch, "b");
    settle();
    assert_string_equal(peer_heard(&p), "ab");
    ld_channel_forget(p.c);
    ld_channel_forget(p.c);
    say(ch, "c");
    settle();
    assert_string_equal(peer_heard(&p), "");
    assert_int_equal(ch->count, 0);
    peer_free(&p);
}

static void who_writes_no_more_follows_nothing(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    ld_conn_shutdown(p.c);
    say(ch, "a");
    settle();
    assert_string_equal(peer_heard(&p), "");
    ld_channel_forget(p.c);
    assert_int_equal(ld_channel_follow(ch, p.c, ANY, LD_SKIP), LD_CLOSED);
    ld_conn_doom(p.c, LD_CLOSED, false);
    settle();
    peer_free(&p);
}

static void an_end_leaves_the_rest_and_greets_with_what_follows(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer quick, slow, late;

    (void)state;
    greet(ch, "first ");
    listener_open(&quick, ch, ANY, LD_SKIP);
    listener_open(&slow, ch, ANY, LD_SKIP);
    assert_string_equal(peer_heard(&quick), "first ");
    assert_string_equal(peer_heard(&slow), "first ");
    slow.memory.room = 1;
    say(ch, "ab");
    settle();
    say_mark(ch, "c");
    ld_channel_end(ch);
    assert_string_equal(peer_heard(&quick), "abc");
    assert_int_equal(ch->head - ch->tail, 1); /* what slow has to get */
    listener_open(&late, ch, ANY, LD_SKIP);
    say(ch, "x");
    greet(ch, "second ");
    settle();
    assert_string_equal(peer_heard(&quick), "second x");
    assert_string_equal(peer_heard(&late), "second x");
    peer_take(&slow, 100);
    assert_string_equal(peer_heard(&slow), "abcsecond x");
    peer_free(&quick);
    peer_free(&slow);
    peer_free(&late);
}

/* A transport that does something while it writes. */
static void (*meanwhile)(void);

static enum ld_status busy_writev(struct ld_link *l, const struct iovec *iov,
                                  int n, size_t *put)
{
    void (*act)(void) = meanwhile;

    meanwhile = NULL;
    if (act)
        act();
    return ld_memory_transport.writev(l, iov, n, put);
}

static struct peer crowd[6];
static struct ld_channel *common;

static void forget_some(void)
{
    ld_channel_forget(crowd[0].c); /* served, */
    ld_channel_forget(crowd[4].c); /* not yet, */
    assert_int_equal(ld_channel_follow(common, crowd[4].c, UINT64_MAX, LD_SKIP),
                     LD_OK);
}

static void a_turn_serves_each_once_though_followers_come_and_go(void **state)
{
    static struct ld_transport busy;

    (void)state;
    busy = ld_memory_transport;
    busy.writev = busy_writev;
    common = channel_new(MB, 100, 0);
    for (int i = 0; i < 6; i++)
        listener_open(&crowd[i], common, ANY, LD_SKIP);
    crowd[2].c->link.transport = &busy;
    meanwhile = forget_some;
    say(common, "a");
    settle();
    for (int i = 0; i < 6; i++)
        assert_string_equal(peer_heard(&crowd[i]), i == 4 ? "" : "a");
    say(common, "b");
    settle();
    for (int i = 0; i < 6; i++)
        assert_string_equal(peer_heard(&crowd[i]), i == 0 ? "" : "b");
    for (int i = 0; i < 6; i++)
        peer_free(&crowd[i]);
}

static void a_follower_that_is_lost_ends_alone(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 0);
    struct peer p, q, r;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    listener_open(&q, ch, ANY, LD_SKIP);
    listener_open(&r, ch, ANY, LD_SKIP);
    p.memory.end = LD_RESET;
    say(ch, "a");
    settle();
    assert_int_equal(p.closes, 1);
    assert_int_equal(p.last, LD_RESET);
    assert_int_equal(ch->count, 2);
    peer_end(&q, LD_EOF);
    assert_int_equal(ch->count, 1);
    say(ch, "b");
    settle();
    assert_string_equal(peer_heard(&r), "ab");
    peer_free(&p);
    peer_free(&q);
    peer_free(&r);
}

static void a_channel_that_is_freed_leaves_its_followers_alone(void **state)
{
    struct ld_channel *ch = channel_new(MB, 100, 1);
    struct peer p, q;

    (void)state;
    listener_open(&p, ch, ANY, LD_SKIP);
    listener_open(&q, ch, ANY, LD_SKIP);
    q.memory.room = 1;
    say(ch, "abc");
    pass(1);
    say(ch, "d");
    ld_channel_free(ch);
    pass(1);
    peer_take(&q, 100); /* what was its own already */
    assert_string_equal(peer_heard(&p), "abc");
    assert_string_equal(peer_heard(&q), "abc");
    assert_false(p.c->follows);
    ch = channel_new(MB, 100, 0);
    say(ch, "x");
    ld_conn_extra(p.c);
    assert_int_equal(ld_channel_follow(ch, p.c, ANY, LD_SKIP), LD_OK);
    say(ch, "y");
    ld_channel_free(ch); /* queued for its turn */
    settle();
    assert_string_equal(peer_heard(&p), "");
    peer_free(&p);
    peer_free(&q);
}

/* All get the same, and the one that never reads costs the log and no more. */
static void one_that_never_reads_hurts_none_of_thousands(void **state)
{
    enum { MANY = 4000, ENTRIES = 60 };
    static struct peer many[MANY];
    struct ld_channel *ch = channel_new(1000, 100, 0);
    char text[101], wanted[ENTRIES * 100 + 1] = "";

    (void)state;
    for (int i = 0; i < MANY; i++)
        listener_open(&many[i], ch, ANY, LD_SKIP);
    many[1234].memory.room = 30;
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(text, sizeof(text), "%0100d", i);
        strcat(wanted, text);
        say(ch, text);
        settle();
        assert_true(ld_channel_bytes(ch) <= 1000);
        assert_true(ld_conn_unsent(many[1234].c) <= 100);
    }
    for (int i = 0; i < MANY; i++)
        if (i != 1234)
            assert_string_equal(peer_heard(&many[i]), wanted);
    assert_string_equal(peer_heard(&many[1234]),
                        "000000000000000000000000000000");
    for (int i = 0; i < MANY; i++)
        peer_free(&many[i]);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(followers_get_every_entry_in_order_with_one_write),
        TEST(more_entries_than_one_call_takes_are_written_all),
        TEST(what_many_followers_write_is_one_piece),
        TEST(a_newcomer_starts_at_the_newest_mark),
        TEST(without_a_mark_a_newcomer_gets_what_comes),
        TEST(who_waits_for_a_publisher_gets_the_preamble_first_and_once),
        TEST(a_torn_blob_goes_out_whole_and_before_anything_else),
        TEST(every_way_to_tear_writes_gives_the_same_bytes),
        TEST(own_output_that_is_queued_goes_first),
        TEST(the_log_keeps_its_bounds),
        TEST(a_burst_larger_than_the_log_reaches_who_reads),
        TEST(a_piece_is_shared_only_if_it_is_most_of_its_blob),
        TEST(a_merge_window_makes_one_write_of_many),
        TEST(following_again_keeps_the_place),
        TEST(who_writes_no_more_follows_nothing),
        TEST(an_end_leaves_the_rest_and_greets_with_what_follows),
        TEST(a_turn_serves_each_once_though_followers_come_and_go),
        TEST(a_follower_that_is_lost_ends_alone),
        TEST(a_channel_that_is_freed_leaves_its_followers_alone),
        TEST(one_that_never_reads_hurts_none_of_thousands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
