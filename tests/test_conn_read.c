/* test_conn_read.c -- reads, and how they go on when their bytes arrive. */
#include "conn_parts.h"
#include "support_peer.h"

static struct peer peer;

/* A handler that reads in a loop: READ begins a read, GOT is told of its
 * outcome.  An end is answered by its name. */
struct reader {
    enum ld_status (*read)(struct peer *p);
    void (*got)(struct peer *p);
    uint32_t n;
    struct ld_format *format;
    struct ld_chain into;
};

static struct reader reader;

static bool loop(struct peer *p, enum ld_status st)
{
    if (p->wakes == 1)
        st = reader.read(p);
    for (; st == LD_OK; st = reader.read(p))
        reader.got(p);
    if (st == LD_AGAIN)
        return true;
    conn_say(p->c, ld_strstatus(st));
    return false;
}

static void nothing(struct peer *p)
{
    p->step++;
}

static void say_result(struct peer *p)
{
    conn_say(p->c, result_text(&rig, 0));
    conn_say(p->c, ";");
}

static enum ld_status read_frame(struct peer *p)
{
    return ld_conn_unpack(p->c, reader.format, LD_OPENS);
}

static void open_frames(const char *format)
{
    reader = (struct reader){.read = read_frame, .got = say_result};
    reader.format = format_new(format);
    peer_open(&peer, &rig, loop, NULL);
}

static void close_frames(void)
{
    peer_free(&peer);
    ld_format_free(reader.format);
}

static void a_frame_wakes_its_reader_once_however_it_is_cut(void **state)
{
    static const char bytes[] = "\0\003abc\0\0\0\001z";

    (void)state;
    for (size_t cut = 0; cut < sizeof(bytes); cut++) {
        open_frames(">s2");
        peer_feed(&peer, bytes, cut);
        peer_feed(&peer, bytes + cut, sizeof(bytes) - 1 - cut);
        peer_end(&peer, LD_EOF);
        assert_string_equal(peer_heard(&peer), "abc;;z;eof");
        close_frames();
    }
    open_frames(">s2");
    for (size_t i = 0; i < sizeof(bytes) - 1; i++)
        peer_feed(&peer, bytes + i, 1);
    assert_int_equal(peer.wakes, 4); /* the start, and each frame */
    close_frames();
}

static void the_fast_path_of_a_running_reader_gives_the_same(void **state)
{
    struct ld_format *f = format_new(">s2");
    struct ld_conn *c;

    (void)state;
    reader = (struct reader){.read = read_frame, .got = say_result};
    reader.format = f;
    peer_open(&peer, &rig, loop, NULL);
    c = peer.c;
    peer_feed(&peer, "\0\003a", 3);
    ld_conn_drop_wait(c);
    ld_pool_run(rig.pool, c, false);
    assert_int_equal(ld_conn_unpack_running(c, f, LD_OPENS), LD_AGAIN);
    assert_int_equal(c->wait, LD_WAIT_FRAME);
    ld_pool_run(rig.pool, NULL, false);
    peer_feed(&peer, "bc\0\001", 4);
    assert_string_equal(peer_heard(&peer), "abc;");
    ld_conn_drop_wait(c);
    ld_pool_run(rig.pool, c, false);
    assert_int_equal(ld_conn_unpack_running(c, f, LD_NOWAIT), LD_AGAIN);
    assert_int_equal(c->wait, LD_WAIT_NONE);
    assert_int_equal(rig.pool->result->need, 1);
    assert_int_equal(ld_conn_unpack_running(c, f, 0), LD_AGAIN);
    ld_pool_run(rig.pool, NULL, false);
    peer_feed(&peer, "d", 1);
    assert_string_equal(peer_heard(&peer), "d;");
    close_frames();
}

