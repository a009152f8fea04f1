/* test_roundtrip.c -- random formats and random values: what is packed comes
 * back the same, at every split, from both interpreters.
 *
 * A format is generated as a tree; the tree gives its text, its arguments and
 * what must be read back.  TEST_SEED and TEST_COUNT repeat or extend a run.
 */
#include <stdlib.h>

#include "pack.h"
#include "unpack_cursor.h"
#include "unpack_help.h"

enum { ITEMS = 64, ARGS = 4096, LIMIT = 1 << 20 };

enum kind {
    INTEGER,
    WIDE,
    FLOAT,
    BITS,
    VARINT,
    DECIMAL,
    STRING,
    COUNTED,
    DELIMITED,
    LINE,
    FIXED,
    REFERRED,
    LITERAL,
    PAD,
    HIDDEN,
    ALIGN,
    REPEAT,
    IF,
    KINDS
};

struct item {
    enum kind kind;
    unsigned a;
    unsigned b;
    bool big;
    struct item *first; /* of a group */
    struct item *next;
};

struct run {
    uint64_t seed;
    struct item items[ITEMS];
    unsigned used;
    unsigned serial; /* for names */
    unsigned strings;
    char text[2048];
    struct ld_arg args[ARGS];
    struct ld_arg want[ARGS]; /* as args, with nothing left out */
    uint32_t arg_count;
    uint32_t want_count;
};

static uint32_t pick(struct run *r, uint32_t n)
{
    r->seed = r->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(r->seed >> 33) % n;
}

static struct item *make_items(struct run *r, unsigned depth, bool repeated);

static bool is_string(enum kind kind)
{
    return kind >= STRING && kind <= REFERRED;
}

static struct item *make_item(struct run *r, unsigned depth, bool repeated)
{
    struct item *item = &r->items[r->used++];

    memset(item, 0, sizeof(*item));
    do {
        item->kind = (enum kind)pick(r, KINDS);
    } while (
        (item->kind >= REPEAT && (depth == 4 || r->used > ITEMS / 2)) ||
        (is_string(item->kind) && !repeated && r->strings == LD_FORMAT_BYTES) ||
        (r->serial >= LD_FORMAT_REGS &&
         (item->kind >= REPEAT || item->kind == REFERRED)));
    r->strings += is_string(item->kind) && !repeated;
    item->a = pick(r, 1000);
    item->b = pick(r, 1000);
    item->big = pick(r, 2);
    if (item->kind == REFERRED || item->kind >= REPEAT)
        item->a = r->serial++;
    if (item->kind >= REPEAT)
        item->first =
            make_items(r, depth + 1, repeated || item->kind == REPEAT);
    return item;
}

static struct item *make_items(struct run *r, unsigned depth, bool repeated)
{
    struct item *first = NULL;
    struct item **link = &first;
    unsigned n = 1 + pick(r, 5);

    while (n-- > 0 && r->used < ITEMS) {
        *link = make_item(r, depth, repeated);
        link = &(*link)->next;
    }
    return first;
}

