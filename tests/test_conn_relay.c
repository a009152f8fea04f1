/* Bytes that are relayed from one connection to another, over memory and over
 * sockets.
 */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn_parts.h"
#include "sock.h"
#include "support_relay.h"

static void a_relay_moves_so_many_bytes_and_no_more(void **state)
{
    (void)state;
    open_far();
    start(&near, &far, 5);
    peer_say(&near, "abc");
    assert_string_equal(peer_heard(&far), "abc");
    assert_false(job.over);
    peer_say(&near, "defg");
    assert_string_equal(peer_heard(&far), "de");
    assert_true(job.over);
    assert_int_equal(job.st, LD_OK);
    assert_int_equal(ld_conn_unread(near.c), 2);
    free_both();
}

static void each_piece_is_one_read_and_one_write(void **state)
{
    (void)state;
    open_far();
    start(&near, &far, 1000);
    near.reads = far.writes = 0;
    for (int i = 0; i < 10; i++)
        peer_say(&near, "sixty-four bytes or so");
    assert_int_equal(near.reads, 10);
    assert_int_equal(far.writes, 10);
    assert_int_equal(near.wakes, 1);
    free_both();
}

static void what_is_buffered_is_relayed_at_once(void **state)
{
    (void)state;
    open_far();
    peer_say(&far, "already here");
    start(&far, &near, 7);
    assert_true(job.over);
    assert_int_equal(job.st, LD_OK);
    assert_string_equal(peer_heard(&near), "already");
    free_both();
}

static void a_relay_to_itself_echoes(void **state)
{
    (void)state;
    open_far();
    start(&near, &near, 300000);
    near.memory.room = 1000;
    for (uint64_t fed = 0, heard = 0; heard < 300000;) {
        if (fed < 300000)
            feed(&near, &fed, 20000);
        take(&near, &heard, 15000);
        assert_in_range(ld_conn_unsent(near.c), 0, HELD_MAX);
    }
    assert_true(job.over);
    assert_int_equal(job.st, LD_OK);
    free_both();
}

static void a_full_sink_holds_the_source(void **state)
{
    uint64_t fed = 0, heard = 0;
    size_t left;

    (void)state;
    open_far();
    far.memory.room = 0;
    start(&near, &far, 1 << 18);
    feed(&near, &fed, 1 << 18);
    assert_false(peer_watched(&near) & LD_READ);
    assert_in_range(ld_conn_unsent(far.c), LD_HIGH_WATER, HELD_MAX);
    left = near.memory.input.bytes;
    take(&far, &heard, ld_conn_unsent(far.c) - LD_LOW_WATER - 1);
    assert_int_equal(near.memory.input.bytes, left);
    take(&far, &heard, 1);
    assert_in_range(near.memory.input.bytes, 0, left - 1);
    take(&far, &heard, 1 << 18);
    take(&far, &heard, 1 << 18);
    assert_int_equal(heard, 1 << 18);
    assert_true(job.over);
    free_both();
}

/* FAR may have less queued than one read brings. */
static void the_output_limit_of_the_sink_is_kept(void **state)
{
    uint64_t fed = 0, heard = 0;

    (void)state;
    rig.profile.output_limit = 10000;
    open_far();
    far.memory.room = 0;
    start(&near, &far, 200000);
    feed(&near, &fed, 200000);
    while (heard < 200000) {
        assert_in_range(ld_conn_unsent(far.c), 0, 10000);
        take(&far, &heard, 3000);
    }
    assert_true(job.over);
    assert_int_equal(job.st, LD_OK);
    assert_int_equal(far.c->doom, LD_OK);
    free_both();
}

static void an_end_inside_is_truncated(void **state)
{
    (void)state;
    open_far();
    far.memory.room = 0;
    start(&near, &far, 100);
    peer_say(&near, "abc");
    peer_end(&near, LD_EOF);
    assert_true(job.over);
    assert_int_equal(job.st, LD_TRUNCATED);
    peer_take(&far, 100);
    assert_string_equal(peer_heard(&far), "abc");
    free_both();
}

static void the_end_of_the_sink_ends_the_relay(void **state)
{
    (void)state;
    open_far();
    start(&near, &far, 100);
    ld_conn_doom(far.c, LD_CLOSED, false);
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_CLOSED);
    free_both();
}

static void a_sink_that_is_finished_ends_the_relay(void **state)
{
    (void)state;
    open_far();
    start(&near, &far, 100);
    ld_conn_finish(far.c);
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_CLOSED);
    free_both();
}

