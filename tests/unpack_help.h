/* unpack_help.h -- runs a format over input that lies against a page which may
 * not be touched, whole and split in every way, and insists on one result.
 */
#ifndef LD_TESTS_UNPACK_HELP_H
#define LD_TESTS_UNPACK_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "unpack.h"

/* What a run came to. */
struct outcome {
    enum ld_status st;
    struct ld_parse p;
    size_t examined; /* bytes looked at while searching, by the saved place */
    size_t wakeups;
    union ld_value values[LD_FORMAT_VALUES];
};

static inline uint8_t *guarded_page(void)
{
    static uint8_t *end;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = 64 * page;

    if (!end) {
        uint8_t *start = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_true(start != MAP_FAILED);
        assert_int_equal(mprotect(start + room, page, PROT_NONE), 0);
        end = start + room;
    }
    return end;
}

/* The first N bytes of INPUT, so that the slack behind them ends the page. */
static inline const uint8_t *place(const uint8_t *input, size_t n)
{
    uint8_t *at = guarded_page() - LD_SLACK - n;

    memcpy(at, input, n);
    memset(at + n, 0xa5, LD_SLACK);
    return at;
}

static inline struct ld_format *compile(const char *src)
{
    struct ld_format_error err;
    struct ld_format *f = ld_format_compile(src, strlen(src), &err);

    if (!f)
        fail_msg("%s: column %u: %s", src, err.column, err.message);
    return f;
}

static inline void begin(struct outcome *o)
{
    memset(&o->p, 0, sizeof(o->p));
    o->st = LD_AGAIN;
    o->examined = o->wakeups = 0;
}

/* Give the first N bytes.  What an earlier call asked for must be right: with
 * less than that there is no progress. */
static inline void give(struct outcome *o, const struct ld_format *f,
                        const uint8_t *input, size_t n, size_t limit)
{
    struct ld_parse was = o->p;
    size_t from = was.pos + was.scan;

    o->wakeups++;
    o->st = ld_unpack(f, &o->p, place(input, n), n, limit, o->values);
    if (o->st == LD_AGAIN) {
        assert_true(o->p.need > n);
        assert_true(o->p.need <= limit);
    }
    if (n < was.need) {
        assert_int_equal(o->st, LD_AGAIN);
        assert_int_equal(o->p.pc, was.pc);
        assert_int_equal(o->p.pos, was.pos);
        assert_int_equal(o->p.count, was.count);
    }
    if (o->st != LD_AGAIN || o->p.scan != was.scan)
        o->examined += n > from ? n - from : 0;
}

static inline void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->st, b->st);
    assert_int_equal(a->p.pos, b->p.pos);
    if (a->st == LD_AGAIN)
        assert_int_equal(a->p.need, b->p.need);
    else if (a->st != LD_OK)
        assert_int_equal(a->p.field, b->p.field);
    if (a->st != LD_OK && a->st != LD_AGAIN)
        return;
    assert_int_equal(a->p.count, b->p.count);
    assert_memory_equal(a->values, b->values,
                        a->p.count * sizeof(a->values[0]));
}

/* Whole, byte by byte, as asked for, and in two at each place. */
static inline void run_splits(const struct ld_format *f, const void *input,
                              size_t n, size_t limit, struct outcome *whole)
{
    static struct outcome o;
    size_t i;

    begin(whole);
    give(whole, f, input, n, limit);
    begin(&o);
    for (i = 0; i <= n && o.st == LD_AGAIN; i++)
        give(&o, f, input, i, limit);
    assert_same(whole, &o);
    assert_true(o.examined <= n + LD_FORMAT_DELIMITER * o.wakeups);
    begin(&o);
    for (i = 0; i <= n && o.st == LD_AGAIN; i = o.p.need)
        give(&o, f, input, i, limit);
    if (whole->st != LD_AGAIN)
        assert_same(whole, &o);
    for (i = 0; i <= n; i++) {
        begin(&o);
        give(&o, f, input, i, limit);
        if (o.st == LD_AGAIN)
            give(&o, f, input, n, limit);
        assert_same(whole, &o);
    }
}

#endif
