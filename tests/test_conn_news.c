/* What a connection hears besides bytes: messages, wakes, and the reads that
 * other coroutines do on it.  The hooks here stand for the coroutines.
 */
#include "conn_parts.h"
#include "support_peer.h"

static struct peer peer, other;
static int news, go_ons;

static bool wait(struct peer *p, enum ld_status st)
{
    return !st && ld_conn_read(p->c, 4, LD_OPENS) == LD_AGAIN;
}

static void count_news(void *ctx, struct ld_conn *c)
{
    (void)ctx;
    (void)c;
    news++;
}

static void count_go_on(void *ctx, struct ld_conn *c)
{
    (void)ctx;
    c->parked = LD_NOT_PARKED;
    go_ons++;
}

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    rig.pool->hooks.news = count_news;
    rig.pool->hooks.go_on = count_go_on;
    news = go_ons = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

static void mail_is_told_once_while_a_frame_is_half_read(void **state)
{
    (void)state;
    peer_open(&peer, &rig, wait, NULL);
    peer_say(&peer, "ab");
    ld_conn_tell(peer.c, LD_NEWS_MAIL);
    ld_conn_tell(peer.c, LD_NEWS_MAIL);
    assert_int_equal(news, 0); /* never inside the call */
    ld_pool_settle(rig.pool);
    assert_int_equal(news, 1);
    assert_int_equal(peer.wakes, 1);
    peer_say(&peer, "cd");
    assert_int_equal(peer.wakes, 2);
    assert_int_equal(news, 1);
    peer_free(&peer);
}

static void mail_comes_before_the_bytes_that_come_with_it(void **state)
{
    (void)state;
    peer_open(&peer, &rig, wait, NULL);
    ld_conn_tell(peer.c, LD_NEWS_MAIL);
    peer_say(&peer, "abcd");
    assert_int_equal(news, 1);
    assert_int_equal(peer.wakes, 2);
    peer_free(&peer);
}

static void nobody_hears_mail_on_the_way_out(void **state)
{
    (void)state;
    peer_open(&peer, &rig, wait, NULL);
    ld_conn_tell(peer.c, LD_NEWS_MAIL);
    ld_conn_doom(peer.c, LD_CLOSED, false);
    ld_pool_settle(rig.pool);
    assert_int_equal(news, 0);
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
}

static void only_the_parked_are_unparked(void **state)
{
    (void)state;
    peer_open(&peer, &rig, wait, NULL);
    ld_conn_unpark(peer.c);
    ld_pool_settle(rig.pool);
    assert_int_equal(go_ons, 0);
    peer.c->parked = LD_PARKED;
    ld_conn_unpark(peer.c);
    ld_conn_unpark(peer.c);
    ld_pool_settle(rig.pool);
    assert_int_equal(go_ons, 1);
    peer_free(&peer);
}

/* PEER's coroutine reads OTHER, which is passive. */
static void read_elsewhere(uint32_t n, enum ld_status expected)
{
    ld_conn_drop_wait(peer.c);
    ld_pool_run(rig.pool, peer.c, false);
    assert_int_equal(ld_conn_read(other.c, n, 0), expected);
    ld_pool_run(rig.pool, NULL, false);
    if (expected == LD_AGAIN)
        peer.c->parked = LD_AWAY;
}

static bool never(struct peer *p, enum ld_status st)
{
    (void)p;
    (void)st;
    fail_msg("a passive connection was woken for itself");
    return false;
}

static void open_pair(void)
{
    peer_open(&peer, &rig, wait, NULL);
    peer_open(&other, &rig, wait, NULL);
    other.script = never;
    other.c->passive = true;
    ld_conn_drop_wait(other.c);
}

static void free_pair(void)
{
    peer_free(&peer);
    peer_free(&other);
}

static void a_wait_that_is_nobodys_any_more_consumes_nothing(void **state)
{
    (void)state;
    open_pair();
    read_elsewhere(4, LD_AGAIN);
    assert_ptr_equal(ld_conn_waiter(other.c), peer.c);
    peer.c->epoch++; /* it went on without the read */
    assert_null(ld_conn_waiter(other.c));
    peer_say(&other, "abcdef");
    assert_int_equal(ld_conn_unread(other.c), 6);
    assert_int_equal(other.c->wait, LD_WAIT_NONE);
    read_elsewhere(4, LD_OK);
    assert_int_equal(ld_conn_unread(other.c), 2);
    free_pair();
}

/* Large reads go straight into the reader's buffer, which may have gone with
 * its coroutine. */
static void a_fill_that_is_nobodys_any_more_is_not_filled(void **state)
{
    static const char much[LD_SHARE_MIN];
    struct ld_chain *into = malloc(sizeof(*into));

    (void)state;
    assert_non_null(into);
    open_pair();
    ld_chain_init(into, &rig.pool->chunks);
    ld_conn_drop_wait(peer.c);
    ld_pool_run(rig.pool, peer.c, false);
    assert_int_equal(ld_conn_fill(other.c, into, 2 * sizeof(much)), LD_AGAIN);
    ld_pool_run(rig.pool, NULL, false);
    peer.c->parked = LD_AWAY;
    ld_pool_settle(rig.pool);
    peer.c->epoch++;
    ld_chain_clear(into);
    free(into);
    peer_feed(&other, much, sizeof(much));
    assert_int_equal(ld_conn_unread(other.c), sizeof(much));
    peer.c->parked = LD_NOT_PARKED;
    free_pair();
}

