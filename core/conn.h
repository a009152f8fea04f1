/* conn.h -- a connection: a transport, input, output, deadlines, and at most
 * one pending read.
 *
 * Data flows one way: transport -> input buffer -> unpacker -> (the handler,
 * behind ld_hooks) -> output chain -> transport.  An idle connection holds no
 * buffer: reads go through the pool's, and only an unfinished frame is kept.
 *
 * Each read call tries at once.  LD_AGAIN means that the wait was recorded:
 * the handler must return to the loop, and ld_hooks.wake comes with the
 * outcome, once, when the whole frame is there.
 *
 * What has a coroutine and no transport is a task, with the same slot, handle
 * and life; what has a transport and no coroutine is passive: others read it.
 * A coroutine is suspended by a read of its own connection, by one of another
 * connection (it is away), or until somebody wakes it (it is parked).
 *
 * conn.c       life cycle, events, deadlines
 * conn_state.c states and their deadlines
 * conn_news.c  messages, parking, ownership
 * conn_input.c where input is kept
 * conn_read.c  the reads, and how they go on when bytes arrive
 * conn_stream.c  those of any size, in pieces
 * conn_relay.c what goes from one connection to another
 * conn_splice.c  the same without a copy, when there is much
 * conn_drain.c who waits for another's output to drain
 * conn_meter.c  how much its source may send
 * conn_secure.c  another transport over the same socket
 * conn_end.c   flush, lingering close, release
 */
#ifndef LD_CONN_H
#define LD_CONN_H

#include <ev.h>

#include "chain.h"
#include "pool.h"
#include "proxy.h"
#include "source.h"
#include "transport.h"

enum ld_phase {
    LD_PHASE_FREE,
    LD_PHASE_OPEN,
    LD_PHASE_FLUSHING, /* the handler is done; output is on its way */
    LD_PHASE_LINGERING /* output delivered; input is read and dropped */
};

enum ld_wait {
    LD_WAIT_NONE,
    LD_WAIT_START,   /* to be run for the first time, or in another state */
    LD_WAIT_FRAME,   /* a frame of `format` */
    LD_WAIT_BYTES,   /* `need` bytes */
    LD_WAIT_SOME,    /* at least one byte, at most `need` */
    LD_WAIT_PIECE,   /* bytes up to a delimiter */
    LD_WAIT_SKIP,    /* await->left bytes to drop */
    LD_WAIT_FLUSH,   /* all output taken by the kernel */
    LD_WAIT_ROOM,    /* output below the low watermark */
    LD_WAIT_ABANDON, /* never: the coroutine ignored the end too often */
    /* From here on input may go past the read buffer. */
    LD_WAIT_FILL,  /* await->left bytes to move into await->into */
    LD_WAIT_RELAY, /* await->left bytes to move to await->sink */
    LD_WAIT_PIPE   /* all bytes to move to await->sink, and back */
};

/* How a coroutine is suspended, other than by a read of its own connection. */
enum ld_parked {
    LD_NOT_PARKED,
    LD_PARKED, /* until unparked, or a wait of its own ends */
    LD_AWAY    /* by a read of another connection */
};

/* What a connection has to be told before it goes on, as bits. */
enum {
    LD_NEWS_MAIL = 1,     /* messages or timers for its hooks */
    LD_NEWS_UNPARKED = 2, /* its coroutine may go on */
    LD_NEWS_MOVED = 4,    /* a hook has chosen the state after this one */
    LD_NEWS_POSTPONED = 8 /* messages for when the state changes */
};

/* How to read. */
enum {
    LD_OPENS = 1, /* an end before the first byte is clean: LD_EOF */
    LD_KEEP = 2,  /* do not consume: peek */
    LD_NOWAIT = 4 /* LD_AGAIN records nothing: try */
};

/* The state of a connection that has not entered one. */
enum { LD_NO_STATE = UINT16_MAX };

