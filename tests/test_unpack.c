/* test_unpack.c -- every option of the language, at every split of its bytes.
 */
#include <stdlib.h>

#include "unpack_help.h"

enum { LIMIT = 1 << 16 };

/* Values as text: numbers by %.17g, 64-bit ones by %lld, bytes in quotes. */
static const char *show(const struct ld_format *f, const char *input,
                        const struct outcome *o)
{
    static char text[4096];
    const struct ld_field *fields;
    uint32_t count;
    uint32_t v = 0;
    uint32_t i = 0;
    size_t n = 0;

    fields = ld_format_fields(f, &count);
    text[0] = '\0';
    for (i = 0; i < count && v < o->p.count; i++) {
        const union ld_value *x = &o->values[v];

        if (fields[i].hidden)
            continue;
        v++;
        if (fields[i].kind == LD_FIELD_NUMBER)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%.17g ", x->n);
        else if (fields[i].kind == LD_FIELD_INT64)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%lldLL ",
                                  (long long)x->i);
        else if (fields[i].kind == LD_FIELD_UINT64)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%lluULL ",
                                  (unsigned long long)x->u);
        else
            n += (size_t)snprintf(text + n, sizeof(text) - n, "'%.*s' ",
                                  (int)x->s.len, input + x->s.off);
    }
    return text;
}

static void check(const char *src, const char *input, size_t n,
                  const char *expected)
{
    static struct outcome o;
    struct ld_format *f = compile(src);

    run_splits(f, input, n, LIMIT, &o);
    if (o.st != LD_OK || o.p.pos != n || strcmp(show(f, input, &o), expected))
        fail_msg("%s: %s at %u: %s", src, ld_strstatus(o.st), o.p.pos,
                 show(f, input, &o));
    ld_format_free(f);
}

#define CHECK(src, input, expected) \
    check(src, input, sizeof(input) - 1, expected)

static void check_error(const char *src, const char *input, size_t n,
                        size_t limit, enum ld_status st, uint32_t pos,
                        uint32_t field)
{
    static struct outcome o;
    struct ld_format *f = compile(src);

    run_splits(f, input, n, limit, &o);
    if (o.st != st || o.p.pos != pos || (st > LD_EOF && o.p.field != field))
        fail_msg("%s: %s at %u, field %u", src, ld_strstatus(o.st), o.p.pos,
                 o.p.field);
    ld_format_free(f);
}

#define CHECK_ERROR(src, input, limit, st, pos, field) \
    check_error(src, input, sizeof(input) - 1, limit, st, pos, field)

/* After INPUT, exactly NEED bytes are asked for. */
static void check_need(const char *src, const char *input, size_t n,
                       uint32_t need)
{
    static struct outcome o;
    struct ld_format *f = compile(src);

    run_splits(f, input, n, LIMIT, &o);
    if (o.st != LD_AGAIN || o.p.need != need)
        fail_msg("%s: %s, need %u", src, ld_strstatus(o.st), o.p.need);
    ld_format_free(f);
}

#define CHECK_NEED(src, input, need) \
    check_need(src, input, sizeof(input) - 1, need)

