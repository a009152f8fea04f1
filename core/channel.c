/* channel.c -- the log of a channel; see channel.h. */
#include "channel.h"

#include <stdlib.h>

enum { RING_MIN = 16, ITEMS_MAX = 1 << 24 };

static void on_window(struct ld_timer *t, double now)
{
    (void)now;
    ld_channel_queue(
        (struct ld_channel *)(void *)((char *)t -
                                      offsetof(struct ld_channel, timer)));
}

void ld_channel_limit(struct ld_channel *ch,
                      const struct ld_channel_limits *limits)
{
    ch->limits = *limits;
    if (ch->limits.items > ITEMS_MAX)
        ch->limits.items = ITEMS_MAX;
}

struct ld_channel *ld_channel_new(struct ld_pool *pool,
                                  const struct ld_channel_limits *limits)
{
    struct ld_channel *ch = calloc(1, sizeof(*ch));

    if (!ch)
        return NULL;
    ch->pool = pool;
    ld_channel_limit(ch, limits);
    ch->mark = ch->fresh = LD_NO_ENTRY;
    ch->timer.fire = on_window;
    ch->next_all = pool->channels.all;
    ch->this_all = &pool->channels.all;
    if (ch->next_all)
        ch->next_all->this_all = &ch->next_all;
    pool->channels.all = ch;
    return ch;
}

/* Drop entries below I. */
static void drop_until(struct ld_channel *ch, uint64_t i)
{
    for (; ch->tail < i; ch->tail++)
        ld_blob_unref(ld_channel_entry(ch, ch->tail)->blob);
}

static void unqueue(struct ld_channel *ch)
{
    struct ld_channel **at = &ch->pool->channels.queue;

    if (!ch->queued)
        return;
    while (*at != ch)
        at = &(*at)->next;
    *at = ch->next;
}

void ld_channel_free(struct ld_channel *ch)
{
    while (ch->count > 0)
        ld_channel_leave(ch, ch->followers[0]->conn);
    unqueue(ch);
    ld_timer_cancel(&ch->pool->alarms, &ch->timer);
    *ch->this_all = ch->next_all;
    if (ch->next_all)
        ch->next_all->this_all = ch->this_all;
    drop_until(ch, ch->head);
    ld_blob_unref(ch->preamble);
    free(ch->followers);
    free(ch->ring);
    free(ch);
}

void ld_channels_free(struct ld_pool *pool)
{
    while (pool->channels.all)
        ld_channel_free(pool->channels.all);
}

void ld_channel_queue(struct ld_channel *ch)
{
    if (ch->queued)
        return;
    ch->queued = true;
    ch->next = ch->pool->channels.queue;
    ch->pool->channels.queue = ch;
}

void ld_channels_settle(struct ld_pool *pool)
{
    while (pool->channels.queue) {
        struct ld_channel *ch = pool->channels.queue;

        pool->channels.queue = ch->next;
        ch->queued = false;
        ld_channel_turn(ch);
    }
}

/* The first entry waits for the window's end, and the others with it. */
static void schedule(struct ld_channel *ch)
{
    struct ld_timers *alarms = &ch->pool->alarms;
    double at;

    if (ch->count == 0 || ch->queued || ch->timer.index)
        return;
    if (ch->limits.merge > 0) {
        at = ld_pool_clock(ch->pool) + ch->limits.merge;
        if (ld_timer_set(alarms, &ch->timer, at) == LD_OK)
            return;
    }
    ld_channel_queue(ch);
}

static enum ld_status grow_ring(struct ld_channel *ch)
{
    uint32_t size = ch->ring ? 2 * (ch->mask + 1) : RING_MIN;
    struct ld_entry *ring;

    if (ch->ring && ch->head - ch->tail <= ch->mask)
        return LD_OK;
    ring = malloc(size * sizeof(*ring));
    if (!ring)
        return LD_NOMEM;
    for (uint64_t i = ch->tail; i < ch->head; i++)
        ring[i & (size - 1)] = *ld_channel_entry(ch, i);
    free(ch->ring);
    ch->ring = ring;
    ch->mask = size - 1;
    return LD_OK;
}

