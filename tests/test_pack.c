/* test_pack.c -- what packing writes, and what it refuses. */
#include "pack.h"
#include "unpack_help.h"

#define NUM(x)                          \
    {                                   \
        .kind = LD_ARG_NUMBER, .n = (x) \
    }
#define I64(x)                         \
    {                                  \
        .kind = LD_ARG_INT64, .i = (x) \
    }
#define U64(x)                          \
    {                                   \
        .kind = LD_ARG_UINT64, .u = (x) \
    }
#define STR(x)                                                                \
    {                                                                         \
        .kind = LD_ARG_BYTES, .len = sizeof(x) - 1, .p = (const uint8_t *)(x) \
    }
#define SHARED(x)                                                              \
    {                                                                          \
        .kind = LD_ARG_SHARED, .len = sizeof(x) - 1, .p = (const uint8_t *)(x) \
    }
#define COUNT(x)                       \
    {                                  \
        .kind = LD_ARG_COUNT, .n = (x) \
    }
#define GROUP(x)                         \
    {                                    \
        .kind = LD_ARG_GROUP, .len = (x) \
    }
#define NIL                \
    {                      \
        .kind = LD_ARG_NIL \
    }
#define ARGS(...)                         \
    (const struct ld_arg[]){__VA_ARGS__}, \
        sizeof((const struct ld_arg[]){__VA_ARGS__}) / sizeof(struct ld_arg)

static uint8_t frame[4096];
static struct ld_packed out;

static enum ld_status pack(const char *src, const struct ld_arg *args,
                           size_t count)
{
    struct ld_format *f = compile(src);
    size_t bound = ld_pack_bound(f, args, (uint32_t)count);
    enum ld_status st;

    assert_true(bound < sizeof(frame));
    memset(frame, 0x5a, sizeof(frame));
    st = ld_pack(f, args, (uint32_t)count, frame, &out);
    assert_true(out.size <= bound);
    assert_int_equal(frame[bound], 0x5a);
    ld_format_free(f);
    return st;
}

static void check(const char *src, const char *expected, size_t n,
                  const struct ld_arg *args, size_t count)
{
    enum ld_status st = pack(src, args, count);

    if (st || out.size != n || memcmp(frame, expected, n) != 0)
        fail_msg("%s: %s at arg %u, %zu bytes", src, ld_strstatus(st), out.arg,
                 out.size);
}

#define CHECK(src, expected, ...) \
    check(src, expected, sizeof(expected) - 1, ARGS(__VA_ARGS__))

static void check_error(const char *src, enum ld_status expected, uint32_t arg,
                        const struct ld_arg *args, size_t count)
{
    enum ld_status st = pack(src, args, count);

    if (st != expected || out.arg != arg)
        fail_msg("%s: %s at arg %u", src, ld_strstatus(st), out.arg);
}

#define CHECK_ERROR(src, st, arg, ...) \
    check_error(src, st, arg, ARGS(__VA_ARGS__))

static void numbers_are_written_in_the_order_that_was_chosen(void **state)
{
    (void)state;
    CHECK(">u2u6 I3 I3 B <I4", "\x43\0\0\1\0\0\x20\x08\1\0\0\0", NUM(1), NUM(3),
          NUM(1), NUM(32), NUM(8), NUM(1));
    CHECK("<u4u12", "\x12\x34", NUM(2), NUM(833));
    CHECK("bB<h>H", "\x80\xff\xff\xff\1\2", NUM(-128), NUM(255), NUM(-1),
          NUM(258));
    CHECK(">j<J", "\x80\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
          I64(INT64_MIN), U64(UINT64_MAX));
    CHECK(">f<d", "\x3f\xc0\0\0\0\0\0\0\0\0\xf8\x3f", NUM(1.5), NUM(1.5));
    CHECK("vVmq", "\x80\1\1\xff\x7f\x40\x40", NUM(128), NUM(-1), NUM(16383),
          NUM(64));
    CHECK("D'\r\n' D' '", "-12\r\n0 ", NUM(-12), NUM(-0.0));
}