/* How often its end is raised in a coroutine before that is abandoned. */
enum { LD_GONE_MAX = 2 };

/* Seconds; HUGE_VAL for none. */
struct ld_timeouts {
    double idle, total;
};

/* What a handler's version gives all its connections.  Owned by the version;
 * outlives its connections. */
struct ld_profile {
    uint32_t frame_limit;  /* bytes of one frame */
    uint32_t output_limit; /* bytes queued at most */
    double linger;         /* seconds to flush at the end */
    double lifetime;       /* seconds from its beginning on; HUGE_VAL: any */
    double stall;          /* seconds without a byte taken, the same */
    uint32_t state_count;
    const struct ld_timeouts *timeouts; /* by state */
};

/* A suspended read's extra state; only while one is pending. */
struct ld_await {
    struct ld_parse parse;
    uint64_t left;         /* bytes still to skip or move */
    int64_t sink;          /* handle of where they go, or 0 */
    uint32_t bulk;         /* bytes to splice next; 0: read them */
    uint8_t lost;          /* enum ld_status: why the sink is gone */
    bool first, done;      /* of a pipe: counted first; all has gone */
    struct ld_chain *into; /* borrowed; LD_WAIT_FILL */
    union ld_value *values;
    uint32_t values_cap;
    uint8_t delimiter[LD_FORMAT_DELIMITER];
    uint8_t delimiter_size;
    struct ld_await *next;
};

/* Who does something when a connection's output has drained. */
struct ld_dependent {
    int64_t handle;
    bool parked; /* its coroutine is; else it relays to the connection */
};

/* Where a connection is counted. */
struct ld_meter {
    struct ld_source *source; /* NULL: nowhere */
    struct ld_timer timer;    /* until its source may send again */
    struct ld_pool *pool;
    int64_t handle;
};

/* What few connections have, made on use. */
struct ld_extra {
    struct ld_timeouts *override; /* by state; NULL: the profile's */
    struct ld_follower *follower; /* of a channel; channel.h */
    struct ld_origin *origin;     /* who a proxy says it is from, or NULL */
    struct ld_conn *parent;       /* whom it ends with */
    struct ld_conn *children, *sibling, **sibling_of;
    struct ld_dependent *dependents;
    uint32_t dependent_count, dependent_cap;
    struct ld_meter meter;
    void *data;     /* of a handler in C */
    double stalled; /* since when its peer takes nothing, if `stalling` */
};

struct ld_conn {
    ev_io io;
    struct ld_link link;
    struct ld_pool *pool;
    const struct ld_profile *profile;
    void *owner;        /* the bind half's: the coroutine */
    struct ld_blob *in; /* input bytes [pos, end); the pool's during a turn */
    uint32_t pos, end;
    struct ld_chain *out; /* NULL when nothing is queued */
    const struct ld_format *format;
    struct ld_await *await;
    struct ld_extra *extra; /* or NULL */
    double began;
    double heard;   /* when the last byte came */
    double entered; /* when the state was entered */
    struct ld_timer timer;
    uint32_t slot, generation;
    int64_t waiter;          /* whose coroutine the wait is; 0: its own */
    uint32_t waiter_epoch;   /* of that one when it began to wait */
    uint32_t epoch;          /* counts the resumes of its coroutine */
    uint32_t need;           /* input bytes that must be there to go on */
    uint32_t view;           /* generation of borrowed slices */
    uint32_t restart_unread; /* input that was unread at the last restart */
    uint32_t peer_host;      /* IPv4; others are asked of the kernel */
    uint16_t peer_port;
    uint16_t state;
    uint16_t listener;
    uint8_t phase, wait, flags; /* of the pending read */
    uint8_t doom;               /* enum ld_status: why it must end */
    uint8_t gone_count;         /* times the end was reported */
    uint8_t restarts;           /* by on_error, without progress */
    uint8_t news;               /* LD_NEWS_ bits */
    uint8_t parked;             /* enum ld_parked */
    bool eof : 1;               /* the peer has ended its side */
    bool eof_told : 1;          /* and the handler knows */
    bool held : 1;              /* by the high watermark */
    bool blocked : 1;           /* the transport takes no more */
    bool queued : 1;            /* in pool->dirty */
    bool shut : 1;              /* no more output, once flushed */
    bool depended : 1;          /* has dependents */
    bool reset : 1;             /* end with a reset */
    bool consumed : 1;          /* input, since the state was entered */
    bool wrote : 1;             /* its coroutine, since then */
    bool task : 1;              /* it has no transport */
    bool passive : 1;           /* it has no coroutine */
    bool stray : 1;             /* tell of what comes to no reader */
    bool entangled : 1;         /* has things to be released at its end */
    bool follows : 1;           /* a channel */
    bool newcomer : 1;          /* it came just now, and has read nothing */
    bool stalling : 1;          /* extra->stalled is set */
    bool metered : 1;           /* extra->meter has a source */
    bool throttled : 1;         /* which has sent too much */
    bool quick_ack : 1;         /* acknowledge input at the end of each turn */
};