static void say(struct run *r, const char *fmt, ...)
{
    size_t n = strlen(r->text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(r->text + n, sizeof(r->text) - n, fmt, ap);
    va_end(ap);
}

static const char *const delimiters[] = {"\r\n", "aa", "aab", ";", "abcdefgh"};
static const char *const varints[] = {"v", "V", "m", "q", "vj", "vJ", "Vj"};
static const char *const prefixes[] = {"sv", "sm", "sq", "sD':'"};
static const char *const hidden[] = {"B", "s2", "z", "v", "c3", "D' '", "y"};
static const char *const lengths[] = {"I3", "B", "v", "D' '", "u16", "m", "q"};

static void say_items(struct run *r, const struct item *item);

static void say_item(struct run *r, const struct item *item)
{
    const char *order = item->big ? ">" : "<";
    const char *view = item->b % 2 ? "&" : "";

    switch (item->kind) {
    case INTEGER:
        say(r, "%s%c%u ", order, item->b % 2 ? 'i' : 'I', 1 + item->a % 8);
        break;
    case WIDE: say(r, "%s%c ", order, item->a % 2 ? 'j' : 'J'); break;
    case FLOAT: say(r, "%s%c ", order, item->a % 2 ? 'f' : 'd'); break;
    case BITS:
        say(r, "%su%u k%u ", order, 1 + item->a % 15, 16 - (1 + item->a % 15));
        break;
    case VARINT: say(r, "%s ", varints[item->a % 7]); break;
    case DECIMAL: say(r, "D'%s' ", item->a % 2 ? "\r\n" : "-"); break;
    case STRING: say(r, "%s%ss%u ", order, view, 1 + item->a % 8); break;
    case COUNTED: say(r, "%s%s ", view, prefixes[item->a % 4]); break;
    case DELIMITED:
        say(r, "%st'%s'{99} ", view, delimiters[item->a % 5]);
        break;
    case LINE: say(r, "%s%c ", view, item->a % 2 ? 'y' : 'z'); break;
    case FIXED: say(r, "%sc%u ", view, item->a % 20); break;
    case REFERRED:
        say(r, "%sn%u:%s %sc(@n%u-%u) ", order, item->a, lengths[item->b % 7],
            view, item->a, item->b % 3);
        break;
    case LITERAL:
        say(r, "'%.*s' ", 1 + (int)item->a % 12, "a literal text");
        break;
    case PAD: say(r, "x%u ", item->a % 5); break;
    case HIDDEN: say(r, "%s _:%s ", order, hidden[item->a % 7]); break;
    case ALIGN: say(r, "!%u %sI2 XI8 !1 ", 1u << item->a % 5, order); break;
    case REPEAT:
        if (item->b % 2)
            say(r, "%sn%u:%s @n%u*(", order, item->a, lengths[item->b / 2 % 7],
                item->a);
        else
            say(r, "%u*(", item->b / 2 % 4);
        say_items(r, item->first);
        say(r, "B) ");
        break;
    default:
        say(r, "n%u:B ?n%u%s(", item->a, item->a,
            item->b % 3 == 0   ? ""
            : item->b % 3 == 1 ? "=1"
                               : "&6");
        say_items(r, item->first);
        say(r, ") ");
        break;
    }
}

static void say_items(struct run *r, const struct item *item)
{
    for (; item; item = item->next)
        say_item(r, item);
}

static void add(struct run *r, struct ld_arg arg, bool left_out)
{
    assert_true(r->arg_count < ARGS);
    r->want[r->want_count++] = arg;
    if (left_out)
        arg.kind = LD_ARG_NIL;
    r->args[r->arg_count++] = arg;
}

static void add_number(struct run *r, double n, bool left_out)
{
    add(r, (struct ld_arg){.kind = LD_ARG_NUMBER, .n = n}, left_out);
}

/* An integer of BITS bits, the extremes more often than others. */
static void add_integer(struct run *r, unsigned bits, bool sign)
{
    double most = bits > 53 ? 0x1p53 : (double)((UINT64_C(1) << bits) - 1);
    uint64_t x = (uint64_t)pick(r, 1u << 31) << 22 | pick(r, 1u << 22);
    double n = bits > 53 ? (double)x : (double)(x % (UINT64_C(1) << bits));

    if (pick(r, 4) == 0)
        n = pick(r, 2) ? most : 0;
    if (sign && bits <= 53 && n > (most - 1) / 2)
        n -= most + 1;
    if (sign && bits > 53 && pick(r, 2))
        n = -n;
    add_number(r, n, false);
}

static void add_bytes(struct run *r, unsigned n, const char *from)
{
    static uint8_t pool[1 << 16];
    static size_t used;
    uint8_t *p;
    unsigned i;

    if (used + n > sizeof(pool))
        used = 0;
    p = pool + used;
    used += n;
    for (i = 0; i < n; i++)
        p[i] = (uint8_t)from[pick(r, (uint32_t)strlen(from))];
    add(r, (struct ld_arg){.kind = LD_ARG_BYTES, .len = n, .p = p}, false);
}

static void add_varint(struct run *r, unsigned which)
{
    static const unsigned bits[] = {54, 54, 28, 54};
    uint64_t x = (uint64_t)pick(r, 1u << 31) << 33 | pick(r, 1u << 31);

    x >>= pick(r, 64);
    if (which < 4)
        add_integer(r, 1 + pick(r, bits[which]), which == 1);
    else if (which == 5)
        add(r, (struct ld_arg){.kind = LD_ARG_UINT64, .u = x}, false);
    else
        add(r, (struct ld_arg){.kind = LD_ARG_INT64, .u = ~x}, false);
}

static void add_items(struct run *r, const struct item *item);

static void add_repeat(struct run *r, const struct item *item)
{
    unsigned n = item->b / 2 % 4;

    if (item->b % 2) {
        n = pick(r, 4);
        add_number(r, n, pick(r, 2));
    }
    add(r, (struct ld_arg){.kind = LD_ARG_COUNT, .n = n}, false);
    while (n-- > 0) {
        add_items(r, item->first);
        add_number(r, 7, false);
    }
}

static void add_if(struct run *r, const struct item *item)
{
    unsigned flag = pick(r, 4);
    bool yes = item->b % 3 == 0   ? flag != 0
               : item->b % 3 == 1 ? flag == 1
                                  : (flag & 6) != 0;
    uint32_t at;

    add_number(r, flag, false);
    at = r->arg_count;
    add(r, (struct ld_arg){.kind = LD_ARG_GROUP, .n = yes}, false);
    if (yes)
        add_items(r, item->first);
    r->args[at].len = r->arg_count - at - 1;
}

static void add_item(struct run *r, const struct item *item)
{
    unsigned n;

    switch (item->kind) {
    case INTEGER: add_integer(r, 8 * (1 + item->a % 8), item->b % 2); break;
    case WIDE:
        add(r,
            (struct ld_arg){.kind = item->a % 2 ? LD_ARG_INT64 : LD_ARG_UINT64,
                            .u = r->seed},
            false);
        break;
    case FLOAT: add_number(r, (double)pick(r, 4000) / 16 - 100, false); break;
    case BITS:
        n = 1 + item->a % 15;
        add_integer(r, n, false);
        add_integer(r, 16 - n, true);
        break;
    case VARINT: add_varint(r, item->a % 7); break;
    case DECIMAL: add_integer(r, 1 + pick(r, 54), true); break;
    case STRING:
    case COUNTED: add_bytes(r, pick(r, 30), "abc\r\n;"); break;
    case DELIMITED: add_bytes(r, pick(r, 30), "xcde\r"); break;
    case LINE: add_bytes(r, pick(r, 30), "abc"); break;
    case FIXED: add_bytes(r, item->a % 20, "abc\r\n;"); break;
    case REFERRED:
        n = pick(r, 30);
        add_number(r, n + item->b % 3, pick(r, 2));
        add_bytes(r, n, "abc");
        break;
    case ALIGN: add_integer(r, 16, false); break;
    case REPEAT: add_repeat(r, item); break;
    case IF: add_if(r, item); break;
    default: break;
    }
}

static void add_items(struct run *r, const struct item *item)
{
    for (; item; item = item->next)
        add_item(r, item);
}

static void check_value(const struct run *r, const struct ld_arg *want,
                        const union ld_value *value, const uint8_t *frame)
{
    bool same;

    switch (want->kind) {
    case LD_ARG_BYTES:
        same = value->s.len == want->len &&
               (want->len == 0 ||
                !memcmp(frame + value->s.off, want->p, want->len));
        break;
    case LD_ARG_INT64:
    case LD_ARG_UINT64: same = value->u == want->u; break;
    default: same = value->n == want->n; break;
    }
    if (!same)
        fail_msg("%s: value %td differs", r->text, want - r->want);
}

/* The careful interpreter reads the same as the quick one. */
static void check_careful(const struct ld_format *f, const uint8_t *frame,
                          size_t n, const struct outcome *whole)
{
    static struct outcome o;

    begin(&o);
    o.st = ld_unpack_careful(f, &o.p, place(frame, n), n, LIMIT, o.values);
    assert_same(whole, &o);
}

static void check_run(struct run *r)
{
    static uint8_t frame[1 << 18];
    static struct outcome o;
    struct ld_format *f = compile(r->text);
    struct ld_packed out;
    enum ld_status st;
    size_t bound = ld_pack_bound(f, r->args, r->arg_count);
    uint32_t i;

    assert_true(bound <= sizeof(frame) - 1);
    memset(frame, 0x5a, bound + 1);
    st = ld_pack(f, r->args, r->arg_count, frame, &out);
    if (st)
        fail_msg("%s: %s at arg %u", r->text, ld_strstatus(st), out.arg);
    assert_true(out.size <= bound);
    assert_int_equal(frame[bound], 0x5a);
    assert_true(out.size >= ld_format_min_size(f));
    if (out.size < 2000)
        run_splits(f, frame, out.size, LIMIT, &o);
    else
        return ld_format_free(f);
    if (o.st != LD_OK || o.p.count != r->want_count)
        fail_msg("%s: %s, %u values", r->text, ld_strstatus(o.st), o.p.count);
    assert_int_equal(o.p.pos, out.size);
    for (i = 0; i < r->want_count; i++)
        check_value(r, &r->want[i], &o.values[i], frame);
    check_careful(f, frame, out.size, &o);
    ld_format_free(f);
}

static unsigned long setting(const char *name, unsigned long fallback)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 10) : fallback;
}

static void what_is_packed_is_unpacked_at_every_split(void **state)
{
    static struct run r;
    unsigned long seed = setting("TEST_SEED", 1);
    unsigned long count = setting("TEST_COUNT", 1500);
    unsigned long i;

    (void)state;
    for (i = seed; i < seed + count; i++) {
        struct item *first;

        memset(&r, 0, sizeof(r));
        r.seed = i * UINT64_C(0x9e3779b97f4a7c15);
        first = make_items(&r, 0, false);
        say_items(&r, first);
        add_items(&r, first);
        check_run(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_is_unpacked_at_every_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
