/* test_format.c -- what the format language accepts, and how it refuses. */
#include "unpack_help.h"

struct refusal {
    const char *src;
    uint32_t column;
    const char *says;
};

static const struct refusal refusals[] = {
    {">I9", 2, "'I9': an integer has 1 to 8 bytes"},
    {"B I0", 3, "'I0': an integer has 1 to 8 bytes"},
    {"I4", 1, "'I4': choose a byte order first: < or >"},
    {"s2", 1, "byte order"},
    {"s", 1, "byte order"},
    {"f", 1, "byte order"},
    {"j", 1, "byte order"},
    {"u8", 1, "byte order"},
    {"X", 1, "must follow X"},
    {">u3 B", 2, "3 bits: a run of bit fields must fill whole bytes"},
    {">u3", 2, "whole bytes"},
    {">n:u3 ?n(B)", 4, "whole bytes"},
    {">u4 <u4", 6, "order changed"},
    {">u57", 2, "1 to 56 bits"},
    {">u0", 2, "1 to 56 bits"},
    {">u7u50", 4, "more than 56 bits"},
    {"?a(B)", 1, "cannot start with a condition"},
    {"B ?(B)", 3, "names its field"},
    {"B ?a(B)", 4, "no field 'a'"},
    {"a:z ?a(B)", 6, "'a' is not an integer"},
    {">a:f c@a", 8, "'a' is not an integer"},
    {"a:2*(B) c@a", 11, "'a' is not an integer"},
    {"_:B c@_", 7, "no field '_'"},
    {"n:B ?n(a:B) c@a", 15, "no field 'a'"},
    {"a:B ?a=(B)", 5, "a number must follow"},
    {"a:B ?a", 5, "a group in ( ) must follow"},
    {"a:B a:B", 5, "two fields 'a'"},
    {"a:", 1, "the name 'a' needs an option"},
    {"a:x", 3, "no value to name"},
    {"a:'lit'", 3, "no value to name"},
    {"_:3*(B)", 3, "cannot be hidden"},
    {"c", 1, "c needs a size"},
    {"n:B c(@n-)", 5, "a number must follow the sign"},
    {"n:B c(@n-1", 5, "a ) must close"},
    {"c(4)", 1, "@name must follow"},
    {"&B", 1, "& goes before"},
    {"&", 1, "& goes before"},
    {"t", 1, "a quote must follow"},
    {"t'", 2, "not closed"},
    {"''", 1, "nothing between"},
    {"t'123456789'", 1, "1 to 8 bytes"},
    {"D'1'", 1, "a digit cannot end"},
    {"B{3}", 1, "takes no maximum"},
    {"z{}", 2, "a maximum is written {number}"},
    {"z{3", 2, "a maximum is written {number}"},
    {"2(B)", 1, "* and a group"},
    {"2*B", 1, "a group in ( )"},
    {"2*(B", 5, "a ) is missing"},
    {"B)", 2, "closes nothing"},
    {"2*()", 1, "a repeat of nothing"},
    {"9*(9*(9*(9*(9*(B)))))", 13, "more than 4 groups"},
    {"4097*(B)", 1, "more than 4096 values"},
    {"!3", 1, "1, 2, 4, 8 or 16"},
    {"!4>i3", 4, "power of 2"},
    {"c99999999999", 2, "too large"},
    {"c2147483647 c2147483647", 1, "exceed"},
    {"Q", 1, "'Q': there is no such option"},
    {"\xff", 1, "'?': there is no such option"},
    {"mj", 2, "'j': choose"},
    {"zzzzzzzzz", 9, "more than 8 strings"},
};

static void a_syntax_error_names_its_column_and_reason(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        struct ld_format_error err = {0, ""};

        if (ld_format_compile(r->src, strlen(r->src), &err))
            fail_msg("accepted: %s", r->src);
        if (err.column != r->column || !strstr(err.message, r->says))
            fail_msg("%s: column %u: %s", r->src, err.column, err.message);
    }
}

static void every_prefix_of_a_format_compiles_or_is_refused(void **state)
{
    static const char src[] =
        ">a:u3 b:k5 !4 X<I2 n:B c(@n-1){9} &t'\r\n'{80} s2{5} sD':' "
        "@n*(?n&4(vj) ?n=-3(z)){7} 2*(k:q x@k) 'lit' _:y =d";
    size_t len;

    (void)state;
    for (len = 0; len < sizeof(src); len++) {
        struct ld_format_error err = {0, ""};
        struct ld_format *f = ld_format_compile(src, len, &err);

        if (!f) {
            assert_in_range(err.column, 1, len + 1);
            assert_true(err.message[0] != '\0');
        }
        ld_format_free(f);
    }
}

static void a_format_longer_than_allowed_is_refused(void **state)
{
    static char src[LD_FORMAT_SOURCE_MAX + 1];
    struct ld_format_error err;
    struct ld_format *f;

    (void)state;
    memset(src, ' ', sizeof(src));
    f = ld_format_compile(src, LD_FORMAT_SOURCE_MAX, &err);
    assert_non_null(f);
    ld_format_free(f);
    assert_null(ld_format_compile(src, LD_FORMAT_SOURCE_MAX + 1, &err));
}

