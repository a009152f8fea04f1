/* channel_follow.c -- followers of a channel, and their places; see channel.h.
 */
#include <stdlib.h>

#include "channel.h"
#include "conn_parts.h"

_Static_assert(offsetof(struct ld_follower, sibling) == 64 &&
                   sizeof(struct ld_follower) == 128,
               "a turn looks at one cache line of each");

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
    uint64_t start;

    if (!ld_conn_extra(c) || grow_followers(ch))
        return NULL;
    f = aligned_alloc(64, sizeof(*f));
    if (!f)
        return NULL;
    if (ch->count == 0)
        ch->released = ch->offered = ch->head;
    start = ld_channel_start(ch, ld_channel_first(ch));
    *f = (struct ld_follower){.conn = c,
                              .channel = ch,
                              .index = ch->count,
                              .next = ld_channel_first(ch),
                              .greet_at = ld_channel_first(ch),
                              .until = ch->head,
                              .base = ch->published,
                              .joined = start,
                              .position = start,
                              .waits =
                                  ch->limits.marks && !ld_channel_has_mark(ch)};
    ch->followers[ch->count++] = f;
    return f;
}

struct ld_follower *ld_channel_find(const struct ld_channel *ch,
                                    const struct ld_conn *c)
{
    struct ld_follower *f = c->follows ? c->extra->follower : NULL;

    while (f && f->channel != ch)
        f = f->sibling;
    return f;
}

static int count_follows(const struct ld_conn *c)
{
    const struct ld_follower *f = c->follows ? c->extra->follower : NULL;
    int n = 0;

    for (; f; f = f->sibling)
        n++;
    return n;
}

enum ld_status ld_channel_join(struct ld_channel *ch, struct ld_conn *c,
                               uint64_t lag, enum ld_policy policy)
{
    struct ld_follower *f = ld_channel_find(ch, c);

    if (c->phase != LD_PHASE_OPEN || c->shut || c->doom)
        return LD_CLOSED;
    if (!f) {
        if (count_follows(c) >= LD_FOLLOWS_MAX)
            return LD_LIMIT;
        f = add(ch, c);
        if (!f)
            return LD_NOMEM;
        f->sibling = c->follows ? c->extra->follower : NULL;
        c->extra->follower = f;
        c->follows = true;
        ld_conn_queue(c);
    }
    f->lag = lag;
    f->policy = policy;
    return LD_OK;
}

enum ld_status ld_channel_follow(struct ld_channel *ch, struct ld_conn *c,
                                 uint64_t lag, enum ld_policy policy)
{
    if (c->phase != LD_PHASE_OPEN || c->shut || c->doom)
        return LD_CLOSED;
    if (!ld_channel_find(ch, c) || c->extra->follower->sibling)
        ld_channel_forget(c);
    return ld_channel_join(ch, c, lag, policy);
}

static void put(struct ld_channel *ch, uint32_t i, struct ld_follower *f)
{
    ch->followers[i] = f;
    f->index = i;
}

/* The last one takes its place; in the middle of a turn, by way of the last
 * one that was served, so that nobody is left out. */
static void take_out(struct ld_channel *ch, uint32_t i)
{
    if (i < ch->served) {
        put(ch, i, ch->followers[--ch->served]);
        i = ch->served;
    }
    put(ch, i, ch->followers[--ch->count]);
}

void ld_channel_leave(struct ld_channel *ch, struct ld_conn *c)
{
    struct ld_follower *f = ld_channel_find(ch, c);
    struct ld_follower **at;

    if (!f)
        return;
    take_out(ch, f->index);
    for (at = &c->extra->follower; *at != f;)
        at = &(*at)->sibling;
    *at = f->sibling;
    c->follows = c->extra->follower != NULL;
    free(f);
}

void ld_channel_forget(struct ld_conn *c)
{
    while (c->follows)
        ld_channel_leave(c->extra->follower->channel, c);
}

/* Bytes published before the entry that F is to be written next. */
static uint64_t position(const struct ld_follower *f)
{
    return f->next < f->channel->tail ? f->position
                                      : ld_channel_start(f->channel, f->next);
}

void ld_follower_stuck(struct ld_follower *f)
{
    f->position = position(f);
}

uint64_t ld_follower_behind(const struct ld_follower *f)
{
    return f->waits ? 0 : f->channel->published - position(f);
}

uint64_t ld_follower_sent(const struct ld_follower *f)
{
    return position(f) - f->joined - f->lost_bytes;
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
static void greet_before(struct ld_follower *f, uint64_t to)
{
    struct ld_channel *ch = f->channel;

    if (f->greet_at != LD_NO_ENTRY && f->greet_at >= f->next)
        f->greet_at = f->greet_at > to ? f->greet_at : to;
    else if (f->version != ch->preamble_version && f->next <= ch->preamble_at)
        f->greet_at = to;
}

/* F passes over what comes before entry TO. */
static void move(struct ld_follower *f, uint64_t to)
{
    greet_before(f, to);
    f->channel->lost += to - f->next;
    f->lost += to - f->next;
    f->lost_bytes += ld_channel_start(f->channel, to) - position(f);
    f->next = to;
}

/* F has all there is, or waits already, and goes on at the next mark. */
void ld_follower_await(struct ld_follower *f)
{
    f->joined += f->channel->published - position(f);
    f->next = f->channel->head;
    f->waits = true;
}

/* F waits for a mark.  False when there is none yet.  A newcomer begins at the
 * oldest that came meanwhile, and has lost nothing by waiting. */
static bool resume(struct ld_follower *f)
{
    struct ld_channel *ch = f->channel;
    uint64_t mark = ch->mark;

    if (!ld_channel_has_mark(ch) || mark < f->next)
        return false;
    if (f->skipped > 0) {
        move(f, mark);
    } else {
        if (ch->fresh >= ch->tail && ch->fresh >= f->next && ch->fresh < mark)
            mark = ch->fresh;
        greet_before(f, mark);
        f->joined += ld_channel_start(ch, mark) - position(f);
        f->next = mark;
    }
    f->waits = false;
    f->base = ch->published;
    return true;
}

/* F has lost its place: on at a mark that is ahead, now or when it comes. */
static bool skip_to_mark(struct ld_follower *f)
{
    struct ld_channel *ch = f->channel;

    ld_follower_stuck(f);
    f->waits = true;
    if (f->next >= ch->tail && f->next < ch->head)
        move(f, f->next + 1);
    ld_follower_stuck(f);
    return resume(f);
}

static bool quit(struct ld_follower *f)
{
    const struct ld_channels *all = &f->channel->pool->channels;

    f->channel->quit++;
    if (all->lagged)
        all->lagged(all->ctx, f->conn);
    ld_conn_doom(f->conn, LD_LIMIT, false);
    return false;
}

/* False when F is to be written nothing: it waits, or its connection is to
 * end. */
bool ld_follower_place(struct ld_follower *f)
{
    struct ld_channel *ch = f->channel;
    uint64_t first = ld_channel_first(ch);

    if (f->waits)
        return resume(f);
    if (f->next >= ch->tail && !is_behind(f))
        return true;
    if (f->policy == LD_QUIT)
        return quit(f);
    f->skipped++;
    if (f->policy == LD_DROP) {
        ch->dropped++;
        move(f, oldest_within_lag(f));
        f->base = ld_channel_start(ch, f->next);
        return true;
    }
    ch->skipped++;
    if (ch->limits.marks)
        return skip_to_mark(f);
    move(f, first > f->next ? first : ch->head);
    f->base = ch->published;
    return true;
}
