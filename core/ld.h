/* ld.h -- the words every part of the core shares: statuses and their names.
 *
 * An action returns an enum ld_status.  LD_OK is zero, so `if (st)` reads as
 * "not done".  A constructor returns NULL with errno set instead.
 */
#ifndef LD_LD_H
#define LD_LD_H

#include <stddef.h>
#include <stdint.h>

enum ld_status {
    LD_OK,    /* done */
    LD_AGAIN, /* not yet: more bytes, or room, are needed */
    LD_EOF,   /* the peer ended cleanly, between frames */

    /* How a connection, or a call on it, can fail.  The name of each is the
     * `code` of the Lua error object. */
    LD_TRUNCATED,   /* the peer ended inside a frame */
    LD_TIMEOUT,     /* the state took too long, or the peer was silent */
    LD_RESET,       /* the peer reset the connection */
    LD_LIMIT,       /* a frame, field or queue would exceed its limit */
    LD_MISMATCH,    /* a literal or a digit is not what the format says */
    LD_RANGE,       /* a number does not fit */
    LD_VARINT,      /* a varint is longer than its encoding allows */
    LD_STALE,       /* a borrowed slice was used after its time */
    LD_BUSY,        /* another read is pending on this connection */
    LD_HOOK,        /* a hook tried to wait */
    LD_CLOSED,      /* the connection has ended */
    LD_MOVED,       /* a hook has chosen the next state */
    LD_REFUSED,     /* the peer refused the connection */
    LD_UNREACHABLE, /* no route, or no answer */
    LD_DNS,         /* a name could not be resolved */
    LD_TLS,         /* a TLS failure */
    LD_PROTOCOL,    /* the peer broke the rules of the transport */
    LD_FAIL,        /* conn:fail(reason) */
    LD_ERROR,       /* a Lua error in the handler, or a system error */
    LD_NOMEM,       /* out of memory */
    LD_STATUS_COUNT
};

/* The status as one lower-case word, for example "truncated".  Never NULL. */
const char *ld_strstatus(enum ld_status st);

#endif
