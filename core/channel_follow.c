/* channel_follow.c -- followers of a channel, and their places; see channel.h.
 */
#include <stdlib.h>

#include "channel.h"

_Static_assert(sizeof(struct ld_follower) == 64, "one cache line each");

static enum ld_status grow_followers(struct ld_channel *ch)
{
    uint32_t cap = ch->cap ? 2 * ch->cap : 8;
    struct ld_follower **grown;

    if (ch->count < ch->cap)
        return LD_OK;
    grown = realloc(ch->followers, cap * sizeof(*grown));
    if (!grown)
        return LD_NOMEM;
    ch->followers = grown;
    ch->cap = cap;
    return LD_OK;
}

static struct ld_follower *add(struct ld_channel *ch, struct ld_conn *c)
{
    struct ld_follower *f;

    if (!ld_conn_extra(c) || grow_followers(ch))
        return NULL;
    f = aligned_alloc(sizeof(*f), sizeof(*f));
    if (!f)
        return NULL;
    if (ch->count == 0)
        ch->released = ch->offered = ch->head;
    *f = (struct ld_follower){.conn = c,
                              .channel = ch,
                              .index = ch->count,
                              .next = ld_channel_first(ch),
                              .greet_at = ld_channel_first(ch),
                              .until = ch->head,
                              .base = ch->published};
    ch->followers[ch->count++] = f;
    return f;
}

enum ld_status ld_channel_follow(struct ld_channel *ch, struct ld_conn *c,
                                 uint64_t lag, enum ld_policy policy)
{
    struct ld_follower *f = c->follows ? c->extra->follower : NULL;

    if (c->phase != LD_PHASE_OPEN || c->shut || c->doom)
        return LD_CLOSED;
    if (!f || f->channel != ch) {
        f = add(ch, c);
        if (!f)
            return LD_NOMEM;
        ld_channel_forget(c);
        c->extra->follower = f;
        c->follows = true;
        ld_conn_queue(c);
    }
    f->lag = lag;
    f->policy = policy;
    return LD_OK;
}

static void put(struct ld_channel *ch, uint32_t i, struct ld_follower *f)
{
    ch->followers[i] = f;
    f->index = i;
}

/* The last one takes its place; in the middle of a turn, by way of the last
 * one that was served, so that nobody is left out. */
void ld_channel_forget(struct ld_conn *c)
{
    struct ld_follower *f = c->follows ? c->extra->follower : NULL;
    struct ld_channel *ch;
    uint32_t i;

    if (!f)
        return;
    ch = f->channel;
    i = f->index;
    if (i < ch->served) {
        put(ch, i, ch->followers[--ch->served]);
        i = ch->served;
    }
    put(ch, i, ch->followers[--ch->count]);
    c->extra->follower = NULL;
    c->follows = false;
    free(f);
}

/* Is it behind by more than it may be? */
static bool is_behind(const struct ld_follower *f)
{
    const struct ld_channel *ch = f->channel;
    uint64_t end = ld_channel_start(ch, ch->offered);
    uint64_t start = ld_channel_start(ch, f->next);

    if (start < f->base)
        start = f->base;
    return end > start && end - start > f->lag;
}

/* The oldest entry with at most F->lag bytes from it to the head. */
static uint64_t oldest_within_lag(const struct ld_follower *f)
{
    const struct ld_channel *ch = f->channel;
    uint64_t low = ch->tail, high = ch->head;

    while (low < high) {
        uint64_t i = low + (high - low) / 2;

        if (ch->published - ld_channel_start(ch, i) > f->lag)
            low = i + 1;
        else
            high = i;
    }
    return low;
}

/* A greeting that is due stays due; else one is if the preamble has changed
 * in what is passed over. */
static void move(struct ld_follower *f, uint64_t to)
{
    struct ld_channel *ch = f->channel;

    if (f->greet_at != LD_NO_ENTRY && f->greet_at >= f->next)
        f->greet_at = f->greet_at > to ? f->greet_at : to;
    else if (f->version != ch->preamble_version && f->next <= ch->preamble_at)
        f->greet_at = to;
    ch->lost += to - f->next;
    f->next = to;
}

/* False when F's connection is to end instead. */
bool ld_follower_place(struct ld_follower *f)
{
    struct ld_channel *ch = f->channel;
    const struct ld_channels *all = &ch->pool->channels;
    uint64_t first = ld_channel_first(ch);

    if (f->next >= ch->tail && !is_behind(f))
        return true;
    if (f->policy == LD_QUIT) {
        ch->quit++;
        if (all->lagged)
            all->lagged(all->ctx, f->conn);
        ld_conn_doom(f->conn, LD_LIMIT, false);
        return false;
    }
    if (f->policy == LD_DROP) {
        ch->dropped++;
        move(f, oldest_within_lag(f));
        f->base = ld_channel_start(ch, f->next);
    } else {
        ch->skipped++;
        move(f, first > f->next ? first : ch->head);
        f->base = ch->published;
    }
    return true;
}