static void counts_outside_repeats_are_limited_and_inside_are_not(void **state)
{
    struct ld_format_error err;
    char src[128];
    size_t i;

    (void)state;
    memset(src, 'B', LD_FORMAT_SCALARS + 1);
    assert_null(ld_format_compile(src, LD_FORMAT_SCALARS + 1, &err));
    assert_int_equal(err.column, LD_FORMAT_SCALARS + 1);
    ld_format_free(ld_format_compile(src, LD_FORMAT_SCALARS, &err));
    snprintf(src, sizeof(src), "1*(");
    for (i = 3; i < 60; i++)
        src[i] = 'B';
    src[i] = '\0';
    strcat(src, "zzzzzzzzzzzz)");
    ld_format_free(compile(src));
}

static void at_most_eight_fields_can_be_referred_to(void **state)
{
    struct ld_format_error err;
    char src[256] = "";
    int i;

    (void)state;
    for (i = 0; i < 9; i++)
        snprintf(src + strlen(src), 16, "%c:B x@%c ", 'a' + i, 'a' + i);
    assert_null(ld_format_compile(src, strlen(src), &err));
    assert_non_null(strstr(err.message, "more than 8 fields"));
    ld_format_free(compile("a:B x@a x@a x@a x@a x@a x@a x@a x@a x@a"));
}

static void fields_say_kind_name_place_and_reference(void **state)
{
    static const struct ld_field expected[] = {
        {LD_FIELD_NUMBER, 0, -1, 0, 1, "len"},
        {LD_FIELD_SLICE, 0, 0, -4, 7, "body"},
        {LD_FIELD_NUMBER, 1, -1, 0, 25, "_"},
        {LD_FIELD_REPEAT, 0, 0, 0, 29, "items"},
        {LD_FIELD_INT64, 0, -1, 0, 41, ""},
        {LD_FIELD_IF, 0, 0, 0, 44, ""},
        {LD_FIELD_STRING, 0, -1, 0, 51, ""},
        {LD_FIELD_END, 0, -1, 0, 52, ""},
        {LD_FIELD_END, 0, -1, 0, 53, ""},
        {LD_FIELD_UINT64, 0, -1, 0, 55, ""},
    };
    struct ld_format *f =
        compile("len:B body:&c(@len-4)   _:B items:@len*(vj ?len=1(z)) qJ");
    const struct ld_field *fields;
    uint32_t count;
    uint32_t i;

    (void)state;
    fields = ld_format_fields(f, &count);
    assert_int_equal(count, sizeof(expected) / sizeof(expected[0]));
    for (i = 0; i < count; i++) {
        assert_int_equal(fields[i].kind, expected[i].kind);
        assert_int_equal(fields[i].hidden, expected[i].hidden);
        assert_int_equal(fields[i].ref, expected[i].ref);
        assert_int_equal(fields[i].adjust, expected[i].adjust);
        assert_int_equal(fields[i].column, expected[i].column);
        assert_string_equal(fields[i].name, expected[i].name);
    }
    ld_format_free(f);
}

static void the_least_size_of_a_frame_is_known(void **state)
{
    static const struct {
        const char *src;
        uint32_t size;
    } sizes[] = {
        {"", 0},
        {">u2u6 I3 I3 B <I4", 12},
        {">s2 z t'\r\n' y v V m q", 2 + 1 + 2 + 1 + 4},
        {"D'\r\n' sD':'", 3 + 2},
        {"'abc' x4 c5", 12},
        {"n:B @n*(B) 3*(>I2 z) ?n(c9)", 1 + 9},
        {"!4 B >I4", 8},
        {"!8 z >I4", 5},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct ld_format *f = compile(sizes[i].src);

        assert_int_equal(ld_format_min_size(f), sizes[i].size);
        ld_format_free(f);
    }
}

static void names_may_repeat_in_different_groups(void **state)
{
    (void)state;
    ld_format_free(compile("a:B 2*(a:B c@a) 2*(a:B ?a(B)) _:B _:B"));
}

static void every_status_has_a_name(void **state)
{
    int st;

    (void)state;
    for (st = 0; st < LD_STATUS_COUNT; st++)
        assert_true(strlen(ld_strstatus((enum ld_status)st)) > 1);
    assert_string_equal(ld_strstatus(LD_MISMATCH), "mismatch");
    assert_string_equal(ld_strstatus(LD_STATUS_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_syntax_error_names_its_column_and_reason),
        cmocka_unit_test(every_prefix_of_a_format_compiles_or_is_refused),
        cmocka_unit_test(a_format_longer_than_allowed_is_refused),
        cmocka_unit_test(counts_outside_repeats_are_limited_and_inside_are_not),
        cmocka_unit_test(at_most_eight_fields_can_be_referred_to),
        cmocka_unit_test(fields_say_kind_name_place_and_reference),
        cmocka_unit_test(the_least_size_of_a_frame_is_known),
        cmocka_unit_test(names_may_repeat_in_different_groups),
        cmocka_unit_test(every_status_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
