/* channel.h -- a bounded log of blobs that many connections follow.
 *
 * Publishing appends one entry, whatever the followers.  On the channel's turn,
 * when the pool settles or the merge window ends, each follower writes all
 * between its place and the head with one call, straight from the log.  What a
 * call leaves of a blob goes into the connection's own output, so that a blob
 * always goes out whole; a connection with output that is stuck is passed over,
 * and goes on from its place when its output has drained.
 *
 * Entries are numbered from 0.  A newcomer gets the preamble, then the log from
 * the newest mark, or, without one, what comes.  Whoever has fallen off the
 * tail, or is more than its lag behind, loses its place, as its policy says.
 * In a channel with places at marks only, nobody begins between them: where
 * there is none to begin at, a follower waits for the next one, and is written
 * nothing.
 * Lag is what it could have written: neither what was in the log when it took
 * its place, nor what had no turn yet.
 *
 * The pool owns its channels, a channel its log and its followers.  A follower
 * ends with its connection, with ld_channel_forget(), or with the channel; no
 * end loses what is in the connection's output already.
 *
 * channel.c         the log
 * channel_follow.c  followers and their places
 * channel_turn.c    writing
 */
#ifndef LD_CHANNEL_H
#define LD_CHANNEL_H

#include "chain.h"
#include "conn.h"
#include "timer.h"

#define LD_NO_ENTRY UINT64_MAX

enum { LD_FOLLOWS_MAX = 16 }; /* channels that one connection follows */

/* What becomes of a follower that has lost its place. */
enum ld_policy {
    LD_SKIP, /* on at the newest mark, if that is ahead; else at the head */
    LD_DROP, /* on at the oldest entry within its lag */
    LD_QUIT  /* its connection ends: LD_LIMIT */
};

/* Bytes [off, off + len) of BLOB. */
struct ld_entry {
    struct ld_blob *blob;
    uint32_t off;
    uint32_t len : 31;
    uint32_t mark : 1; /* newcomers may start here */
    uint64_t start;    /* bytes published before it */
};

struct ld_follower {
    struct ld_conn *conn;
    struct ld_channel *channel;
    uint64_t next;     /* entry to write next */
    uint64_t greet_at; /* entry before which the preamble goes */
    uint64_t until;    /* entries that need not wait for a turn */
    uint64_t base;     /* bytes published when it took its place */
    uint64_t lag;      /* bytes it may be behind; UINT64_MAX: any number */
    uint32_t version;  /* of the preamble it was sent last; 0: none */
    uint32_t index : 29;
    uint32_t policy : 2; /* enum ld_policy */
    uint32_t waits : 1;  /* for a mark after entry next */
    /* What a turn does not look at. */
    struct ld_follower *sibling; /* of the same connection */
    uint64_t joined;             /* bytes published before its first entry */
    uint64_t position;           /* and before entry next, when it got stuck */
    uint64_t skipped;            /* times that it lost its place, */
    uint64_t lost, lost_bytes;   /* and entries that it passed over */
    uint64_t spare[2];
};

struct ld_channel_limits {
    uint32_t bytes, items; /* of the log, over 0 */
    double merge;          /* seconds that entries wait for company */
    bool marks;            /* places are at marks only */
};

struct ld_channel {
    struct ld_pool *pool;
    struct ld_entry *ring; /* entry I is at I & mask; NULL before the first */
    uint32_t mask;
    uint64_t tail, head;    /* entries [tail, head) are there */
    uint64_t mark;          /* the newest; LD_NO_ENTRY, or below tail: none */
    uint64_t fresh;         /* the oldest since the last turn */
    uint64_t released;      /* entries below it may be written, */
    uint64_t offered;       /* and below this had their turn: lag counts them */
    struct ld_blob *joined; /* in a turn: entries [joined_from, released) */
    uint64_t joined_from;
    uint64_t published; /* bytes ever, */
    uint64_t entries;   /* and entries */
    struct ld_blob *preamble;
    uint64_t preamble_at;      /* head when it was set */
    uint32_t preamble_version; /* 0: never set */
    struct ld_channel_limits limits;
    struct ld_timer timer; /* of the merge window */
    struct ld_follower **followers;
    uint32_t count, cap;
    uint32_t served;         /* followers that had their part of the turn */
    bool queued;             /* for a turn */
    uint64_t skipped;        /* times that a follower skipped, */
    uint64_t dropped;        /* dropped entries, */
    uint64_t quit;           /* or was ended */
    uint64_t lost;           /* entries that were passed over so */
    struct ld_channel *next; /* in pool->channels.queue */
    struct ld_channel *next_all, **this_all; /* in pool->channels.all */
};