static void what_was_read_is_stale_when_its_place_has_gone(void **state)
{
    uint32_t view;

    (void)state;
    open_pair();
    peer_say(&other, "abcdef");
    read_elsewhere(4, LD_OK);
    view = rig.pool->result->view;
    assert_int_equal(other.c->view, view);
    ld_pool_settle(rig.pool);
    peer_say(&other, "gh");
    assert_int_not_equal(other.c->view, view);
    read_elsewhere(4, LD_OK);
    view = rig.pool->result->view;
    ld_pool_settle(rig.pool);
    assert_null(other.c->in);
    assert_int_not_equal(other.c->view, view);
    free_pair();
}

/* A write that was refused leaves a gap: what came later would hide it. */
static void nothing_is_written_after_a_write_that_was_refused(void **state)
{
    static char much[1 << 20];

    (void)state;
    open_pair();
    conn_write(other.c, much, sizeof(much));
    conn_say(other.c, "!");
    assert_null(ld_conn_output(other.c));
    ld_pool_settle(rig.pool);
    assert_int_equal(peer_count(&other), sizeof(much) + 1);
    assert_null(ld_conn_output(other.c));
    free_pair();
}

static void who_reads_a_connection_is_told_that_it_is_given_up(void **state)
{
    (void)state;
    open_pair();
    read_elsewhere(4, LD_AGAIN);
    ld_pool_run(rig.pool, other.c, false);
    ld_conn_doom(other.c, LD_CLOSED, false);
    for (int i = 0; i < LD_GONE_MAX; i++)
        assert_int_equal(ld_conn_read(other.c, 1, 0), LD_CLOSED);
    assert_int_equal(ld_conn_read(other.c, 1, 0), LD_AGAIN);
    assert_int_equal(other.c->wait, LD_WAIT_ABANDON);
    ld_pool_run(rig.pool, NULL, false);
    ld_conn_drop_wait(other.c); /* before its on_error has a say */
    ld_conn_finish(other.c);
    ld_pool_settle(rig.pool);
    assert_int_equal(go_ons, 1);
    free_pair();
}

static void one_coroutine_reads_at_a_time(void **state)
{
    struct peer third;

    (void)state;
    open_pair();
    peer_open(&third, &rig, wait, NULL);
    read_elsewhere(4, LD_AGAIN);
    ld_pool_run(rig.pool, third.c, false);
    assert_int_equal(ld_conn_read(other.c, 1, 0), LD_BUSY);
    assert_int_equal(ld_conn_read(peer.c, 1, 0),
                     LD_AGAIN); /* nobody reads it */
    ld_pool_run(rig.pool, third.c, true);
    assert_int_equal(ld_conn_read(other.c, 1, 0), LD_HOOK);
    ld_pool_run(rig.pool, NULL, false);
    ld_conn_drop_wait(peer.c);
    peer_free(&third);
    free_pair();
}

static void input_that_nobody_reads_is_bounded(void **state)
{
    static char much[1 << 16];
    uint32_t unread;

    (void)state;
    open_pair();
    memset(much, 'x', sizeof(much) - 1);
    for (int i = 0; i < 10; i++)
        peer_say(&other, much);
    unread = ld_conn_unread(other.c);
    assert_in_range(unread, 1, 2 << 16);
    free_pair();
}

static void a_passive_connection_that_is_closed_twice_ends(void **state)
{
    (void)state;
    open_pair();
    ld_conn_doom(other.c, LD_RESET, false);
    assert_int_equal(other.closes, 0); /* its owner is to find out */
    ld_conn_doom(other.c, LD_CLOSED, false);
    assert_int_equal(other.c->doom, LD_CLOSED);
    free_pair();
}

static void families_are_left_in_any_order(void **state)
{
    struct peer third;

    (void)state;
    open_pair();
    peer_open(&third, &rig, wait, NULL);
    assert_int_equal(ld_conn_adopt(peer.c, other.c), LD_OK);
    assert_int_equal(ld_conn_adopt(peer.c, third.c), LD_OK);
    assert_ptr_equal(peer.c->extra->children, third.c);
    assert_int_equal(ld_conn_adopt(NULL, third.c), LD_OK);
    assert_ptr_equal(peer.c->extra->children, other.c);
    assert_int_equal(ld_conn_adopt(peer.c, third.c), LD_OK);
    peer_free(&third);
    assert_ptr_equal(peer.c->extra->children, other.c);
    peer_free(&peer); /* its child is an orphan then */
    assert_null(other.c->extra->parent);
    peer_free(&other);
}

static void a_task_has_no_io_and_ends_at_once(void **state)
{
    struct ld_conn *task;
    struct peer owner = {.closes = 0};

    (void)state;
    task = ld_conn_new_task(rig.pool, &rig.profile);
    assert_non_null(task);
    task->owner = &owner;
    assert_null(ld_conn_output(task));
    ld_conn_finish(task);
    assert_int_equal(owner.closes, 1);
    assert_int_equal(rig.pool->open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(mail_is_told_once_while_a_frame_is_half_read),
        T(mail_comes_before_the_bytes_that_come_with_it),
        T(nobody_hears_mail_on_the_way_out),
        T(only_the_parked_are_unparked),
        T(a_wait_that_is_nobodys_any_more_consumes_nothing),
        T(a_fill_that_is_nobodys_any_more_is_not_filled),
        T(what_was_read_is_stale_when_its_place_has_gone),
        T(nothing_is_written_after_a_write_that_was_refused),
        T(who_reads_a_connection_is_told_that_it_is_given_up),
        T(one_coroutine_reads_at_a_time),
        T(input_that_nobody_reads_is_bounded),
        T(a_passive_connection_that_is_closed_twice_ends),
        T(families_are_left_in_any_order),
        T(a_task_has_no_io_and_ends_at_once),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