/* Its on_error may go on before the relay is tried again: nobody would tell the
 * relay any more when there is room. */
static void a_sink_that_goes_on_after_its_end_ends_the_relay(void **state)
{
    static char much[LD_LOW_WATER + 1];

    (void)state;
    open_far();
    start(&near, &far, 100);
    far.memory.room = 0;
    conn_write(far.c, much, sizeof(much));
    ld_conn_doom(far.c, LD_LIMIT, false);
    ld_conn_settle(far.c);
    far.c->doom = LD_OK;
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_LIMIT);
    free_both();
}

static void what_others_wrote_holds_a_relay(void **state)
{
    static char much[LD_HIGH_WATER + 1];
    uint64_t fed = 0;

    (void)state;
    open_far();
    start(&near, &far, 1 << 20);
    far.memory.room = 0;
    conn_write(far.c, much, sizeof(much));
    feed(&near, &fed, 1000);
    assert_int_equal(ld_conn_unsent(far.c), sizeof(much));
    free_both();
}

static void a_sink_that_fails_while_full_ends_the_relay(void **state)
{
    uint64_t fed = 0;

    (void)state;
    open_far();
    far.memory.room = 0;
    start(&near, &far, 1 << 20);
    feed(&near, &fed, 1 << 18);
    assert_false(job.over);
    peer_end(&far, LD_RESET);
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_RESET);
    assert_int_equal(near.c->doom, LD_OK);
    free_both();
}

static void a_sink_that_fails_at_the_write_ends_the_relay(void **state)
{
    (void)state;
    open_far();
    start(&near, &far, 100);
    far.memory.end = LD_RESET;
    peer_say(&near, "abc");
    assert_true(job.over);
    assert_int_equal(job.st, LD_RESET);
    assert_int_equal(near.c->doom, LD_OK);
    free_both();
}

static void a_held_source_that_ends_is_not_told_of_room(void **state)
{
    uint64_t fed = 0;

    (void)state;
    open_far();
    far.memory.room = 0;
    start(&near, &far, 1 << 20);
    feed(&near, &fed, 1 << 18);
    near.c->reset = true;
    ld_conn_doom(near.c, LD_CLOSED, true);
    ld_pool_settle(rig.pool);
    assert_true(job.over);
    assert_int_equal(job.st, LD_CLOSED);
    peer_free(&near);
    peer_take(&far, SIZE_MAX);
    ld_pool_settle(rig.pool);
    assert_false(far.c->depended);
    peer_free(&far);
}

static void a_sink_that_was_shut_takes_nothing(void **state)
{
    (void)state;
    open_far();
    ld_conn_shutdown(far.c);
    start(&near, &far, 100);
    peer_say(&near, "abc");
    assert_int_equal(job.st, LD_CLOSED);
    free_both();
}

static void what_a_coroutine_wrote_goes_first(void **state)
{
    (void)state;
    open_far();
    start(&near, &far, 100);
    conn_say(far.c, "first ");
    peer_say(&near, "second");
    ld_pool_settle(rig.pool);
    assert_string_equal(peer_heard(&far), "first second");
    free_both();
}

/* --- sockets ------------------------------------------------------------- */

static struct ld_conn *open_socket(int *other)
{
    struct ld_link link = {.transport = &ld_sock};
    static struct peer nobody;
    struct ld_conn *c;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    link.fd = fds[0];
    *other = fds[1];
    c = ld_conn_new_passive(rig.pool, link, &rig.profile);
    assert_non_null(c);
    c->owner = &nobody;
    return c;
}

/* Fill FD with what comes next of TOTAL bytes; how many. */
static size_t fill(int fd, uint64_t *at, uint64_t total)
{
    static uint8_t bytes[1 << 16];
    size_t n = total - *at < sizeof(bytes) ? total - *at : sizeof(bytes);
    ssize_t put;

    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(*at + i);
    put = write(fd, bytes, n);
    *at += put > 0 ? (uint64_t)put : 0;
    return put > 0 ? (size_t)put : 0;
}

static void drain(int fd, uint64_t *at, size_t most)
{
    static uint8_t bytes[1 << 20];
    ssize_t n = read(fd, bytes, most);

    for (ssize_t i = 0; i < n; i++)
        if (bytes[i] != byte_at(*at + (uint64_t)i))
            fail_msg("byte %zu is wrong", (size_t)*at + (size_t)i);
    *at += n > 0 ? (uint64_t)n : 0;
}