/* NULL when out of memory. */
struct ld_channel *ld_channel_new(struct ld_pool *pool,
                                  const struct ld_channel_limits *limits);

/* From the next entry on. */
void ld_channel_limit(struct ld_channel *ch,
                      const struct ld_channel_limits *limits);

/* Its followers follow nothing any more. */
void ld_channel_free(struct ld_channel *ch);

/* Append DATA as one entry; with MARK, newcomers start there.  Pieces that are
 * most of a blob are shared, others copied.  Empty data sets a mark on what
 * comes next.  LD_LIMIT: more bytes than the log may have.  LD_NOMEM.  A burst
 * that would push out what nobody could write yet is written first. */
enum ld_status ld_channel_publish(struct ld_channel *ch,
                                  const struct ld_chain *data, bool mark);

/* Replace the preamble by DATA, empty for none.  Who follows already gets it
 * only if it has got nothing yet, or when it skips past this change. */
enum ld_status ld_channel_preamble(struct ld_channel *ch,
                                   const struct ld_chain *data);

/* The publisher has gone: what is in the log is for those who have not read it
 * yet, and nobody starts there.  Followers stay, and are greeted with the next
 * preamble before the next entry. */
void ld_channel_end(struct ld_channel *ch);

/* Forget the log: all followers lose their place. */
void ld_channel_cut(struct ld_channel *ch);

/* Have C follow CH; what it followed before ends.  If it is CH already, only
 * its LAG and POLICY change.  LD_CLOSED: C has ended or writes no more.
 * LD_NOMEM. */
enum ld_status ld_channel_follow(struct ld_channel *ch, struct ld_conn *c,
                                 uint64_t lag, enum ld_policy policy);

/* The same, besides what C follows already; their blobs come in any order.
 * LD_LIMIT: it follows LD_FOLLOWS_MAX. */
enum ld_status ld_channel_join(struct ld_channel *ch, struct ld_conn *c,
                               uint64_t lag, enum ld_policy policy);

/* C does not follow CH any more. */
void ld_channel_leave(struct ld_channel *ch, struct ld_conn *c);

/* C follows nothing any more. */
void ld_channel_forget(struct ld_conn *c);

/* C as a follower of CH, or NULL. */
struct ld_follower *ld_channel_find(const struct ld_channel *ch,
                                    const struct ld_conn *c);

/* Bytes of the channel that F has still to be written, or to pass over; and
 * that it was written so far. */
uint64_t ld_follower_behind(const struct ld_follower *f);
uint64_t ld_follower_sent(const struct ld_follower *f);

/* Write what each follower that C is may have now; see ld_follower_write(). */
enum ld_status ld_followers_write(struct ld_conn *c);

/* Write what F may have now; its connection must have no output queued.
 * LD_OK: it has all, or its connection is to end.  LD_AGAIN: the transport is
 * full.  Else the connection is lost. */
enum ld_status ld_follower_write(struct ld_follower *f);

/* Give the channels that are queued their turn. */
void ld_channels_settle(struct ld_pool *pool);

/* Free the channels that are left. */
void ld_channels_free(struct ld_pool *pool);

static inline const struct ld_entry *
ld_channel_entry(const struct ld_channel *ch, uint64_t i)
{
    return &ch->ring[i & ch->mask];
}

/* Bytes published before entry I, tail <= I <= head. */
static inline uint64_t ld_channel_start(const struct ld_channel *ch, uint64_t i)
{
    return i < ch->head ? ld_channel_entry(ch, i)->start : ch->published;
}

/* Bytes in the log. */
static inline uint64_t ld_channel_bytes(const struct ld_channel *ch)
{
    return ch->published - ld_channel_start(ch, ch->tail);
}

/* Is there a mark at which one can start? */
static inline bool ld_channel_has_mark(const struct ld_channel *ch)
{
    return ch->mark != LD_NO_ENTRY && ch->mark >= ch->tail;
}

/* Where a newcomer starts, if not later. */
static inline uint64_t ld_channel_first(const struct ld_channel *ch)
{
    return ld_channel_has_mark(ch) ? ch->mark : ch->head;
}

/* For the files of channel.c only. */
void ld_channel_turn(struct ld_channel *ch);
void ld_follower_stuck(struct ld_follower *f);
void ld_follower_await(struct ld_follower *f);
void ld_channel_queue(struct ld_channel *ch);
bool ld_follower_place(struct ld_follower *f);

#endif
