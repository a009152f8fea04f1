/* world_arbiter.c -- what the supervisor does about names and deaths, for the
 * workers of a test's world; see ../bus.h for the messages.
 */
#include <stdio.h>
#include <string.h>

#include "../bus.h"
#include "world.h"

enum { PREFIX_MAX = 32 };

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

static void tell(struct ld_world_slot *to, const struct writer *m)
{
    if (to->vm)
        ld_message_put(&to->orders, 0, m->bytes, m->size);
}

static void tell_all(struct ld_world *w, const struct ld_world_slot *except,
                     const struct writer *m)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (&w->slots[i] != except)
            tell(&w->slots[i], m);
}

static struct writer worker_news(const struct ld_world_slot *s, bool up)
{
    struct writer m = {.size = 0};

    put(&m, LD_CONTROL_WORKER, 1);
    put(&m, s->slot, 2);
    put(&m, s->incarnation, 4);
    put(&m, up, 1);
    return m;
}

static struct writer name_news(struct ld_text name, struct ld_text id)
{
    struct writer m = {.size = 0};

    put(&m, LD_CONTROL_NAME, 1);
    put_text(&m, name);
    put_text(&m, id);
    return m;
}

static void tell_name(void *ctx, struct ld_text name, struct ld_text id)
{
    struct writer m = name_news(name, id);

    tell(ctx, &m);
}

static void tell_free(void *ctx, struct ld_text name, struct ld_text id)
{
    struct writer m = name_news(name, (struct ld_text){"", 0});

    (void)id;
    tell_all(ctx, NULL, &m);
}

void ld_arbiter_up(struct ld_world_slot *s)
{
    struct writer m = worker_news(s, true);

    for (uint32_t i = 0; i < s->world->count; i++) {
        const struct ld_world_slot *other = &s->world->slots[i];
        struct writer news = worker_news(other, true);

        if (other != s && other->vm)
            tell(s, &news);
    }
    ld_names_each(s->world->names, tell_name, s);
    tell_all(s->world, s, &m);
}

static size_t write_prefix(char prefix[PREFIX_MAX],
                           const struct ld_world_slot *s)
{
    return (size_t)snprintf(prefix, PREFIX_MAX, "%u.%u.", s->slot,
                            s->incarnation);
}

void ld_arbiter_down(struct ld_world_slot *s)
{
    struct writer m = worker_news(s, false);
    char prefix[PREFIX_MAX];

    tell_all(s->world, s, &m);
    write_prefix(prefix, s);
    ld_names_drop(s->world->names, prefix, tell_free, s->world);
}

static bool is_its_own(const struct ld_world_slot *s, struct ld_text id)
{
    char prefix[PREFIX_MAX];
    size_t len = write_prefix(prefix, s);

    return id.len > len && memcmp(id.p, prefix, len) == 0;
}

/* The news of a name comes before the answer to who asked for it. */
static bool answer_register(struct ld_world_slot *s, struct reader *r)
{
    char previous[LD_NAME_MAX + 1];
    uint32_t request = get(r, 4), take = get(r, 1);
    struct ld_text name = get_text(r), id = get_text(r);
    struct writer m = {.size = 0}, news;
    enum ld_status st;

    if (!r->p || !is_its_own(s, id))
        return false;
    st = ld_names_register(s->world->names, name, id, take != 0, previous);
    if (!st) {
        news = name_news(name, id);
        tell_all(s->world, NULL, &news);
    }
    put(&m, LD_CONTROL_ANSWER, 1);
    put(&m, request, 4);
    put(&m, !st, 1);
    put_text(&m, (struct ld_text){previous, strlen(previous)});
    tell(s, &m);
    return true;
}

static bool answer_unregister(struct ld_world_slot *s, struct reader *r)
{
    struct ld_text name = get_text(r), id = get_text(r);

    if (r->p && ld_names_release(s->world->names, name, id))
        tell_free(s->world, name, id);
    return r->p;
}

bool ld_arbiter_answer(struct ld_world_slot *s, const struct ld_message *m)
{
    const uint8_t *p = (const uint8_t *)m->bytes;
    struct reader r = {p + 1, p + m->size};

    switch (p[0]) {
    case LD_CONTROL_REGISTER: return answer_register(s, &r);
    case LD_CONTROL_UNREGISTER: return answer_unregister(s, &r);
    default: return false;
    }
}
