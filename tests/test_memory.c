/* test_memory.c -- the transport of tests behaves as a socket would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"

static const struct ld_transport *const t = &ld_memory_transport;

static void input_comes_in_pieces_and_then_the_end(void **state)
{
    struct ld_chunks chunks = {0};
    struct ld_memory m;
    struct ld_link l = {t, &m, -1};
    char bytes[4];
    size_t got = 0;

    (void)state;
    ld_memory_init(&m, &chunks);
    assert_int_equal(t->read(&l, bytes, 4, &got), LD_AGAIN);
    assert_false(t->pending(&l));
    assert_int_equal(ld_chain_write(&m.input, "abcde", 5), LD_OK);
    m.end = LD_EOF;
    assert_true(t->pending(&l));
    assert_int_equal(t->read(&l, bytes, 4, &got), LD_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(bytes, "abcd", 4);
    assert_int_equal(t->read(&l, bytes, 4, &got), LD_OK);
    assert_int_equal(got, 1);
    assert_int_equal(t->read(&l, bytes, 4, &got), LD_EOF);
    m.end = LD_RESET;
    assert_int_equal(t->read(&l, bytes, 4, &got), LD_RESET);
    ld_memory_clear(&m);
    ld_chunks_free(&chunks);
}

static void output_is_taken_as_far_as_there_is_room(void **state)
{
    struct ld_chunks chunks = {0};
    struct ld_memory m;
    struct ld_link l = {t, &m, -1};
    struct iovec iov[2] = {{"abc", 3}, {"defg", 4}};
    char bytes[8] = "";
    size_t put = 0;

    (void)state;
    ld_memory_init(&m, &chunks);
    m.room = 5;
    assert_int_equal(t->writev(&l, iov, 2, &put), LD_OK);
    assert_int_equal(put, 5);
    assert_int_equal(t->writev(&l, iov, 2, &put), LD_AGAIN);
    ld_chain_copy(&m.output, 0, 5, (uint8_t *)bytes);
    assert_string_equal(bytes, "abcde");
    m.end = LD_EOF; /* the peer's end says nothing about ours */
    m.room = 9;
    assert_int_equal(t->writev(&l, iov, 1, &put), LD_OK);
    m.end = LD_RESET;
    assert_int_equal(t->writev(&l, iov, 1, &put), LD_RESET);
    assert_int_equal(t->shutdown(&l), LD_OK);
    assert_true(m.shut);
    t->close(&l, true);
    assert_true(m.closed && m.was_reset);
    ld_memory_clear(&m);
    ld_chunks_free(&chunks);
}

/* As of a network that cuts, and a kernel that takes little at a time. */
static void one_read_and_one_write_move_at_most_so_much(void **state)
{
    struct ld_chunks chunks = {0};
    struct ld_memory m;
    struct ld_link l = {t, &m, -1};
    struct iovec iov[2] = {{"abc", 3}, {"defg", 4}};
    char bytes[8] = "";
    size_t n = 0;

    (void)state;
    ld_memory_init(&m, &chunks);
    m.read_max = 2;
    m.write_max = 4;
    assert_int_equal(ld_chain_write(&m.input, "xyz", 3), LD_OK);
    assert_int_equal(t->read(&l, bytes, 8, &n), LD_OK);
    assert_int_equal(n, 2);
    assert_int_equal(t->read(&l, bytes, 8, &n), LD_OK);
    assert_int_equal(n, 1);
    assert_int_equal(t->writev(&l, iov, 2, &n), LD_OK);
    assert_int_equal(n, 4);
    assert_int_equal(t->writev(&l, iov, 2, &n), LD_OK);
    assert_int_equal(n, 4);
    m.room = 3;
    assert_int_equal(t->writev(&l, iov, 2, &n), LD_OK);
    assert_int_equal(n, 3);
    assert_int_equal(m.output.bytes, 11);
    ld_memory_clear(&m);
    ld_chunks_free(&chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_comes_in_pieces_and_then_the_end),
        cmocka_unit_test(output_is_taken_as_far_as_there_is_room),
        cmocka_unit_test(one_read_and_one_write_move_at_most_so_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