static void integers_of_every_size_are_read_in_both_orders(void **state)
{
    (void)state;
    CHECK("bB", "\x80\xff", "-128 255 ");
    CHECK(">bB", "\x80\xff", "-128 255 ");
    CHECK("<h>h<H>H", "\x01\x80\x80\x01\x01\x80\x80\x01",
          "-32767 -32767 32769 32769 ");
    CHECK("<i>i<I>I",
          "\xfe\xff\xff\xff\xff\xff\xff\xfe\xfe\xff\xff\xff"
          "\xff\xff\xff\xfe",
          "-2 -2 4294967294 4294967294 ");
    CHECK("<i3>i3<I3>I3", "\1\2\x83\x83\2\1\1\2\x83\x83\2\1",
          "-8191487 -8191487 8585729 8585729 ");
    CHECK("<I5>I5<i6>i6",
          "\1\0\0\0\2\2\0\0\0\1\xff\xff\xff\xff\xff\xff"
          "\xff\xff\xff\xff\xff\xfe",
          "8589934593 8589934593 -1 -2 ");
    CHECK("<I7>I7<i7",
          "\1\0\0\0\0\0\0\0\0\0\0\0\0\2\xff\xff\xff\xff\xff\xff"
          "\xff",
          "1 2 -1 ");
    CHECK("<l>L<T>T",
          "\xfe\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\7"
          "\7\0\0\0\0\0\0\0\0\x20\0\0\0\0\0\0",
          "-2 7 7 9007199254740992 ");
    CHECK("<j>j<J>J",
          "\xff\xff\xff\xff\xff\xff\xff\x7f\x80\0\0\0\0\0\0\0"
          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
          "9223372036854775807LL -9223372036854775808LL "
          "18446744073709551615ULL 18446744073709551614ULL ");
}

static void floats_are_read_in_both_orders(void **state)
{
    (void)state;
    CHECK("<f>f", "\0\0\xc0\x3f\xbf\xc0\0\0", "1.5 -1.5 ");
    CHECK("<d>d<n",
          "\0\0\0\0\0\0\xf8\x3f\xbf\xf8\0\0\0\0\0\0"
          "\0\0\0\0\0\0\xf0\x3f",
          "1.5 -1.5 1 ");
}

static void bit_groups_start_at_the_end_their_order_says(void **state)
{
    (void)state;
    CHECK(">u2u6", "\xc3", "3 3 ");
    CHECK("<u2u6", "\xc3", "3 48 ");
    CHECK(">u1 k3 u4 k8", "\xf7\x80", "1 -1 7 -128 ");
    CHECK(">u4 u12 u5 u3", "\x12\x34\xff", "1 564 31 7 ");
    CHECK("<u4 u12", "\x12\x34", "2 833 ");
    CHECK("<k4 k12 u56", "\x18\xff\1\0\0\0\0\0\0", "-8 -15 1 ");
    CHECK(">u3 u50 u3", "\x20\0\0\0\0\0\x0f", "1 1 7 ");
    CHECK(">_:u3 b:u5 I2", "\xff\1\2", "31 258 ");
    CHECK(">u8u8u8u8u8u8u8u8u8", "123456789", "49 50 51 52 53 54 55 56 57 ");
    CHECK(">u50u6", "\xff\xff\xff\xff\xff\xff\xff", "1125899906842623 63 ");
    CHECK(">u53u3", "\xff\xff\xff\xff\xff\xff\xff", "9007199254740991 7 ");
    CHECK("<u7u41", "\xff\xff\xff\xff\xff\xff", "127 2199023255551 ");
}

static void varints_are_read_up_to_their_largest(void **state)
{
    (void)state;
    CHECK("vvv", "\0\x7f\x80\1", "0 127 128 ");
    CHECK("v", "\x80\x80\x80\x80\x80\x80\x80\x10", "9007199254740992 ");
    CHECK("vJ vj",
          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"
          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
          "18446744073709551615ULL "
          "-1LL ");
    CHECK("VVV Vj", "\0\1\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
          "0 -1 1 -9223372036854775808LL ");
    CHECK("mm", "\xff\xff\xff\x7f\1", "268435455 1 ");
    CHECK("qqqq", "\x25\x7b\xbd\x9d\x7f\x3e\x7d\xc0\0\0\0\0\0\1\2",
          "37 15293 494878333 258 ");
    CHECK("qJ", "\xff\xff\xff\xff\xff\xff\xff\xff", "4611686018427387903ULL ");
}

static void a_varint_that_is_too_long_is_refused_at_once(void **state)
{
    (void)state;
    CHECK_ERROR("B v", "\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", LIMIT,
                LD_VARINT, 10, 1);
    CHECK_ERROR("vj", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\2", LIMIT,
                LD_VARINT, 9, 0);
    CHECK_ERROR("m", "\xff\xff\xff\x80", LIMIT, LD_VARINT, 3, 0);
    CHECK_ERROR("sm", "\xff\xff\xff\xff", LIMIT, LD_VARINT, 3, 0);
}