/* Make room for LEN more bytes by dropping the oldest; what had no turn yet
 * has it first, so that no follower falls behind for want of one. */
static void evict(struct ld_channel *ch, uint64_t len)
{
    uint64_t keep = ch->published + len, to = ch->tail;

    keep = keep > ch->limits.bytes ? keep - ch->limits.bytes : 0;
    while (to < ch->head && (ld_channel_entry(ch, to)->start < keep ||
                             ch->head - to >= ch->limits.items))
        to++;
    if (to > ch->released && ch->count > 0)
        ld_channel_turn(ch);
    drop_until(ch, to);
}

/* DATA as one piece in *E: shared where it is most of its blob, so that the
 * log holds at most twice the bytes that it counts. */
static enum ld_status make_entry(struct ld_entry *e,
                                 const struct ld_chain *data)
{
    const struct ld_segment *s = &data->segments[data->head];

    e->len = (uint32_t)data->bytes;
    e->off = s->off;
    if (data->count == 1 && s->len >= s->blob->size / 2) {
        e->blob = ld_blob_ref(s->blob);
        return LD_OK;
    }
    e->off = 0;
    e->blob = ld_blob_new(data->bytes);
    if (!e->blob)
        return LD_NOMEM;
    ld_chain_copy(data, 0, data->bytes, e->blob->data);
    return LD_OK;
}

enum ld_status ld_channel_publish(struct ld_channel *ch,
                                  const struct ld_chain *data, bool mark)
{
    struct ld_entry e;

    if (data->bytes > ch->limits.bytes)
        return LD_LIMIT;
    if (data->bytes > 0) {
        if (make_entry(&e, data))
            return LD_NOMEM;
        evict(ch, e.len);
        if (grow_ring(ch)) {
            ld_blob_unref(e.blob);
            return LD_NOMEM;
        }
        e.start = ch->published;
        e.mark = mark || ch->mark == ch->head;
        ch->published += e.len;
        ch->entries++;
        ch->ring[ch->head++ & ch->mask] = e;
        schedule(ch);
    }
    if (mark)
        ch->mark = ch->head - (data->bytes > 0);
    if (mark && ch->fresh == LD_NO_ENTRY)
        ch->fresh = ch->mark;
    return LD_OK;
}

enum ld_status ld_channel_preamble(struct ld_channel *ch,
                                   const struct ld_chain *data)
{
    struct ld_blob *b = NULL;

    if (data->bytes > ch->limits.bytes)
        return LD_LIMIT;
    if (data->bytes > 0) {
        b = ld_blob_new(data->bytes);
        if (!b)
            return LD_NOMEM;
        ld_chain_copy(data, 0, data->bytes, b->data);
    }
    ld_blob_unref(ch->preamble);
    ch->preamble = b;
    ch->preamble_at = ch->head;
    if (++ch->preamble_version == 0)
        ch->preamble_version = 1;
    schedule(ch); /* some may wait for it */
    return LD_OK;
}

void ld_channel_end(struct ld_channel *ch)
{
    uint64_t oldest = ch->head;

    ld_channel_turn(ch);
    for (uint32_t i = 0; i < ch->count; i++) {
        struct ld_follower *f = ch->followers[i];

        if (f->waits)
            ld_follower_await(f);
        f->greet_at = ch->head;
        if (ch->limits.marks && f->next == ch->head)
            ld_follower_await(f);
        if (f->next < oldest)
            oldest = f->next;
    }
    drop_until(ch, oldest);
    ch->mark = ch->fresh = LD_NO_ENTRY;
    ld_blob_unref(ch->preamble);
    ch->preamble = NULL;
}

void ld_channel_cut(struct ld_channel *ch)
{
    drop_until(ch, ch->head);
    ch->tail = ++ch->head; /* one that nobody can have */
    ch->released = ch->offered = ch->head;
    ch->mark = ch->fresh = LD_NO_ENTRY;
}
