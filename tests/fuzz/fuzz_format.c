/* fuzz_format.c -- compiles what stands before the first \1 byte as a format
 * and runs it over the rest: whole, byte by byte and split in two, from memory
 * that ends with the slack.  Every way must give the same result, and searching
 * must not look at bytes twice.
 */
#include <stdlib.h>
#include <string.h>

#include "unpack.h"

enum { LIMIT = 4096, INPUT_MAX = 512, FORMAT_END = 0x01 };

struct outcome {
    enum ld_status st;
    struct ld_parse p;
    union ld_value values[LD_FORMAT_VALUES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
    if (!truth)
        abort();
}

static void begin(struct outcome *o)
{
    memset(&o->p, 0, sizeof(o->p));
    o->st = LD_AGAIN;
}

/* Gives the first N bytes, in memory of their own so that a sanitizer sees
 * reads behind the slack.  Returns how many bytes a search looked at. */
static size_t give(const struct ld_format *f, struct outcome *o,
                   const uint8_t *input, size_t n)
{
    uint8_t *copy = malloc(n + LD_SLACK);
    struct ld_parse was = o->p;
    size_t from = was.pos + was.scan;

    require(copy != NULL);
    memcpy(copy, input, n);
    memset(copy + n, 0xa5, LD_SLACK);
    o->st = ld_unpack(f, &o->p, copy, n, LIMIT, o->values);
    free(copy);
    if (o->st == LD_AGAIN)
        require(o->p.need > n && o->p.need <= LIMIT);
    if (o->st == LD_OK)
        require(o->p.pos <= n && o->p.count <= LD_FORMAT_VALUES);
    if (n < was.need)
        require(o->st == LD_AGAIN && o->p.pos == was.pos);
    return n > from && o->p.scan != was.scan ? n - from : 0;
}

static void require_same(const struct outcome *a, const struct outcome *b)
{
    require(a->st == b->st && a->p.pos == b->p.pos);
    if (a->st == LD_AGAIN)
        require(a->p.need == b->p.need && a->p.pc == b->p.pc);
    else if (a->st != LD_OK)
        require(a->p.field == b->p.field);
    if (a->st != LD_OK && a->st != LD_AGAIN)
        return;
    require(a->p.count == b->p.count);
    require(!memcmp(a->values, b->values, a->p.count * sizeof(a->values[0])));
}

static void run(const struct ld_format *f, const uint8_t *input, size_t n)
{
    static struct outcome whole;
    static struct outcome o;
    size_t examined = 0;
    size_t wakeups = 0;
    size_t i;

    begin(&whole);
    give(f, &whole, input, n);
    begin(&o);
    for (i = 0; i <= n && o.st == LD_AGAIN; i++, wakeups++)
        examined += give(f, &o, input, i);
    require_same(&whole, &o);
    require(examined <= n + LD_FORMAT_DELIMITER * wakeups);
    for (i = 0; i <= n; i++) {
        begin(&o);
        give(f, &o, input, i);
        if (o.st == LD_AGAIN)
            give(f, &o, input, n);
        require_same(&whole, &o);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, FORMAT_END, size) : NULL;
    size_t len = end ? (size_t)(end - data) : size;
    struct ld_format_error err = {0, ""};
    struct ld_format *f = ld_format_compile((const char *)data, len, &err);
    size_t rest = end ? size - len - 1 : 0;

    if (!f)
        require(err.column > 0 && err.message[0] != '\0');
    else if (rest <= INPUT_MAX)
        run(f, data + size - rest, rest);
    ld_format_free(f);
    return 0;
}
