/* arbiter.c -- see arbiter.h. */
#include "arbiter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "seat.h"

enum { PREFIX_MAX = 32 /* "SLOT.INCARNATION." */ };

struct member {
    uint32_t incarnation; /* 0: none yet */
    bool up;
};

struct ld_arbiter {
    struct ld_names *names;
    ld_arbiter_send_fn send;
    void *ctx;
    uint32_t slots;
    struct member members[]; /* by slot - 1 */
};

/* A message that is being put together. */
struct writer {
    uint8_t bytes[LD_CONTROL_MAX];
    size_t size;
};

/* A message that is being read; P is NULL after something malformed. */
struct reader {
    const uint8_t *p, *end;
};

static void put(struct writer *w, uint32_t n, int bytes)
{
    while (bytes-- > 0)
        w->bytes[w->size++] = (uint8_t)(n >> 8 * bytes);
}

static void put_text(struct writer *w, struct ld_text t)
{
    put(w, (uint32_t)t.len, 2);
    memcpy(w->bytes + w->size, t.p, t.len);
    w->size += t.len;
}

static uint32_t get(struct reader *r, int bytes)
{
    uint32_t n = 0;

    if (!r->p || r->end - r->p < bytes) {
        r->p = NULL;
        return 0;
    }
    while (bytes-- > 0)
        n = n << 8 | *r->p++;
    return n;
}

static struct ld_text get_text(struct reader *r)
{
    struct ld_text t = {"", get(r, 2)};

    if (!r->p || (size_t)(r->end - r->p) < t.len) {
        r->p = NULL;
        return (struct ld_text){"", 0};
    }
    t.p = (const char *)r->p;
    r->p += t.len;
    return t;
}

struct ld_arbiter *ld_arbiter_new(uint32_t slots, ld_arbiter_send_fn send,
                                  void *ctx)
{
    struct ld_arbiter *a =
        calloc(1, sizeof(*a) + slots * sizeof(struct member));

    if (!a)
        return NULL;
    a->names = ld_names_new();
    if (!a->names) {
        free(a);
        errno = ENOMEM;
        return NULL;
    }
    a->slots = slots;
    a->send = send;
    a->ctx = ctx;
    return a;
}

void ld_arbiter_free(struct ld_arbiter *a)
{
    if (!a)
        return;
    ld_names_free(a->names);
    free(a);
}

static void tell(struct ld_arbiter *a, uint32_t slot, const struct writer *m)
{
    a->send(a->ctx, slot, m->bytes, m->size);
}

/* All that have entered, but EXCEPT (0: nobody). */
static void tell_others(struct ld_arbiter *a, uint32_t except,
                        const struct writer *m)
{
    for (uint32_t slot = 1; slot <= a->slots; slot++)
        if (slot != except && a->members[slot - 1].incarnation > 0)
            tell(a, slot, m);
}

static void write_worker(struct writer *m, const struct ld_arbiter *a,
                         uint32_t slot, bool up)
{
    m->size = 0;
    put(m, LD_CONTROL_WORKER, 1);
    put(m, slot, 2);
    put(m, a->members[slot - 1].incarnation, 4);
    put(m, up, 1);
}

static void write_name(struct writer *m, struct ld_text name, struct ld_text id)
{
    m->size = 0;
    put(m, LD_CONTROL_NAME, 1);
    put_text(m, name);
    put_text(m, id);
}

/* For ld_names_each() and ld_names_drop(). */
struct telling {
    struct ld_arbiter *a;
    uint32_t slot;
};

static void tell_name(void *ctx, struct ld_text name, struct ld_text id)
{
    struct telling *t = ctx;
    struct writer m;

    write_name(&m, name, id);
    tell(t->a, t->slot, &m);
}

static void tell_free(void *ctx, struct ld_text name, struct ld_text id)
{
    struct telling *t = ctx;
    struct writer m;

    (void)id;
    write_name(&m, name, (struct ld_text){"", 0});
    tell_others(t->a, 0, &m);
}

void ld_arbiter_enter(struct ld_arbiter *a, uint32_t slot, uint32_t incarnation)
{
    struct telling t = {a, slot};
    struct writer m;

    a->members[slot - 1] = (struct member){incarnation, false};
    for (uint32_t other = 1; other <= a->slots; other++) {
        if (other == slot || !a->members[other - 1].up)
            continue;
        write_worker(&m, a, other, true);
        tell(a, slot, &m);
    }
    ld_names_each(a->names, tell_name, &t);
}

void ld_arbiter_up(struct ld_arbiter *a, uint32_t slot)
{
    struct writer m;

    a->members[slot - 1].up = true;
    write_worker(&m, a, slot, true);
    tell_others(a, slot, &m);
}

/* What the ids of the worker's connections begin with; returns its length. */
static size_t write_prefix(char prefix[PREFIX_MAX], const struct ld_arbiter *a,
                           uint32_t slot)
{
    return (size_t)snprintf(prefix, PREFIX_MAX, "%u.%u.", slot,
                            a->members[slot - 1].incarnation);
}

void ld_arbiter_down(struct ld_arbiter *a, uint32_t slot)
{
    struct member *member = &a->members[slot - 1];
    struct telling t = {a, 0};
    char prefix[PREFIX_MAX];
    struct writer m;

    write_worker(&m, a, slot, false);
    write_prefix(prefix, a, slot);
    if (member->up)
        tell_others(a, slot, &m);
    *member = (struct member){0, false};
    ld_names_drop(a->names, prefix, tell_free, &t);
}

/* Only such ids are forgotten when the worker dies. */
static bool is_its_own(const struct ld_arbiter *a, uint32_t slot,
                       struct ld_text id)
{
    char prefix[PREFIX_MAX];
    size_t len = write_prefix(prefix, a, slot);

    return id.len > len && memcmp(id.p, prefix, len) == 0;
}

/* The news of a name comes before the answer to who asked for it. */
static bool take_register(struct ld_arbiter *a, uint32_t slot, struct reader *r)
{
    char previous[LD_NAME_MAX + 1];
    uint32_t request = get(r, 4), take = get(r, 1);
    struct ld_text name = get_text(r), id = get_text(r);
    struct writer m;
    enum ld_status st;

    if (!r->p || !is_its_own(a, slot, id))
        return false;
    st = ld_names_register(a->names, name, id, take != 0, previous);
    if (!st) {
        write_name(&m, name, id);
        tell_others(a, 0, &m);
    }
    m.size = 0;
    put(&m, LD_CONTROL_ANSWER, 1);
    put(&m, request, 4);
    put(&m, !st, 1);
    put_text(&m, (struct ld_text){previous, strlen(previous)});
    tell(a, slot, &m);
    return true;
}

static bool take_unregister(struct ld_arbiter *a, struct reader *r)
{
    struct telling t = {a, 0};
    struct ld_text name = get_text(r), id = get_text(r);

    if (r->p && ld_names_release(a->names, name, id))
        tell_free(&t, name, id);
    return r->p != NULL;
}

bool ld_arbiter_take(struct ld_arbiter *a, uint32_t slot, const uint8_t *p,
                     size_t n)
{
    struct reader r = {p + 1, p + n};

    if (n == 0 || slot == 0 || slot > a->slots)
        return false;
    switch (p[0]) {
    case LD_CONTROL_REGISTER: return take_register(a, slot, &r);
    case LD_CONTROL_UNREGISTER: return take_unregister(a, &r);
    default: return false;
    }
}