static void a_number_that_does_not_fit_is_out_of_range(void **state)
{
    (void)state;
    CHECK_ERROR("B", LD_RANGE, 0, NUM(256));
    CHECK_ERROR("B", LD_RANGE, 0, NUM(-1));
    CHECK_ERROR("B b", LD_RANGE, 1, NUM(1), NUM(-129));
    CHECK_ERROR("b", LD_RANGE, 0, NUM(128));
    CHECK_ERROR("B", LD_RANGE, 0, NUM(1.5));
    CHECK_ERROR("B", LD_RANGE, 0, NUM(0.0 / 0.0));
    CHECK_ERROR(">L", LD_RANGE, 0, NUM(0x1p54));
    CHECK_ERROR(">j", LD_RANGE, 0, U64(UINT64_MAX));
    CHECK_ERROR(">J", LD_RANGE, 0, I64(-1));
    CHECK_ERROR(">u3u5", LD_RANGE, 0, NUM(8), NUM(0));
    CHECK_ERROR(">k3u5", LD_RANGE, 0, NUM(4), NUM(0));
    CHECK_ERROR("v", LD_RANGE, 0, NUM(-1));
    CHECK_ERROR("m", LD_RANGE, 0, NUM(1 << 28));
    CHECK_ERROR("q", LD_RANGE, 0, U64(UINT64_C(1) << 62));
    CHECK_ERROR("D' '", LD_RANGE, 0, U64(UINT64_MAX));
    CHECK_ERROR("D' '{2}", LD_LIMIT, 0, NUM(100));
}

static void strings_get_their_prefix_or_delimiter(void **state)
{
    (void)state;
    CHECK(">s1 s2 <s4", "\1a\0\1b\1\0\0\0c", STR("a"), STR("b"), STR("c"));
    CHECK("sv sm sq sD':'", "\1a\1b\1c1:d", STR("a"), STR("b"), STR("c"),
          STR("d"));
    CHECK("z y t'--'", "a\0b\nc-d--", STR("a"), STR("b"), STR("c-d"));
    CHECK("c4 c0", "ab\0\0", STR("ab"), STR(""));
    CHECK("'LD' x2 B", "LD\0\0\1", NUM(1));
    CHECK("!4 B >I4", "\1\0\0\0\0\0\0\2", NUM(1), NUM(2));
}

static void a_string_that_cannot_be_read_back_is_refused(void **state)
{
    (void)state;
    CHECK_ERROR("s1{3}", LD_LIMIT, 0, STR("abcd"));
    CHECK_ERROR("z{3}", LD_LIMIT, 0, STR("abcd"));
    CHECK_ERROR("c3", LD_MISMATCH, 0, STR("abcd"));
    CHECK_ERROR("z", LD_MISMATCH, 0, STR("a\0b"));
    CHECK_ERROR("y", LD_MISMATCH, 0, STR("a\nb"));
    CHECK_ERROR("y", LD_MISMATCH, 0, STR("a\r"));
    CHECK_ERROR("t'--'", LD_MISMATCH, 0, STR("a-"));
    CHECK_ERROR("t'aab'", LD_MISMATCH, 0, STR("xaab"));
    CHECK("t'aab'", "aaab", STR("a"));
}

static void a_prefix_too_small_for_its_string_is_a_limit(void **state)
{
    static uint8_t bytes[300];
    struct ld_arg arg = {.kind = LD_ARG_SHARED, .len = 256, .p = bytes};

    (void)state;
    check_error("s1", LD_LIMIT, 0, &arg, 1);
    arg.len = 255;
    assert_int_equal(pack("s1", &arg, 1), LD_OK);
}

static void a_length_left_out_is_taken_from_its_bytes(void **state)
{
    (void)state;
    CHECK(">len:I2 k:B &c@len c(@k-1)", "\0\2\4abcde", NIL, NIL, STR("ab"),
          STR("cde"));
    CHECK("n:v @n*(B) B", "\2\5\6\7", NIL, COUNT(2), NUM(5), NUM(6), NUM(7));
    CHECK("n:B 2*(z) f:B ?f(B) c@n", "\2a\0b\0\1\7xy", NIL, COUNT(2), STR("a"),
          STR("b"), NUM(1), GROUP(1), NUM(7), STR("xy"));
    CHECK_ERROR("B", LD_MISMATCH, 0, NIL);
    CHECK_ERROR("f:B ?f(B)", LD_MISMATCH, 0, NIL, GROUP(1), NUM(1));
    CHECK_ERROR("n:B c@n", LD_MISMATCH, 0, NIL);
}

static void a_length_that_contradicts_its_bytes_is_out_of_range(void **state)
{
    (void)state;
    CHECK_ERROR("n:B c@n", LD_RANGE, 1, NUM(3), STR("ab"));
    CHECK_ERROR("n:B c(@n-4)", LD_RANGE, 1, NUM(3), STR(""));
    CHECK_ERROR("n:B @n*(B)", LD_RANGE, 1, NUM(3), COUNT(2));
    CHECK_ERROR("2*(B)", LD_RANGE, 0, COUNT(3));
    CHECK_ERROR("n:B @n*(B){2}", LD_LIMIT, 1, NUM(3), COUNT(3));
    CHECK_ERROR("n:B c@n{2}", LD_LIMIT, 1, NUM(3), STR("abc"));
    CHECK("n:B x@n B", "\2\0\0\7", NUM(2), NUM(7));
}