static void an_end_inside_a_frame_is_truncated_and_says_where(void **state)
{
    (void)state;
    open_frames(">s2");
    peer_feed(&peer, "\0\003ab", 4);
    peer_end(&peer, LD_EOF);
    assert_int_equal(peer.last, LD_TRUNCATED);
    assert_int_equal(rig.pool->result->size, 4);
    assert_string_equal(peer_heard(&peer), "truncated");
    close_frames();
}

static void a_frame_over_its_limit_is_refused_before_its_bytes_come(void **s)
{
    (void)s;
    open_frames(">s4");
    peer_feed(&peer, "\177\0\0\0", 4);
    assert_int_equal(peer.last, LD_LIMIT);
    close_frames();
}

/* Reads on, whatever it is told. */
static bool stubborn(struct peer *p, enum ld_status st)
{
    (void)st;
    while (ld_conn_read(p->c, 1, LD_OPENS) != LD_AGAIN)
        assert_true(p->step++ < 10);
    return true;
}

static void a_handler_that_ignores_the_end_is_abandoned(void **state)
{
    (void)state;
    peer_open(&peer, &rig, stubborn, NULL);
    peer_end(&peer, LD_EOF);
    assert_int_equal(peer.last, LD_EOF);
    assert_in_range(peer.step, 1, 3); /* told a few times, no more */
    assert_int_equal(peer.closes, 1);
    peer_free(&peer);
}

static enum ld_status read_block(struct peer *p)
{
    return ld_conn_read(p->c, reader.n, LD_OPENS);
}

static void open_blocks(uint32_t n)
{
    reader = (struct reader){.read = read_block, .got = nothing, .n = n};
    peer_open(&peer, &rig, loop, NULL);
}

static void a_large_frame_gets_a_buffer_of_just_its_size(void **state)
{
    static uint8_t bytes[60000];
    uint32_t n = sizeof(bytes);

    (void)state;
    open_blocks(n);
    peer_feed(&peer, bytes, 100);
    assert_int_equal(peer.c->in->size, n);
    assert_ptr_not_equal(peer.c->in, rig.pool->read_blob);
    for (size_t at = 100; at < n; at += 5990)
        peer_feed(&peer, bytes + at, 5990);
    assert_int_equal(peer.wakes, 2);
    assert_int_equal(peer.step, 1);
    assert_null(peer.c->in);
    peer_free(&peer);
}

static struct ld_blob *kept;
static const uint8_t *kept_at;

/* Keeps its first frame, as slice:keep() does. */
static void keep(struct peer *p)
{
    if (p->step++ > 0)
        return;
    assert_ptr_not_equal(p->c->in, rig.pool->read_blob);
    kept = ld_blob_ref(p->c->in);
    kept_at = rig.pool->result->frame;
}

static void bytes_that_are_shared_are_not_read_over(void **state)
{
    static char a[10001], b[9000];

    (void)state;
    memset(a, 'a', 10000);
    a[10000] = '\n';
    memset(b, 'b', sizeof(b));
    reader = (struct reader){.read = read_frame, .got = keep};
    reader.format = format_new("t'\n'");
    peer_open(&peer, &rig, loop, NULL);
    peer_feed(&peer, a, 9999); /* the buffer grows to find the line's end */
    assert_int_equal(ld_chain_write(&peer.memory.input, a + 9999, 2), LD_OK);
    peer_feed(&peer, b, sizeof(b));
    assert_int_equal(peer.step, 1);
    for (int i = 0; i < 9; i++)
        peer_feed(&peer, b, 1000);
    assert_memory_equal(kept_at, a, 10000);
    peer_say(&peer, "\n");
    assert_int_equal(peer.step, 2);
    assert_memory_equal(kept_at, a, 10000);
    ld_blob_unref(kept);
    close_frames();
}

static void a_read_over_the_frame_limit_is_refused_at_once(void **state)
{
    (void)state;
    open_blocks(rig.profile.frame_limit + 1);
    assert_string_equal(peer_heard(&peer), "limit");
    peer_free(&peer);
    open_blocks(rig.profile.frame_limit);
    assert_int_equal(peer.c->wait, LD_WAIT_BYTES);
    peer_free(&peer);
}