/* A connection over LINK, which it takes over, on success only.  NULL with
 * errno set.  Not running yet: see ld_conn_begin(). */
struct ld_conn *ld_conn_new(struct ld_pool *pool, struct ld_link link,
                            const struct ld_profile *profile);

/* Wake the handler for the first time, and watch for input. */
void ld_conn_begin(struct ld_conn *c);

/* A connection over LINK, which it takes over, on success only, that has no
 * coroutine; watched from the next settling on.  NULL with errno set. */
struct ld_conn *ld_conn_new_passive(struct ld_pool *pool, struct ld_link link,
                                    const struct ld_profile *profile);

/* A task; it begins when the pool settles.  NULL with errno set. */
struct ld_conn *ld_conn_new_task(struct ld_pool *pool,
                                 const struct ld_profile *profile);

/* From now on C belongs to PARENT (NULL: to nobody), whose owner ends it. */
enum ld_status ld_conn_adopt(struct ld_conn *parent, struct ld_conn *c);

/* C->extra, made now if need be; NULL when out of memory. */
struct ld_extra *ld_conn_extra(struct ld_conn *c);

/* C has news: it is told when the pool settles, or at its next wait or
 * transition. */
void ld_conn_tell(struct ld_conn *c, unsigned news);

/* Have C's coroutine, if it is parked, go on when the pool settles. */
void ld_conn_unpark(struct ld_conn *c);

/* Whose coroutine C's pending wait is; NULL when that one has gone on since
 * without it. */
struct ld_conn *ld_conn_waiter(struct ld_conn *c);

/* The transport is ready in the directions of EVENTS (LD_READ, LD_WRITE). */
void ld_conn_ready(struct ld_conn *c, int events);

/* An exact number that stands for C while it lives. */
static inline int64_t ld_conn_handle(const struct ld_conn *c)
{
    return (int64_t)c->generation << LD_SLOT_BITS | c->slot;
}

/* How many slots there are, and that one of them, which may be free. */
static inline uint32_t ld_pool_slots(const struct ld_pool *pool)
{
    return pool->page_count * LD_PAGE_CONNS;
}

static inline struct ld_conn *ld_pool_at(const struct ld_pool *pool,
                                         uint32_t slot)
{
    return &pool->pages[slot / LD_PAGE_CONNS][slot % LD_PAGE_CONNS];
}

/* Defined here for speed: every call from Lua starts with it.  NULL when the
 * handle is stale or was never one. */
static inline struct ld_conn *ld_conn_find(const struct ld_pool *pool,
                                           int64_t handle)
{
    uint32_t slot = (uint32_t)handle & ((1U << LD_SLOT_BITS) - 1);
    struct ld_conn *c;

    if (slot / LD_PAGE_CONNS >= pool->page_count)
        return NULL;
    c = ld_pool_at(pool, slot);
    return c->generation == (uint64_t)handle >> LD_SLOT_BITS &&
                   c->phase != LD_PHASE_FREE
               ? c
               : NULL;
}