static void hidden_fields_are_zero_or_empty_and_take_no_argument(void **state)
{
    (void)state;
    CHECK(">_:I2 B _:s1 _:z _:y _:v _:D' ' _:c2 _:u4 u4",
          "\0\0\1\0\0\n\0"
          "0 \0\0\7",
          NUM(1), NUM(7));
    CHECK("n:B _:c@n", "\2\0\0", NUM(2));
}

static void groups_take_their_arguments_or_skip_them(void **state)
{
    (void)state;
    CHECK("f:B ?f(B B) B", "\1\2\3\4", NUM(1), GROUP(2), NUM(2), NUM(3),
          NUM(4));
    CHECK("f:B ?f(B B) B", "\0\4", NUM(0), GROUP(2), NUM(2), NUM(3), NUM(4));
    CHECK("f:B ?f=2(B) B", "\0\4", NUM(0), NIL, NUM(4));
    CHECK("2*(n:B @n*(B))", "\0\1\7", COUNT(2), NUM(0), COUNT(0), NUM(1),
          COUNT(1), NUM(7));
    CHECK_ERROR("f:B ?f(B)", LD_MISMATCH, 3, NUM(1), GROUP(2), NUM(1), NUM(2));
    CHECK_ERROR("f:B ?f(B)", LD_MISMATCH, 1, NUM(1), GROUP(9), NUM(1));
    CHECK_ERROR("f:B ?f(B)", LD_MISMATCH, 2, NUM(1), GROUP(0));
    CHECK_ERROR("f:B ?f(B) B", LD_MISMATCH, 3, NUM(1), GROUP(2), NUM(2),
                NUM(3));
}

static void missing_wrong_and_left_over_arguments_are_refused(void **state)
{
    (void)state;
    CHECK_ERROR("BB", LD_MISMATCH, 1, NUM(1));
    CHECK_ERROR("B", LD_MISMATCH, 1, NUM(1), NUM(2));
    CHECK_ERROR("B", LD_MISMATCH, 0, STR("1"));
    CHECK_ERROR("z", LD_MISMATCH, 0, NUM(1));
    CHECK_ERROR(">f", LD_MISMATCH, 0, STR("1"));
    CHECK_ERROR("2*(B)", LD_MISMATCH, 0, NUM(2));
    check_error("B", LD_MISMATCH, 0, NULL, 0);
    check("'only this'", "only this", 9, NULL, 0);
}

static void shared_bytes_are_left_out_and_their_place_noted(void **state)
{
    (void)state;
    CHECK(">s2 B c4 z", "\0\3\7\0\0\0", SHARED("abc"), NUM(7), SHARED("de"),
          SHARED("f"));
    assert_int_equal(out.shared_count, 3);
    assert_int_equal(out.shared[0].at, 2);
    assert_int_equal(out.shared[0].arg, 0);
    assert_int_equal(out.shared[1].at, 3);
    assert_int_equal(out.shared[2].at, 5);
    assert_int_equal(out.shared[2].arg, 3);
    CHECK("!4 c2 >I4", "\0\0\0\0\0\1", SHARED("ab"), NUM(1));
}

static void shared_bytes_beyond_the_places_are_copied(void **state)
{
    (void)state;
    CHECK("9*(c1)", "i", COUNT(9), SHARED("a"), SHARED("b"), SHARED("c"),
          SHARED("d"), SHARED("e"), SHARED("f"), SHARED("g"), SHARED("h"),
          SHARED("i"));
    assert_int_equal(out.shared_count, LD_PACK_SHARED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_in_the_order_that_was_chosen),
        cmocka_unit_test(a_number_that_does_not_fit_is_out_of_range),
        cmocka_unit_test(strings_get_their_prefix_or_delimiter),
        cmocka_unit_test(a_string_that_cannot_be_read_back_is_refused),
        cmocka_unit_test(a_prefix_too_small_for_its_string_is_a_limit),
        cmocka_unit_test(a_length_left_out_is_taken_from_its_bytes),
        cmocka_unit_test(a_length_that_contradicts_its_bytes_is_out_of_range),
        cmocka_unit_test(hidden_fields_are_zero_or_empty_and_take_no_argument),
        cmocka_unit_test(groups_take_their_arguments_or_skip_them),
        cmocka_unit_test(missing_wrong_and_left_over_arguments_are_refused),
        cmocka_unit_test(shared_bytes_are_left_out_and_their_place_noted),
        cmocka_unit_test(shared_bytes_beyond_the_places_are_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
