/* embed_message.c -- what a host and its gateway tell each other: work, from
 * any thread, messages, numbers.
 */
#include "gateway_parts.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

static const double STATS = 10; /* seconds that another thread waits */

enum {
    MESSAGE_MAX = 16 << 20, /* bytes */
    STATS_MAX = 4096        /* those of any later header have less */
};

struct work {
    struct ld_gateway *g;
    ld_gateway_work_fn fn;
    void *ctx;
};

static void perform(struct work *w)
{
    w->g->inside++;
    w->fn(w->ctx, w->g);
    w->g->inside--;
}

static void perform_posted(void *ctx)
{
    perform(ctx);
    free(ctx);
}

static void perform_called(void *ctx)
{
    perform(ctx);
}

static int check_work(struct ld_gateway *g, ld_gateway_work_fn fn)
{
    int code = ld_embed_check(g);

    if (code || fn)
        return code;
    return ld_refuse(LD_ERR_ARGUMENT, "there is no function: it is NULL");
}

LD_PUBLIC int ld_gateway_post(struct ld_gateway *g, ld_gateway_work_fn fn,
                              void *ctx)
{
    struct work *w;
    int code = check_work(g, fn);

    if (code)
        return code;
    w = malloc(sizeof(*w));
    if (!w)
        return ld_refuse(LD_ERR_MEMORY, "out of memory");
    *w = (struct work){g, fn, ctx};
    code = ld_embed_desk(ld_desk_put(g->desk, perform_posted, w));
    if (code)
        free(w);
    return code;
}

LD_PUBLIC int ld_gateway_call(struct ld_gateway *g, ld_gateway_work_fn fn,
                              void *ctx, double seconds)
{
    struct work w = {g, fn, ctx};
    int code = check_work(g, fn);

    if (code)
        return code;
    if (ld_embed_is_here(g)) {
        perform(&w);
        return 0;
    }
    return ld_embed_desk(ld_desk_call(g->desk, perform_called, &w, seconds));
}

LD_PUBLIC struct lua_State *ld_gateway_lua(struct ld_gateway *g)
{
    return ld_embed_own(g) ? NULL : g->vm->L;
}

struct publication {
    struct ld_gateway *g;
    size_t topic_size, size;
    char bytes[]; /* the topic, a NUL, the message */
};

static int publish_here(struct ld_gateway *g, const char *topic,
                        const void *message, size_t size)
{
    lua_pushstring(g->L, topic);
    lua_pushlstring(g->L, message, size);
    return ld_embed_lua(g, "publish", 2, 0);
}

/* Nobody waits to be told. */
static void publish_posted(void *ctx)
{
    struct publication *p = ctx;

    if (publish_here(p->g, p->bytes, p->bytes + p->topic_size + 1, p->size))
        ld_log(&p->g->log, LD_WARN, "not published", "error=\"%s\"",
               ld_error_text());
    free(p);
}

static int publish_later(struct ld_gateway *g, const char *topic,
                         const void *message, size_t size)
{
    size_t n = strlen(topic);
    struct publication *p = malloc(sizeof(*p) + n + 1 + size);
    int code;

    if (!p)
        return ld_refuse(LD_ERR_MEMORY, "out of memory");
    p->g = g;
    p->topic_size = n;
    p->size = size;
    memcpy(p->bytes, topic, n + 1);
    if (size > 0)
        memcpy(p->bytes + n + 1, message, size);
    code = ld_embed_desk(ld_desk_put(g->desk, publish_posted, p));
    if (code)
        free(p);
    return code;
}

LD_PUBLIC int ld_gateway_publish(struct ld_gateway *g, const char *topic,
                                 const void *message, size_t size)
{
    int code = ld_embed_check(g);

    if (code)
        return code;
    if (!topic || (!message && size > 0))
        return ld_refuse(LD_ERR_ARGUMENT, "the topic or the message is NULL");
    if (size > MESSAGE_MAX)
        return ld_refuse(LD_ERR_ARGUMENT, "a message has at most %d bytes",
                         MESSAGE_MAX);
    if (!ld_embed_is_here(g) || ld_embed_is_busy(g))
        return publish_later(g, topic, message, size);
    return publish_here(g, topic, message ? message : "", size)
               ? LD_ERR_ARGUMENT
               : 0;
}

