/* test_blob.c -- reference counts, and chunks that are used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "blob.h"
#include "format.h"

static void a_blob_lives_until_its_last_reference_goes(void **state)
{
    struct ld_blob *b = ld_blob_new(100);

    (void)state;
    assert_int_equal(b->size, 100);
    ld_blob_ref(b);
    ld_blob_unref(b);
    memset(b->data, 'x', 100 + LD_SLACK); /* still there, slack and all */
    ld_blob_unref(b);
    ld_blob_unref(NULL);
}

static void a_size_that_no_blob_can_have_is_refused(void **state)
{
    (void)state;
    assert_null(ld_blob_new((size_t)INT32_MAX + 1));
    assert_null(ld_blob_new(SIZE_MAX));
}

static void a_chunk_that_is_given_back_is_given_out_again(void **state)
{
    struct ld_chunks chunks = {0};
    struct ld_blob *first = ld_chunk_new(&chunks);
    struct ld_blob *second;

    (void)state;
    assert_int_equal(first->size, LD_CHUNK_SIZE);
    ld_blob_unref(first);
    assert_int_equal(chunks.count, 1);
    second = ld_chunk_new(&chunks);
    assert_ptr_equal(second, first);
    assert_int_equal(second->refs, 1);
    assert_int_equal(chunks.count, 0);
    ld_blob_unref(second);
    ld_chunks_free(&chunks);
}

static void spare_chunks_are_bounded(void **state)
{
    enum { MANY = 200 };
    struct ld_chunks chunks = {0};
    struct ld_blob *taken[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        taken[i] = ld_chunk_new(&chunks);
    for (int i = 0; i < MANY; i++)
        ld_blob_unref(taken[i]);
    assert_in_range(chunks.count, 1, 64);
    ld_chunks_free(&chunks);
    assert_int_equal(chunks.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blob_lives_until_its_last_reference_goes),
        cmocka_unit_test(a_size_that_no_blob_can_have_is_refused),
        cmocka_unit_test(a_chunk_that_is_given_back_is_given_out_again),
        cmocka_unit_test(spare_chunks_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
