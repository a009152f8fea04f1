/* test_chain.c -- a queue of bytes against a plain array of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chain.h"
#include "format.h"

enum { BIG = 1 << 22 };

/* A chain and the bytes that it should hold. */
struct pair {
    struct ld_chain q;
    uint8_t *bytes;
    size_t from, to; /* of `bytes` */
};

static struct ld_chunks chunks;

static void pair_init(struct pair *p)
{
    ld_chain_init(&p->q, &chunks);
    p->bytes = malloc(BIG);
    p->from = p->to = 0;
}

static void pair_free(struct pair *p)
{
    ld_chain_clear(&p->q);
    free(p->bytes);
}

static int no_chunks(void **state)
{
    (void)state;
    ld_chunks_free(&chunks);
    return 0;
}

static size_t count(const struct pair *p)
{
    return p->to - p->from;
}

/* What `room` promises: it lies in the last segment's blob, behind it. */
static void check_room(const struct ld_chain *q)
{
    const struct ld_segment *s;

    if (q->room == 0)
        return;
    assert_true(q->count > 0);
    s = &q->segments[q->head + q->count - 1];
    assert_true(s->off + s->len + q->room <= s->blob->size);
}

static void check(const struct pair *p)
{
    struct iovec iov[8];
    size_t n = count(p), at = 0, total = 0;
    uint8_t *copy = malloc(n + 1);
    int vectors;

    check_room(&p->q);
    assert_int_equal(p->q.bytes, n);
    ld_chain_copy(&p->q, 0, n, copy);
    assert_memory_equal(copy, p->bytes + p->from, n);
    for (uint32_t i = 0; i < p->q.count; i++)
        total += p->q.segments[p->q.head + i].len;
    assert_int_equal(total, n);
    vectors = ld_chain_iov(&p->q, iov, 8);
    assert_true(vectors <= 8);
    for (int i = 0; i < vectors; i++) {
        assert_memory_equal(iov[i].iov_base, p->bytes + p->from + at,
                            iov[i].iov_len);
        at += iov[i].iov_len;
    }
    free(copy);
}

static void write_random(struct pair *p, size_t n)
{
    uint8_t *at = p->bytes + p->to;

    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)rand();
    assert_int_equal(ld_chain_write(&p->q, at, n), LD_OK);
    p->to += n;
}

static void reserve_and_commit(struct pair *p, size_t n)
{
    uint8_t *at = p->bytes + p->to, *dst = ld_chain_reserve(&p->q, n + 1);

    assert_non_null(dst);
    for (size_t i = 0; i < n; i++)
        dst[i] = at[i] = (uint8_t)rand();
    ld_chain_commit(&p->q, n);
    p->to += n;
}

static void append_range(struct pair *p, const struct pair *from)
{
    size_t off = (size_t)rand() % (count(from) + 1);
    size_t len = (size_t)rand() % (count(from) - off + 1);

    if (p->to + len > BIG)
        return;
    assert_int_equal(ld_chain_append_range(&p->q, &from->q, off, len), LD_OK);
    memcpy(p->bytes + p->to, from->bytes + from->from + off, len);
    p->to += len;
}

static void consume(struct pair *p, size_t n)
{
    ld_chain_consume(&p->q, n);
    p->from += n;
}

static size_t random_size(void)
{
    switch (rand() % 4) {
    case 0: return (size_t)rand() % 40000;
    case 1: return LD_SHARE_MIN - 1 + (size_t)rand() % 3;
    default: return (size_t)rand() % 100;
    }
}

/* One step on P; OTHER goes on living, and being written, beside it. */
static void step(struct pair *p, const struct pair *other)
{
    size_t n = random_size();

    if (p->to + n > BIG) {
        ld_chain_clear(&p->q);
        p->from = p->to = 0;
    }
    switch (rand() % 8) {
    case 0:
    case 1: write_random(p, n); break;
    case 2: reserve_and_commit(p, n); break;
    case 3:
    case 4: append_range(p, other); break;
    case 5:
        assert_non_null(ld_chain_flatten(&p->q));
        assert_true(p->q.count == 1);
        break;
    case 6: consume(p, count(p) ? (size_t)rand() % count(p) : 0); break;
    default:
        if (rand() % 8 == 0)
            consume(p, count(p));
    }
}

static void two_chains_that_share_bytes_stay_what_they_are(void **state)
{
    struct pair a, b;

    (void)state;
    srand(11);
    pair_init(&a);
    pair_init(&b);
    for (int i = 0; i < 4000; i++) {
        step(&a, &b);
        step(&b, &a);
        check(&a);
        check(&b);
    }
    pair_free(&a);
    pair_free(&b);
}

