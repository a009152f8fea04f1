/* test_conn_read.c -- reads, and how they go on when their bytes arrive. */
#include "support_peer.h"

static struct rig rig;
static struct peer peer;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_free(&rig);
    return 0;
}

/* Answers each frame of the format with its string, and the end by name. */
static bool frames(struct peer *p, enum ld_status st)
{
    for (;;) {
        if (p->step++ > 0 && st == LD_OK) {
            conn_say(p->c, result_text(&rig, 0));
            conn_say(p->c, ";");
        }
        if (st == LD_OK)
            st = ld_conn_unpack(p->c, p->data, LD_OPENS);
        if (st == LD_AGAIN)
            return true;
        if (st == LD_OK)
            continue;
        conn_say(p->c, ld_strstatus(st));
        return false;
    }
}

static void a_frame_wakes_its_reader_once_however_it_is_cut(void **state)
{
    static const char bytes[] = "\0\003abc\0\0\0\001z";
    struct ld_format *f = format_new(">s2");

    (void)state;
    for (size_t cut = 1; cut < sizeof(bytes) - 1; cut++) {
        peer_open(&peer, &rig, frames, f);
        peer_feed(&peer, bytes, cut);
        peer_feed(&peer, bytes + cut, sizeof(bytes) - 1 - cut);
        peer_end(&peer, LD_EOF);
        assert_string_equal(peer_heard(&peer), "abc;;z;eof");
        peer_free(&peer);
    }
    peer_open(&peer, &rig, frames, f);
    for (size_t i = 0; i < sizeof(bytes) - 1; i++)
        peer_feed(&peer, bytes + i, 1);
    assert_int_equal(peer.wakes, 4); /* the start, and each frame */
    peer_end(&peer, LD_EOF);
    assert_string_equal(peer_heard(&peer), "abc;;z;eof");
    peer_free(&peer);
    ld_format_free(f);
}

static void an_end_inside_a_frame_is_truncated_and_says_where(void **state)
{
    struct ld_format *f = format_new(">s2");

    (void)state;
    peer_open(&peer, &rig, frames, f);
    peer_feed(&peer, "\0\003ab", 4);
    peer_end(&peer, LD_EOF);
    assert_int_equal(peer.last, LD_TRUNCATED);
    assert_int_equal(rig.pool->result->size, 4);
    assert_string_equal(peer_heard(&peer), "truncated");
    peer_free(&peer);
    ld_format_free(f);
}

static void a_frame_over_its_limit_is_refused_before_its_bytes_come(void **s)
{
    struct ld_format *f = format_new(">s4");

    (void)s;
    peer_open(&peer, &rig, frames, f);
    peer_feed(&peer, "\177\0\0\0", 4);
    assert_int_equal(peer.last, LD_LIMIT);
    peer_free(&peer);
    ld_format_free(f);
}

/* Ignores the end for as long as it can. */
static bool stubborn(struct peer *p, enum ld_status st)
{
    struct ld_conn *c = p->c;

    (void)st;
    while (ld_conn_read(c, 1, LD_OPENS) != LD_AGAIN)
        p->step++;
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

/* Reads p->data bytes, counting, until the end. */
static bool blocks(struct peer *p, enum ld_status st)
{
    uint32_t n = *(uint32_t *)p->data;

    while (p->step++ == 0 || st == LD_OK) {
        st = ld_conn_read(p->c, n, LD_OPENS);
        if (st == LD_AGAIN)
            return true;
    }
    return false;
}

static void a_large_frame_gets_a_buffer_of_just_its_size(void **state)
{
    static uint8_t bytes[60000];
    uint32_t n = sizeof(bytes);

    (void)state;
    peer_open(&peer, &rig, blocks, &n);
    peer_feed(&peer, bytes, 100);
    assert_int_equal(peer.c->in->size, n);
    assert_ptr_not_equal(peer.c->in, rig.pool->read_blob);
    for (size_t at = 100; at < n; at += 5990)
        peer_feed(&peer, bytes + at, 5990);
    assert_int_equal(peer.wakes, 2);
    assert_null(peer.c->in);
    peer_free(&peer);
}

static void bytes_that_are_shared_are_not_read_over(void **state)
{
    static uint8_t bytes[2 * 40000];
    uint32_t n = 40000;
    struct ld_blob *kept;

    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    peer_open(&peer, &rig, blocks, &n);
    peer_feed(&peer, bytes, n - 1);
    kept = ld_blob_ref(peer.c->in); /* what a kept slice does */
    memset(bytes, 'b', sizeof(bytes));
    peer_feed(&peer, bytes, n + 1);
    for (uint32_t i = 0; i < n - 1; i++)
        assert_int_equal(kept->data[i], 'a');
    ld_blob_unref(kept);
    peer_free(&peer);
}

static bool some(struct peer *p, enum ld_status st)
{
    while (p->step++ == 0 || st == LD_OK) {
        if (p->step > 1)
            conn_say(p->c, result_text(&rig, 0));
        st = ld_conn_some(p->c, 3, LD_OPENS);
        if (st == LD_AGAIN)
            return true;
        conn_say(p->c, "|");
    }
    return false;
}

static void some_takes_what_is_there_up_to_its_maximum(void **state)
{
    (void)state;
    peer_open(&peer, &rig, some, NULL);
    peer_say(&peer, "ab");
    peer_say(&peer, "cdefghij");
    assert_string_equal(peer_heard(&peer), "abcde|f|g|hij" + 0);
    peer_free(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_wakes_its_reader_once_however_it_is_cut),
        cmocka_unit_test(an_end_inside_a_frame_is_truncated_and_says_where),
        cmocka_unit_test(
            a_frame_over_its_limit_is_refused_before_its_bytes_come),
        cmocka_unit_test(a_handler_that_ignores_the_end_is_abandoned),
        cmocka_unit_test(a_large_frame_gets_a_buffer_of_just_its_size),
        cmocka_unit_test(bytes_that_are_shared_are_not_read_over),
        cmocka_unit_test(some_takes_what_is_there_up_to_its_maximum),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