static enum ld_status read_some(struct peer *p)
{
    return ld_conn_some(p->c, reader.n, LD_OPENS);
}

static void some_takes_what_is_there_up_to_its_maximum(void **state)
{
    (void)state;
    reader = (struct reader){.read = read_some, .got = say_result, .n = 3};
    peer_open(&peer, &rig, loop, NULL);
    peer_say(&peer, "ab");
    peer_say(&peer, "cdefg");
    assert_string_equal(peer_heard(&peer), "ab;cde;fg;");
    peer_free(&peer);
}

/* A read of two bytes, after a look at them and a try for more. */
static bool looker(struct peer *p, enum ld_status st)
{
    struct ld_conn *c = p->c;
    uint32_t view;

    if (p->wakes == 1) {
        assert_int_equal(ld_conn_read(c, 2, LD_NOWAIT), LD_AGAIN);
        assert_int_equal(rig.pool->result->need, 2);
        assert_int_equal(c->wait, LD_WAIT_NONE);
        return ld_conn_read(c, 2, LD_OPENS | LD_KEEP) == LD_AGAIN;
    }
    assert_int_equal(st, LD_OK);
    assert_string_equal(result_text(&rig, 0), "ab");
    assert_int_equal(ld_conn_unread(c), 3);
    view = rig.pool->result->view;
    assert_int_equal(view, c->view);
    assert_int_equal(ld_conn_read(c, 2, 0), LD_OK);
    assert_string_equal(result_text(&rig, 0), "ab");
    assert_int_not_equal(c->view, view);
    assert_int_equal(ld_conn_read(c, 4, LD_NOWAIT), LD_AGAIN);
    assert_int_equal(rig.pool->result->need, 3);
    assert_int_equal(ld_conn_unread(c), 1);
    return false;
}

static void a_look_consumes_nothing_and_a_try_waits_for_nothing(void **state)
{
    (void)state;
    peer_open(&peer, &rig, looker, NULL);
    peer_say(&peer, "abc");
    assert_int_equal(peer.wakes, 2);
    peer_free(&peer);
}

static enum ld_status read_piece(struct peer *p)
{
    return ld_conn_piece(p->c, (const uint8_t *)"\r\n--", 4, 0);
}

static void say_piece(struct peer *p)
{
    conn_say(p->c, result_text(&rig, 0));
    if (rig.pool->result->values[1].n == 1)
        conn_say(p->c, "<>");
}

static void pieces_find_the_delimiter_at_every_split(void **state)
{
    static const char text[] = "ab\r\n-\r\r\n--c\r\n--\r\n--d\r\n-";
    size_t n = sizeof(text) - 1;

    (void)state;
    reader = (struct reader){.read = read_piece, .got = say_piece};
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = i; j <= n; j++) {
            peer_open(&peer, &rig, loop, NULL);
            peer_feed(&peer, text, i);
            peer_feed(&peer, text + i, j - i);
            peer_feed(&peer, text + j, n - j);
            peer_end(&peer, LD_EOF);
            assert_string_equal(peer_heard(&peer),
                                "ab\r\n-\r<>c<><>dtruncated");
            peer_free(&peer);
        }
    }
}

static void a_body_of_any_size_passes_through_little_memory(void **state)
{
    static uint8_t bytes[1 << 16];

    (void)state;
    reader = (struct reader){.read = read_piece, .got = nothing};
    peer_open(&peer, &rig, loop, NULL);
    for (int i = 0; i < 100; i++) {
        peer_feed(&peer, bytes, sizeof(bytes));
        assert_in_range(ld_conn_unread(peer.c), 0, 3);
    }
    assert_in_range(peer.c->in->size, 0, 4096);
    peer_free(&peer);
}

static bool skipper(struct peer *p, enum ld_status st)
{
    if (p->wakes == 1)
        return ld_conn_skip(p->c, 1000000) == LD_AGAIN;
    assert_int_equal(st, LD_OK);
    assert_int_equal(ld_conn_read(p->c, 3, 0), LD_OK);
    conn_say(p->c, result_text(&rig, 0));
    return false;
}

