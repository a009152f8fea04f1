/* test_log.c -- one event is one line, whatever is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "log.h"

struct sink {
    char line[8192];
    size_t len;
    int lines;
    enum ld_level level;
};

static void keep(void *ctx, enum ld_level level, const char *line, size_t len)
{
    struct sink *s = ctx;

    assert_true(len < sizeof(s->line));
    memcpy(s->line, line, len);
    s->line[len] = '\0';
    s->len = len;
    s->level = level;
    s->lines++;
}

/* The line without its time, which has 24 characters and a space. */
static const char *said(const struct sink *s)
{
    assert_true(s->len > 25);
    assert_int_equal(s->line[10], 'T');
    assert_int_equal(s->line[23], 'Z');
    return s->line + 25;
}

static void a_line_has_level_event_and_fields(void **state)
{
    struct sink s = {.lines = 0};
    struct ld_log log = {LD_INFO, keep, &s, 0};

    (void)state;
    ld_log(&log, LD_WARN, "peer left", "peer=%s count=%d", "::1", 3);
    assert_string_equal(said(&s), "warn  peer left peer=::1 count=3\n");
    assert_int_equal(s.level, LD_WARN);
    ld_log(&log, LD_INFO, "ready", "%s", "");
    assert_string_equal(said(&s), "info  ready\n");
}

static void lines_below_the_level_are_dropped(void **state)
{
    struct sink s = {.lines = 0};
    struct ld_log log = {LD_WARN, keep, &s, 0};

    (void)state;
    ld_log(&log, LD_INFO, "quiet", "%s", "");
    assert_int_equal(s.lines, 0);
    log.level = LD_SILENT;
    ld_log(&log, LD_FAULT, "quiet", "%s", "");
    assert_int_equal(s.lines, 0);
}

static void what_a_peer_sent_cannot_forge_a_line(void **state)
{
    struct sink s = {.lines = 0};
    struct ld_log log = {LD_INFO, keep, &s, 0};

    (void)state;
    ld_log(&log, LD_INFO, "bad", "line=%s", "a\nb\r\x1b[2Jc\n\t  d\te\x7f");
    assert_string_equal(said(&s), "info  bad line=a | b??[2Jc | d e?\n");
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    static char newlines[6000], text[6000];
    struct sink s = {.lines = 0};
    struct ld_log log = {LD_INFO, keep, &s, 0};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    memset(newlines, '\n', sizeof(newlines) - 1);
    ld_log(&log, LD_INFO, "long", "%s", text);
    assert_in_range(s.len, 4000, 4096);
    assert_int_equal(s.line[s.len - 1], '\n');
    ld_log(&log, LD_INFO, "long", "%s", newlines);
    assert_in_range(s.len, 4000, 4096);
    assert_ptr_equal(strchr(s.line, '\n'), s.line + s.len - 1);
    ld_log(&log, LD_INFO, text, "%s", text);
    assert_in_range(s.len, 4000, 4096);
}

static void lines_of_a_worker_bear_its_number(void **state)
{
    struct sink s = {.lines = 0};
    struct ld_log log = {LD_INFO, keep, &s, 2};
    char text[8192];

    (void)state;
    ld_log(&log, LD_INFO, "conn opened", "conn=%d", 7);
    assert_non_null(strstr(s.line, "info  conn opened worker=2 conn=7\n"));
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ld_log(&log, LD_INFO, text, "%s", "");
    assert_in_range(s.len, 4000, 4096);
    assert_non_null(strstr(s.line, "x worker=2\n"));
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_int_equal(ld_log_level("debug"), LD_DEBUG);
    assert_int_equal(ld_log_level("error"), LD_FAULT);
    assert_int_equal(ld_log_level("loud"), -1);
    assert_string_equal(ld_strstatus(LD_TRUNCATED), "truncated");
    for (int st = 0; st < LD_STATUS_COUNT; st++)
        assert_non_null(ld_strstatus((enum ld_status)st));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_level_event_and_fields),
        cmocka_unit_test(lines_below_the_level_are_dropped),
        cmocka_unit_test(what_a_peer_sent_cannot_forge_a_line),
        cmocka_unit_test(a_long_line_is_cut_and_still_ends),
        cmocka_unit_test(lines_of_a_worker_bear_its_number),
        cmocka_unit_test(levels_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