static void a_number_beyond_2_to_the_53_is_out_of_range(void **state)
{
    (void)state;
    CHECK_ERROR(">B L", "\0\0\x20\0\0\0\0\0\1", LIMIT, LD_RANGE, 1, 1);
    CHECK_ERROR("<l", "\xff\xff\xff\xff\xff\xff\xdf\xff", LIMIT, LD_RANGE, 0,
                0);
    CHECK_ERROR(">I7", "\x20\0\0\0\0\0\1", LIMIT, LD_RANGE, 0, 0);
    CHECK_ERROR("v", "\x81\x80\x80\x80\x80\x80\x80\x10", LIMIT, LD_RANGE, 0, 0);
    CHECK_ERROR("q", "\xe0\0\0\0\0\0\0\0", LIMIT, LD_RANGE, 0, 0);
    CHECK_ERROR("B D' '", "\0-9007199254740993 ", LIMIT, LD_RANGE, 1, 1);
    CHECK("D' '", "-9007199254740992 ", "-9007199254740992 ");
}

static void decimals_are_judged_digit_by_digit(void **state)
{
    (void)state;
    CHECK("D'\r\n'", "-120\r\n", "-120 ");
    CHECK("D'-' D'x'", "-5-00x", "-5 0 ");
    CHECK("D' ' sD':' y", "0 2:hi\n", "0 'hi' '' ");
    CHECK_ERROR("B D'\r\n'", "\0x", LIMIT, LD_MISMATCH, 1, 1);
    CHECK_ERROR("D'\r\n'", "-\r", LIMIT, LD_MISMATCH, 1, 0);
    CHECK_ERROR("D'\r\n'", "1-", LIMIT, LD_MISMATCH, 1, 0);
    CHECK_ERROR("D'\r\n'", "12\rx", LIMIT, LD_MISMATCH, 3, 0);
    CHECK_ERROR("D' '", "123456789012345678901", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR("D' '{2}", "-123", LIMIT, LD_LIMIT, 0, 0);
    CHECK("D' '{2}", "-12 ", "-12 ");
    CHECK_ERROR("sD' '", "-1 ", LIMIT, LD_RANGE, 0, 0);
    CHECK_ERROR("sD' '{5}", "6 ", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR("D' '", "", 1, LD_LIMIT, 0, 0);
}

static void strings_and_slices_know_where_they_are(void **state)
{
    (void)state;
    CHECK(">s1 s2 s3 <s4", "\1a\0\2bc\0\0\1d\1\0\0\0e", "'a' 'bc' 'd' 'e' ");
    CHECK(">&s", "\0\0\0\0\0\0\0\3abc", "'abc' ");
    CHECK("sv sm &sq", "\1a\2bc\x40\3def", "'a' 'bc' 'def' ");
    CHECK("z &z t'--' &t','", "ab\0\0c-d--e,", "'ab' '' 'c-d' 'e' ");
    CHECK("c3 &c0 c1", "abcd", "'abc' '' 'd' ");
    CHECK("t'aab'", "aaaab", "'aa' ");
    CHECK("t'abcdefgh' B", "abcdefgabcdefgh1", "'abcdefg' 49 ");
    CHECK("sv sm", "\x82\x80\0ab\x81\0c", "'ab' 'c' ");
}

static void a_line_loses_one_carriage_return(void **state)
{
    (void)state;
    CHECK("y y &y y", "ab\r\n\ncd\r\r\n\r\n", "'ab' '' 'cd\r' '' ");
    CHECK("y{2}", "ab\r\n", "'ab' ");
    CHECK_ERROR("y{2}", "abc", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR("y{2}", "ab\rc", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR("y", "abc", 3, LD_LIMIT, 0, 0);
    CHECK_ERROR("y", "ab\r", 3, LD_LIMIT, 0, 0);
}

static void a_literal_fails_at_its_first_wrong_byte(void **state)
{
    (void)state;
    CHECK("'LD' B", "LD\1", "1 ");
    CHECK("\"it's\"'\"'", "it's\"", "");
    CHECK("'a literal of many bytes' B", "a literal of many bytes!", "33 ");
    CHECK_ERROR("'LD' B", "X", LIMIT, LD_MISMATCH, 0, 0);
    CHECK_ERROR("B 'LD' B", "\0LX", LIMIT, LD_MISMATCH, 2, 1);
    CHECK_ERROR("B 'a literal of many'", "\0a l1", LIMIT, LD_MISMATCH, 4, 0);
}

static void limits_are_checked_before_waiting(void **state)
{
    (void)state;
    CHECK_ERROR(">s4", "\0\1\0\0", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR(">s2{4}", "\0\5", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR(">I4 I4", "", 7, LD_LIMIT, 0, 1);
    CHECK_ERROR(">B s2 I4", "\0\0\2", 8, LD_LIMIT, 1, 1);
    CHECK_ERROR("'abcd'", "", 3, LD_LIMIT, 0, 0);
    CHECK_ERROR("n:B c@n{3}", "\4", LIMIT, LD_LIMIT, 1, 1);
    CHECK_ERROR("n:B x@n{3}", "\4", LIMIT, LD_LIMIT, 1, 0);
    CHECK_ERROR("n:B c@n", "\4", 4, LD_LIMIT, 1, 1);
    CHECK_ERROR("z{3}", "abcd", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR("t'--'{3}", "abcd", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR("t'--'{3}", "abc-x", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR("t'--' B", "ab", 4, LD_LIMIT, 0, 0);
    CHECK_ERROR("v", "\x80", 1, LD_LIMIT, 0, 0);
    CHECK_ERROR("q", "\xc0", 7, LD_LIMIT, 0, 0);
    CHECK_ERROR("n:B @n*(>I4)", "\5", 20, LD_LIMIT, 1, 1);
    CHECK_ERROR("n:B @n*(B){4}", "\5", LIMIT, LD_LIMIT, 1, 1);
    CHECK_ERROR("n:v @n*(B)", "\x80\x20", LIMIT, LD_LIMIT, 2, 1);
    CHECK_ERROR("sv", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", LIMIT, LD_LIMIT,
                0, 0);
    CHECK("t'--'{3}", "abc--", "'abc' ");
    CHECK_ERROR(">s1{2}", "\3abc", LIMIT, LD_LIMIT, 0, 0);
    CHECK_ERROR(">I4 I4", "12345678", 7, LD_LIMIT, 0, 1);
}

static void need_is_the_next_place_where_something_happens(void **state)
{
    (void)state;
    CHECK_NEED(">I4 I4 z", "", 8);
    CHECK_NEED(">I4 'L'", "1234", 5);
    CHECK_NEED("'LMN'", "L", 2);
    CHECK_NEED(">B s2", "\0", 3);
    CHECK_NEED(">B s2", "\0\0\7", 10);
    CHECK_NEED("n:B B c@n", "\3\3", 5);
    CHECK_NEED("z", "abc", 4);
    CHECK_NEED("t'\r\n'", "abc", 5);
    CHECK_NEED("t'\r\n'", "abc\r", 5);
    CHECK_NEED("t'abcd'{5}", "123ab", 6);
    CHECK_NEED("t'abcd'{9}", "123ab", 7);
    CHECK_NEED("t'abcd'{5}", "123", 6);
    CHECK_NEED("v", "\x80", 2);
    CHECK_NEED("q", "\xc0", 8);
    CHECK_NEED("sq", "\x40", 2);
    CHECK_NEED("sD':'", "12:a", 15);
    CHECK_NEED("sm", "\x03", 4);
    CHECK_NEED("!4 z !4 >I4", "\0", 4);
}

static void alignment_counts_from_the_start_of_the_frame(void **state)
{
    (void)state;
    CHECK("!4 B >I4 B <I2", "\1pad\0\0\0\2\3p\4\0", "1 2 3 4 ");
    CHECK("! >B I8", "\1padpad_\0\0\0\0\0\0\0\2", "1 2 ");
    CHECK("!2 >B I8", "\1p\0\0\0\0\0\0\0\2", "1 2 ");
    CHECK(">B I2 !1 I2", "\1\0\2\0\3", "1 2 3 ");
    CHECK("!4 z >I4", "ab\0p\0\0\0\2", "'ab' 2 ");
    CHECK("!4 z >I4 I4", "abc\0\0\0\0\2\0\0\0\3", "'abc' 2 3 ");
    CHECK("!4 B Xi4 B", "\1pad\2", "1 2 ");
    CHECK("!4 z Xh B B", "\0p\2\3", "'' 2 3 ");
    CHECK("!4 B >s2", "\1p\0\1x", "1 'x' ");
    CHECK("XI4 B", "\1", "1 ");
}

static void pads_and_hidden_fields_produce_nothing(void **state)
{
    (void)state;
    CHECK("x B x3 B", "_\1___\2", "1 2 ");
    CHECK("n:B x@n B x(@n-1) B", "\2__\3_\4", "2 3 4 ");
    CHECK(">_:I8 B", "\xff\xff\xff\xff\xff\xff\xff\xff\1", "1 ");
    CHECK("_:z _:v _:s1 _:y B _:c2 _:D' '", "a\0\x80\1\1x\n\1ab12 ", "1 ");
    CHECK_ERROR("_:m", "\x80\x80\x80\x80", LIMIT, LD_VARINT, 3, 0);
}

static void lengths_come_from_earlier_fields(void **state)
{
    (void)state;
    CHECK(">len:I2 k:B &c@len c@k", "\0\3\1abcd", "3 1 'abc' 'd' ");
    CHECK(">len:I4 c(@len-4)", "\0\0\0\6ab", "6 'ab' ");
    CHECK("n:v c(@n+2)", "\1abc", "1 'abc' ");
    CHECK(">n:u4 u4 c@n", "\x20xy", "2 0 'xy' ");
    CHECK("n:D' ' c@n", "2 xy", "2 'xy' ");
    CHECK(">n:J c@n", "\0\0\0\0\0\0\0\2xy", "2ULL 'xy' ");
    CHECK_ERROR(">n:b c@n", "\xff", LIMIT, LD_RANGE, 1, 1);
    CHECK_ERROR(">n:I4 c(@n-4)", "\0\0\0\3", LIMIT, LD_RANGE, 4, 1);
    CHECK_ERROR(">n:j c@n", "\x7f\xff\xff\xff\xff\xff\xff\xff", LIMIT, LD_LIMIT,
                8, 1);
    CHECK_ERROR(">n:j @n*(B)", "\xff\xff\xff\xff\xff\xff\xff\xff", LIMIT,
                LD_RANGE, 8, 1);
    CHECK_ERROR(">n:j c(@n+1)", "\x7f\xff\xff\xff\xff\xff\xff\xff", LIMIT,
                LD_LIMIT, 8, 1);
}

static void check_flat(const char *src, const char *input, size_t n,
                       const double *expected, uint32_t count)
{
    static struct outcome o;
    struct ld_format *f = compile(src);
    uint32_t i;

    run_splits(f, input, n, LIMIT, &o);
    assert_int_equal(o.st, LD_OK);
    assert_int_equal(o.p.pos, n);
    assert_int_equal(o.p.count, count);
    for (i = 0; i < count; i++)
        if (o.values[i].n != expected[i])
            fail_msg("%s: value %u is %g", src, i, o.values[i].n);
    ld_format_free(f);
}

#define CHECK_FLAT(src, input, ...)                                    \
    check_flat(src, input, sizeof(input) - 1, (double[]){__VA_ARGS__}, \
               sizeof((double[]){__VA_ARGS__}) / sizeof(double))

static void repeats_nest_and_come_back(void **state)
{
    (void)state;
    CHECK_FLAT("3*(B)", "\1\2\3", 3, 1, 2, 3);
    CHECK_FLAT("n:B @n*(B) B", "\0\7", 0, 0, 7);
    CHECK_FLAT("n:B @n*(k:B @k*(B)) B", "\2\1\5\2\6\7\10", 2, 2, 1, 1, 5, 2, 2,
               6, 7, 8);
    CHECK_FLAT("2*(2*(2*(2*(B))))", "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20",
               2, 2, 2, 2, 1, 2, 2, 3, 4, 2, 2, 5, 6, 2, 7, 8, 2, 2, 2, 9, 10,
               2, 11, 12, 2, 2, 13, 14, 2, 15, 16);
    CHECK_FLAT("2*(v 'x' _:z)", "\1xab\0\2x\0", 2, 1, 2);
    CHECK_FLAT("!4 2*(>I2 B)", "\0\1\2p\0\3\4", 2, 1, 2, 3, 4);
}

static void conditionals_take_or_skip_their_group(void **state)
{
    (void)state;
    CHECK_FLAT("f:B ?f(B) B", "\0\7", 0, 0, 7);
    CHECK_FLAT("f:B ?f(B) B", "\2\7\10", 2, 1, 7, 8);
    CHECK_FLAT("f:B ?f=3(B) ?f=2(B B)", "\3\7", 3, 1, 7, 0);
    CHECK_FLAT("f:b ?f=-1(B)", "\xff\7", -1, 1, 7);
    CHECK_FLAT("f:B ?f&4(B) ?f&3(B)", "\4\7", 4, 1, 7, 0);
    CHECK_FLAT("f:B 2*(g:B ?g(?f(B)))", "\1\0\1\7", 1, 2, 0, 0, 1, 1, 1, 7);
    CHECK_FLAT("f:B ?f() B", "\1\7", 1, 1, 7);
    CHECK_FLAT("!4 f:B ?f(B B) >I4", "\0ppp\0\0\0\7", 0, 0, 7);
    CHECK_FLAT("!4 f:B ?f(B B) >I4", "\1\2\3p\0\0\0\7", 1, 1, 2, 3, 7);
}

/* Runs SRC over N bytes with room for exactly as many values as are allowed, so
 * that one more is an error of its own. */
static enum ld_status run_full(const char *src, const char *input, size_t n)
{
    union ld_value *values = malloc(LD_FORMAT_VALUES * sizeof(*values));
    struct ld_format *f = compile(src);
    struct ld_parse p;
    enum ld_status st;

    assert_non_null(values);
    memset(&p, 0, sizeof(p));
    st = ld_unpack(f, &p, place((const uint8_t *)input, 4093), 4093, LIMIT,
                   values);
    if (st == LD_AGAIN)
        st = ld_unpack(f, &p, place((const uint8_t *)input, n), n, LIMIT,
                       values);
    if (st == LD_OK)
        assert_true(p.count <= LD_FORMAT_VALUES);
    ld_format_free(f);
    free(values);
    return st;
}

static void no_frame_has_more_values_than_there_is_room(void **state)
{
    static char input[LD_FORMAT_VALUES * 4];

    (void)state;
    memset(input, 1, sizeof(input));
    memcpy(input, "\x0f\xfe", 2);
    assert_int_equal(run_full(">n:I2 @n*(B){9999}", input, 4096), LD_OK);
    memcpy(input, "\x0f\xff", 2);
    check_error(">n:I2 @n*(B){9999}", input, 2, LIMIT, LD_LIMIT, 2, 1);
    memcpy(input, "\x05\x54", 2);
    assert_int_equal(run_full(">n:I2 @n*(f:B ?f(B)){9999}", input, 4096),
                     LD_OK);
    memcpy(input, "\x05\x55", 2);
    assert_int_equal(run_full(">n:I2 @n*(f:B ?f(B)){9999}", input, 4096),
                     LD_LIMIT);
    memset(input, 0xff, sizeof(input));
    assert_int_equal(run_full(">4093*(B) B L", input, 5000), LD_RANGE);
}

static void values_of_a_format_without_groups_stand_in_field_order(void **st)
{
    (void)st;
    CHECK(">a:B _:B x 'l' <b:I2 c:&s1 _:z d:y e:v", "\1\2_l\3\0\1s\0line\n\5",
          "1 3 's' 'line' 5 ");
}

static void a_search_never_looks_at_bytes_twice(void **state)
{
    static struct outcome o;
    static uint8_t input[2000];
    struct ld_format *f = compile("t'\r\n\r\n'");
    size_t i;

    (void)state;
    memset(input, '\r', sizeof(input));
    begin(&o);
    for (i = 0; i <= sizeof(input); i++)
        give(&o, f, input, i, LIMIT);
    assert_int_equal(o.st, LD_AGAIN);
    assert_int_equal(o.p.scan, sizeof(input) - 3);
    assert_true(o.examined <= sizeof(input) + 3 * o.wakeups);
    ld_format_free(f);
}

static void a_suspended_first_run_saves_nothing(void **state)
{
    static struct outcome o;
    struct ld_format *f = compile(">u2u6 I3 I3 B <I4");
    struct ld_parse zero;
    size_t i;

    (void)state;
    memset(&zero, 0, sizeof(zero));
    zero.need = 12;
    for (i = 0; i < 12; i++) {
        begin(&o);
        give(&o, f, (const uint8_t *)"123456789012", i, LIMIT);
        assert_int_equal(o.st, LD_AGAIN);
        assert_memory_equal(&o.p, &zero, sizeof(zero));
    }
    ld_format_free(f);
}

static void a_frame_ends_where_the_next_begins(void **state)
{
    static struct outcome o;
    struct ld_format *f = compile("y");

    (void)state;
    begin(&o);
    give(&o, f, (const uint8_t *)"one\ntwo\n", 8, LIMIT);
    assert_int_equal(o.st, LD_OK);
    assert_int_equal(o.p.pos, 4);
    ld_format_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_size_are_read_in_both_orders),
        cmocka_unit_test(floats_are_read_in_both_orders),
        cmocka_unit_test(bit_groups_start_at_the_end_their_order_says),
        cmocka_unit_test(varints_are_read_up_to_their_largest),
        cmocka_unit_test(a_varint_that_is_too_long_is_refused_at_once),
        cmocka_unit_test(a_number_beyond_2_to_the_53_is_out_of_range),
        cmocka_unit_test(decimals_are_judged_digit_by_digit),
        cmocka_unit_test(strings_and_slices_know_where_they_are),
        cmocka_unit_test(a_line_loses_one_carriage_return),
        cmocka_unit_test(a_literal_fails_at_its_first_wrong_byte),
        cmocka_unit_test(limits_are_checked_before_waiting),
        cmocka_unit_test(need_is_the_next_place_where_something_happens),
        cmocka_unit_test(alignment_counts_from_the_start_of_the_frame),
        cmocka_unit_test(pads_and_hidden_fields_produce_nothing),
        cmocka_unit_test(lengths_come_from_earlier_fields),
        cmocka_unit_test(repeats_nest_and_come_back),
        cmocka_unit_test(conditionals_take_or_skip_their_group),
        cmocka_unit_test(no_frame_has_more_values_than_there_is_room),
        cmocka_unit_test(
            values_of_a_format_without_groups_stand_in_field_order),
        cmocka_unit_test(a_search_never_looks_at_bytes_twice),
        cmocka_unit_test(a_suspended_first_run_saves_nothing),
        cmocka_unit_test(a_frame_ends_where_the_next_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