static void skipped_bytes_are_dropped_as_they_come(void **state)
{
    static uint8_t bytes[999990];

    (void)state;
    peer_open(&peer, &rig, skipper, NULL);
    peer_feed(&peer, bytes, sizeof(bytes));
    assert_int_equal(peer.wakes, 1);
    assert_null(peer.c->in);
    peer_say(&peer, "0123456789abc");
    assert_string_equal(peer_heard(&peer), "abc");
    peer_free(&peer);
}

static bool filler(struct peer *p, enum ld_status st)
{
    if (p->wakes == 1)
        return ld_conn_fill(p->c, &reader.into, reader.n) == LD_AGAIN;
    if (p->step++ == 0) {
        conn_say(p->c, ld_strstatus(st));
        if (!st)
            st = ld_conn_read(p->c, 1, 0);
    }
    if (st == LD_OK)
        conn_say(p->c, result_text(&rig, 0));
    return st == LD_AGAIN;
}

static void a_body_moves_into_a_buffer_and_what_follows_does_not(void **state)
{
    static uint8_t bytes[500001], copy[500000];
    static const size_t firsts[] = {1, 5000, 70000, 499999, 500001};

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31 + i / 256);
    bytes[500000] = 'z';
    for (int i = 0; i < 5; i++) {
        reader = (struct reader){.n = 500000};
        ld_chain_init(&reader.into, &rig.pool->chunks);
        peer_open(&peer, &rig, filler, NULL);
        peer_feed(&peer, bytes, firsts[i]);
        peer_feed(&peer, bytes + firsts[i], sizeof(bytes) - firsts[i]);
        assert_string_equal(peer_heard(&peer), "okz");
        assert_int_equal(reader.into.bytes, 500000);
        ld_chain_copy(&reader.into, 0, 500000, copy);
        assert_memory_equal(copy, bytes, 500000);
        assert_in_range(reader.into.count, 1, 40);
        peer_free(&peer);
        ld_chain_clear(&reader.into);
    }
}

static void a_body_that_ends_early_is_truncated(void **state)
{
    (void)state;
    reader = (struct reader){.n = 100000};
    ld_chain_init(&reader.into, &rig.pool->chunks);
    peer_open(&peer, &rig, filler, NULL);
    peer_say(&peer, "some");
    peer_end(&peer, LD_EOF);
    assert_string_equal(peer_heard(&peer), "truncated");
    assert_int_equal(reader.into.bytes, 4);
    peer_free(&peer);
    ld_chain_clear(&reader.into);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_wakes_its_reader_once_however_it_is_cut),
        cmocka_unit_test(the_fast_path_of_a_running_reader_gives_the_same),
        cmocka_unit_test(an_end_inside_a_frame_is_truncated_and_says_where),
        cmocka_unit_test(
            a_frame_over_its_limit_is_refused_before_its_bytes_come),
        cmocka_unit_test(a_handler_that_ignores_the_end_is_abandoned),
        cmocka_unit_test(a_large_frame_gets_a_buffer_of_just_its_size),
        cmocka_unit_test(bytes_that_are_shared_are_not_read_over),
        cmocka_unit_test(a_read_over_the_frame_limit_is_refused_at_once),
        cmocka_unit_test(some_takes_what_is_there_up_to_its_maximum),
        cmocka_unit_test(a_look_consumes_nothing_and_a_try_waits_for_nothing),
        cmocka_unit_test(pieces_find_the_delimiter_at_every_split),
        cmocka_unit_test(a_body_of_any_size_passes_through_little_memory),
        cmocka_unit_test(skipped_bytes_are_dropped_as_they_come),
        cmocka_unit_test(a_body_moves_into_a_buffer_and_what_follows_does_not),
        cmocka_unit_test(a_body_that_ends_early_is_truncated),
    };

    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