/* Bytes buffered and not read, bytes queued and not sent. */
static inline uint32_t ld_conn_unread(const struct ld_conn *c)
{
    return c->end - c->pos;
}

static inline size_t ld_conn_unsent(const struct ld_conn *c)
{
    return c->out ? c->out->bytes : 0;
}

/* Does output above the high watermark hold C's handler? */
static inline bool ld_conn_over_high_water(const struct ld_conn *c)
{
    return c->out && c->out->bytes > LD_HIGH_WATER;
}

/* Reads.  FLAGS as above.  LD_OK leaves the outcome in pool->result. */
enum ld_status ld_conn_unpack(struct ld_conn *c, const struct ld_format *f,
                              unsigned flags);

/* For ld_conn_unpack_running(): what to do when there are no bytes at all, and
 * about an outcome but LD_OK. */
enum ld_status ld_conn_unpack_later(struct ld_conn *c,
                                    const struct ld_format *f, unsigned flags);
enum ld_status ld_conn_unpack_missed(struct ld_conn *c,
                                     const struct ld_format *f, unsigned flags,
                                     enum ld_status st, struct ld_parse *p);

/* The same for the connection whose coroutine runs, when nothing is in its
 * way: a frame that is already there takes the shortest path. */
static inline enum ld_status ld_conn_unpack_running(struct ld_conn *c,
                                                    const struct ld_format *f,
                                                    unsigned flags)
{
    struct ld_result *r = c->pool->result;
    uint32_t avail = c->end - c->pos;
    const uint8_t *frame;
    enum ld_status st;
    struct ld_parse p;

    if (c->wait | c->doom || ld_conn_over_high_water(c))
        return ld_conn_unpack(c, f, flags);
    if (avail == 0)
        return ld_conn_unpack_later(c, f, flags);
    frame = c->in->data + c->pos;
    p.pc = p.pos = p.scan = p.count = p.depth = p.field = 0;
    st = ld_unpack(f, &p, frame, avail, c->profile->frame_limit, r->values);
    if (st)
        return ld_conn_unpack_missed(c, f, flags, st, &p);
    r->frame = frame;
    r->base = c->pos;
    r->size = p.pos;
    r->view = ++c->view;
    if (!(flags & LD_KEEP)) {
        c->pos += p.pos;
        c->consumed = true;
    }
    return LD_OK;
}

/* Exactly N bytes: values[0].s. */
enum ld_status ld_conn_read(struct ld_conn *c, uint32_t n, unsigned flags);
/* At least one byte, at most MAX: values[0].s. */
enum ld_status ld_conn_some(struct ld_conn *c, uint32_t max, unsigned flags);
/* Bytes up to a delimiter of 1 to LD_FORMAT_DELIMITER bytes, maybe in several
 * pieces: values[0].s, and values[1].n is 1 when the delimiter was consumed. */
enum ld_status ld_conn_piece(struct ld_conn *c, const uint8_t *delimiter,
                             uint32_t size, unsigned flags);
enum ld_status ld_conn_skip(struct ld_conn *c, uint64_t n);
/* Move N bytes to the end of INTO, which must outlive the wait. */
enum ld_status ld_conn_fill(struct ld_conn *c, struct ld_chain *into,
                            uint64_t n);

/* Move N bytes to the output of TO, which may be C, as they come and TO's
 * peer takes them.  Ends with TO's status when TO does. */
enum ld_status ld_conn_relay(struct ld_conn *c, struct ld_conn *to, uint64_t n);
/* Move all bytes of C to OTHER and back, and the end of each side, until both
 * have ended and their output is gone: values[0].n and values[1].n are the
 * bytes moved there and back. */
enum ld_status ld_conn_pipe(struct ld_conn *c, struct ld_conn *other);