static void small_writes_share_a_chunk_and_large_ones_are_not_split(void **s)
{
    static uint8_t large[3 * LD_CHUNK_SIZE];
    struct ld_chain q;

    (void)s;
    ld_chain_init(&q, &chunks);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ld_chain_write(&q, "abcdefgh", 8), LD_OK);
    assert_int_equal(q.count, 1);
    assert_int_equal(q.room, LD_CHUNK_SIZE - 800);
    assert_int_equal(ld_chain_write(&q, large, sizeof(large)), LD_OK);
    assert_int_equal(q.count, 2);
    assert_int_equal(q.bytes, 800 + sizeof(large));
    ld_chain_clear(&q);
}

static void a_shared_blob_is_never_written_behind(void **state)
{
    struct ld_blob *b = ld_blob_new(100);
    struct ld_chain q;

    (void)state;
    memset(b->data, 'b', 100);
    ld_chain_init(&q, &chunks);
    assert_int_equal(ld_chain_write(&q, "x", 1), LD_OK);
    assert_int_equal(ld_chain_share(&q, b, 0, 50), LD_OK);
    assert_int_equal(b->refs, 2);
    assert_int_equal(q.room, 0);
    assert_int_equal(ld_chain_write(&q, "y", 1), LD_OK);
    assert_int_equal(b->data[50], 'b');
    assert_int_equal(ld_chain_share(&q, b, 0, 0), LD_OK);
    assert_int_equal(q.count, 3);
    ld_chain_clear(&q);
    assert_int_equal(b->refs, 1);
    ld_blob_unref(b);
}

static void a_chain_that_is_emptied_holds_no_memory(void **state)
{
    struct ld_chain q;

    (void)state;
    ld_chain_init(&q, &chunks);
    for (int i = 0; i < 20; i++) {
        struct ld_blob *b = ld_blob_new(10);

        assert_int_equal(ld_chain_share(&q, b, 0, 10), LD_OK);
        ld_blob_unref(b);
    }
    assert_true(q.segments != q.inlined);
    ld_chain_consume(&q, 195);
    assert_int_equal(q.count, 1);
    ld_chain_consume(&q, 5);
    assert_int_equal(q.count, 0);
    assert_int_equal(q.room, 0);
    assert_ptr_equal(q.segments, q.inlined);
}

static void an_emptied_chain_goes_on_with_memory_of_its_own(void **state)
{
    struct ld_chain q, other;
    struct ld_blob *kept;

    (void)state;
    ld_chain_init_small(&q, &chunks, 64);
    ld_chain_init(&other, &chunks);
    assert_int_equal(ld_chain_write(&q, "abc", 3), LD_OK);
    kept = q.segments[q.head].blob;
    ld_chain_empty(&q, 64, 1000);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(ld_chain_write(&q, "defg", 4), LD_OK);
    assert_ptr_equal(q.segments[q.head].blob, kept);

    /* Shared bytes stay what they are. */
    assert_int_equal(ld_chain_share(&other, kept, 0, 4), LD_OK);
    ld_chain_empty(&q, 64, 1000);
    assert_int_equal(ld_chain_write(&q, "wxyz", 4), LD_OK);
    assert_memory_equal(ld_chain_flatten(&other), "defg", 4);

    /* Several pieces make way for one of their size, up to the most. */
    for (int i = 0; i < 300; i++)
        assert_int_equal(ld_chain_write(&q, "0123456789", 10), LD_OK);
    ld_chain_empty(&q, 64, 1000);
    assert_int_equal(ld_chain_write(&q, "x", 1), LD_OK);
    assert_int_equal(q.segments[q.head].blob->size, 1000);
    ld_chain_clear(&q);
    ld_chain_clear(&other);
}

static void flattened_bytes_may_be_given_to_the_unpacker(void **state)
{
    volatile uint8_t sum = 0;
    struct ld_chain q;
    const uint8_t *p;

    (void)state;
    ld_chain_init(&q, &chunks);
    p = ld_chain_flatten(&q);
    assert_non_null(p);
    for (int i = 0; i < 3; i++) {
        struct ld_blob *b = ld_blob_new(5);

        memcpy(b->data, "hello", 5);
        assert_int_equal(ld_chain_share(&q, b, 0, 5), LD_OK);
        ld_blob_unref(b);
    }
    p = ld_chain_flatten(&q);
    assert_memory_equal(p, "hellohellohello", 15);
    for (int i = 0; i < LD_SLACK; i++)
        sum = (uint8_t)(sum + p[15 + i]); /* readable, whatever it is */
    assert_int_equal(q.bytes, 15);
    ld_chain_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_chains_that_share_bytes_stay_what_they_are),
        cmocka_unit_test(
            small_writes_share_a_chunk_and_large_ones_are_not_split),
        cmocka_unit_test(a_shared_blob_is_never_written_behind),
        cmocka_unit_test(a_chain_that_is_emptied_holds_no_memory),
        cmocka_unit_test(an_emptied_chain_goes_on_with_memory_of_its_own),
        cmocka_unit_test(flattened_bytes_may_be_given_to_the_unpacker),
    };

    return cmocka_run_group_tests(tests, NULL, no_chunks);
}