/* NEAR's coroutine relays TOTAL bytes from FAR to what is returned; the other
 * ends are *IN and *OUT. */
static struct ld_conn *relay_sockets(uint64_t total, int *in, int *out)
{
    struct ld_conn *to = open_socket(out);

    peer_open(&near, &rig, waits, NULL);
    far.c = open_socket(in);
    ld_pool_run(rig.pool, near.c, false);
    ld_conn_drop_wait(near.c);
    assert_int_equal(ld_conn_relay(far.c, to, total), LD_AGAIN);
    ld_pool_run(rig.pool, NULL, false);
    near.c->parked = LD_AWAY;
    return to;
}

static void ready(struct ld_conn *to)
{
    if (far.c->io.events & LD_READ)
        ld_conn_ready(far.c, LD_READ);
    if (to->io.events & LD_WRITE)
        ld_conn_ready(to, LD_WRITE);
    ld_pool_settle(rig.pool);
}

static bool splices(void)
{
    return far.c->await && far.c->await->bulk > 0;
}

/* Much goes past the read buffer, and nothing is lost where it cannot. */
static void relay_much(bool may_splice)
{
    uint64_t written = 0, heard = 0, total = 20 << 20;
    bool spliced = false;
    struct ld_conn *to;
    int in, out, turns = 0;

    signal(SIGPIPE, may_splice ? SIG_IGN : SIG_DFL);
    to = relay_sockets(total, &in, &out);
    while (heard < total) {
        bool slow = (turns++ / 50) % 2;

        while (fill(in, &written, total) > 0)
            ;
        ready(to);
        spliced |= splices();
        drain(out, &heard, slow ? 5000 : 1 << 20);
        assert_in_range(ld_conn_unsent(to), 0, 4 * LD_HIGH_WATER + HELD_MAX);
    }
    assert_true(spliced);
    assert_int_equal(rig.pool->pipe[1] > 0, may_splice);
    assert_int_equal(near.wakes, 2);
    assert_int_equal(near.last, LD_OK);
    close(in);
    close(out);
    ld_conn_finish(far.c);
    ld_conn_finish(to);
    peer_free(&near);
}

static void much_between_sockets_is_spliced(void **state)
{
    (void)state;
    relay_much(true);
}

static void nothing_is_spliced_where_that_could_raise_sigpipe(void **state)
{
    (void)state;
    relay_much(false);
}

/* What was in the pipe goes with the sink: no other may find it there. */
static void a_sink_that_fails_while_splicing_ends_the_relay(void **state)
{
    uint64_t written = 0, heard = 0;
    struct ld_conn *to;
    int in, out;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    to = relay_sockets(1 << 30, &in, &out);
    while (!splices()) {
        while (fill(in, &written, 1 << 30) > 0)
            ;
        ready(to);
        drain(out, &heard, 1 << 20);
    }
    assert_int_equal(ld_conn_unsent(to), 0);
    while (fill(in, &written, 1 << 30) > 0)
        ;
    close(out);
    ready(to);
    assert_int_equal(near.last, LD_RESET);
    assert_int_equal(to->doom, LD_RESET);
    assert_int_equal(rig.pool->pipe[1], 0);
    assert_int_equal(far.c->doom, LD_OK);
    close(in);
    far.c->reset = true; /* it has unread input, and would linger */
    ld_conn_finish(far.c);
    ld_conn_finish(to);
    peer_free(&near);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, relay_set_up, rig_tear_down)
        T(a_relay_moves_so_many_bytes_and_no_more),
        T(each_piece_is_one_read_and_one_write),
        T(what_is_buffered_is_relayed_at_once),
        T(a_relay_to_itself_echoes),
        T(a_full_sink_holds_the_source),
        T(the_output_limit_of_the_sink_is_kept),
        T(an_end_inside_is_truncated),
        T(the_end_of_the_sink_ends_the_relay),
        T(a_sink_that_is_finished_ends_the_relay),
        T(a_sink_that_goes_on_after_its_end_ends_the_relay),
        T(what_others_wrote_holds_a_relay),
        T(a_sink_that_fails_while_full_ends_the_relay),
        T(a_sink_that_fails_at_the_write_ends_the_relay),
        T(a_held_source_that_ends_is_not_told_of_room),
        T(a_sink_that_was_shut_takes_nothing),
        T(what_a_coroutine_wrote_goes_first),
        T(much_between_sockets_is_spliced),
        T(nothing_is_spliced_where_that_could_raise_sigpipe),
        T(a_sink_that_fails_while_splicing_ends_the_relay),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