/* core.hear(id, topic, message): a host's subscription has got something. */
int ld_embed_hear(lua_State *L)
{
    struct ld_gateway *g = ld_gateway_vm(L)->gateway;
    uint32_t id = (uint32_t)luaL_checknumber(L, 1);
    const char *topic = luaL_checkstring(L, 2);
    size_t size;
    const char *message = luaL_checklstring(L, 3, &size);

    for (struct ld_listening *l = g->listening; l; l = l->next) {
        if (l->id != id)
            continue;
        g->deep++;
        g->inside++;
        l->fn(l->ctx, topic, message, size);
        g->inside--;
        g->deep--;
        break;
    }
    return 0;
}

LD_PUBLIC int ld_gateway_subscribe(struct ld_gateway *g, const char *pattern,
                                   ld_gateway_message_fn fn, void *ctx,
                                   uint32_t *id)
{
    struct ld_listening *l;
    int code = ld_embed_free(g);

    if (code)
        return code;
    if (!pattern || !fn)
        return ld_refuse(LD_ERR_ARGUMENT, "the pattern or the function is "
                                          "NULL");
    l = calloc(1, sizeof(*l));
    if (!l)
        return ld_refuse(LD_ERR_MEMORY, "out of memory");
    *l = (struct ld_listening){g->listening, g->listening_id + 1, fn, ctx};
    lua_pushnumber(g->L, l->id);
    lua_pushstring(g->L, pattern);
    if (ld_embed_lua(g, "subscribe", 2, 0)) {
        free(l);
        return LD_ERR_ARGUMENT;
    }
    g->listening = l;
    g->listening_id++;
    if (id)
        *id = l->id;
    return 0;
}

LD_PUBLIC int ld_gateway_unsubscribe(struct ld_gateway *g, uint32_t id)
{
    struct ld_listening **at, *l;
    int code = ld_embed_free(g);

    if (code)
        return code;
    for (at = &g->listening; *at && (*at)->id != id; at = &(*at)->next)
        ;
    l = *at;
    if (!l)
        return ld_refuse(LD_ERR_ARGUMENT, "there is no subscription %u", id);
    lua_pushnumber(g->L, id);
    code = ld_embed_lua(g, "unsubscribe", 1, 0);
    *at = l->next;
    free(l);
    return code;
}

struct ld_gateway_stats ld_embed_count(const struct ld_gateway *g)
{
    const struct ld_vm *vm = g->vm;

    return (struct ld_gateway_stats){.opened = vm->pool->opened,
                                     .closed = vm->pool->closed,
                                     .accepted = vm->accepted,
                                     .refused =
                                         vm->refused[LD_SOURCE_CONNECTIONS] +
                                         vm->refused[LD_SOURCE_RATE],
                                     .handshakes = vm->failed_handshakes,
                                     .lua_bytes = ld_alloc_used(vm->alloc),
                                     .version = g->version};
}

struct counting {
    struct ld_gateway *g;
    struct ld_gateway_stats stats;
};

static void count(void *ctx)
{
    struct counting *c = ctx;

    c->stats = ld_embed_count(c->g);
}

/* A caller's struct may be of a newer header, or an older one. */
static void copy_stats(struct ld_gateway_stats *to,
                       const struct ld_gateway_stats *from)
{
    size_t size = to->size;

    memset(to, 0, size);
    memcpy(to, from, size < sizeof(*from) ? size : sizeof(*from));
    to->size = size;
}

LD_PUBLIC int ld_gateway_stats(struct ld_gateway *g,
                               struct ld_gateway_stats *stats)
{
    struct counting c = {.g = g};
    int code = ld_embed_check(g);

    if (code && code != LD_ERR_STOPPED)
        return code;
    if (!stats || stats->size <= sizeof(stats->size) || stats->size > STATS_MAX)
        return ld_refuse(LD_ERR_ARGUMENT, "the stats are NULL, or their size "
                                          "is not set");
    if (code)
        c.stats = g->last;
    else if (ld_embed_is_here(g))
        count(&c);
    else if ((code = ld_embed_desk(ld_desk_call(g->desk, count, &c, STATS))))
        return code;
    copy_stats(stats, &c.stats);
    return 0;
}