/* The chain to append output to, to be followed by ld_conn_wrote(); NULL when
 * output goes nowhere (the connection has ended, or has had more queued than
 * its limit) or memory is out. */
struct ld_chain *ld_conn_output(struct ld_conn *c);
void ld_conn_wrote(struct ld_conn *c);

/* The same two for what is mostly the running connection's output within its
 * limit. */
static inline struct ld_chain *ld_conn_room(struct ld_conn *c)
{
    struct ld_chain *q = c->out;

    if (q && q->bytes <= c->profile->output_limit && !c->shut && !c->doom &&
        c->phase == LD_PHASE_OPEN)
        return q;
    return ld_conn_output(c);
}

static inline void ld_conn_grew(struct ld_conn *c)
{
    if (c->pool->running != c || c->out->bytes > c->profile->output_limit)
        ld_conn_wrote(c);
    else if (!c->pool->in_hook)
        c->wrote = true;
}

/* LD_OK when all output has been taken; else wait for it.  LD_BUSY: as
 * ld_conn_drained(). */
enum ld_status ld_conn_flush(struct ld_conn *c);

/* The same for a coroutine that is to park itself: LD_BUSY when it will be
 * unparked once C's output has drained, or C ends.  Else LD_OK, or why C has
 * ended; LD_LIMIT when too many wait already. */
enum ld_status ld_conn_drained(struct ld_conn *c);

/* Enter a state: its deadlines start.  LD_AGAIN: held by the watermark, or to
 * be told news first.  Not entered when C is to end: why; or LD_MOVED: another
 * state is to be entered instead. */
enum ld_status ld_conn_enter(struct ld_conn *c, uint32_t state);

/* C, whose coroutine is between two states, or will not be resumed, has PROFILE
 * from now on, whose state I was FORMER[I] of the one it had, or LD_NO_STATE;
 * its own timeouts go along.  LD_NOMEM changes nothing. */
enum ld_status ld_conn_rehouse(struct ld_conn *c,
                               const struct ld_profile *profile,
                               const uint16_t *former);

/* Does C wait for the first byte of a frame, and has its coroutine read and
 * written nothing since it entered the state? */
/* Which of C's deadlines has passed: "stall", "lifetime", "total" or "idle". */
const char *ld_conn_late(const struct ld_conn *c);

bool ld_conn_is_fresh(const struct ld_conn *c);

/* Which of C's deadlines has passed: "stall", "lifetime", "total", "idle". */
const char *ld_conn_late(const struct ld_conn *c);

/* Override a state's timeouts for this connection. */
enum ld_status ld_conn_timeout(struct ld_conn *c, uint32_t state,
                               struct ld_timeouts t);

/* Half-close: no more output after what is queued. */
void ld_conn_shutdown(struct ld_conn *c);

/* The plain socket of C becomes the caller's, to put another transport over it;
 * until ld_conn_attach() C neither reads nor writes.  LD_PROTOCOL: it has
 * unread input.  LD_BUSY: unsent output, a reader, or no plain socket.
 * LD_CLOSED: it has ended. */
enum ld_status ld_conn_detach(struct ld_conn *c, int *fd);

/* What C reads is counted as SOURCE's, which C leaves at its end.  LD_NOMEM: it
 * is the caller's. */
enum ld_status ld_conn_meter(struct ld_conn *c, struct ld_source *source);

/* C goes on over LINK, which it takes over. */
void ld_conn_attach(struct ld_conn *c, struct ld_link link);

/* End C for reason ST as soon as no handler runs: its coroutine is woken with
 * ST, or finds it at its next read.  RESET: without flushing, by a reset. */
void ld_conn_doom(struct ld_conn *c, enum ld_status st, bool reset);

/* The handler is done with C: flush for at most the profile's linger, close
 * in the way that does not destroy what was sent, then ld_hooks.closed. */
void ld_conn_finish(struct ld_conn *c);

#endif
