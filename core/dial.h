/* dial.h -- outgoing connections, made without ever blocking the loop.
 *
 * A name is looked up in /etc/hosts, then by DNS; IPv6 and IPv4 addresses are
 * tried in turn, with a head start for each, and the first that connects wins
 * (RFC 8305).  Owns its resolver, made when the first name is looked up, and
 * what is under way.  Borrows the loop.  Knows nothing of connections or Lua.
 *
 * dial.c         the life of one dial: which address is tried when
 * dial_attempt.c one socket, and what its errors mean
 * dial_names.c   names, by c-ares
 */
#ifndef LD_DIAL_H
#define LD_DIAL_H

#include "log.h"

struct ev_loop;
struct ld_dialer; /* opaque; see dial_parts.h */
struct ld_dial;

enum {
    LD_DIALS_MAX = 4096,   /* under way at a time, with one dialer */
    LD_DIAL_ADDRESSES = 8, /* of a name that are tried, of each family */
    LD_DIAL_HOST = 253,    /* bytes of a name */
    LD_DIAL_TEXT = 512     /* bytes of a message, with its end */
};

/* Where to.  Borrowed until ld_dial_start() returns. */
struct ld_dial_target {
    const char *host; /* a name or a numeric address; NULL: a unix socket */
    uint16_t port;
    const char *path;     /* of the unix socket */
    const char *source;   /* a local numeric address to come from, or NULL */
    uint16_t source_port; /* and port; 0: any */
    const char *device;   /* the only interface to use, or NULL */
    double timeout;       /* seconds, for everything */
};

/* How it went, once.  LD_OK: FD is connected, non-blocking, close-on-exec and
 * the callee's.  Otherwise FD is -1 and MESSAGE, valid during the call, says
 * why: LD_DNS, LD_REFUSED, LD_UNREACHABLE, LD_RESET, LD_TIMEOUT, LD_LIMIT (no
 * descriptor or port is free), LD_NOMEM, LD_ERROR (anything else). */
typedef void (*ld_dial_fn)(void *ctx, enum ld_status st, int fd,
                           const char *message);

/* NULL with errno set. */
struct ld_dialer *ld_dialer_new(struct ev_loop *loop, const struct ld_log *log);

/* Drops what is under way without calling anybody.  D may be NULL. */
void ld_dialer_free(struct ld_dialer *d);

/* Ask these DNS servers, "IP:PORT,...", instead of the system's.  Call before
 * the first name is looked up.  LD_NOMEM. */
enum ld_status ld_dialer_servers(struct ld_dialer *d, const char *servers);

/* Connect to TO.  DONE is called from the loop, never before this returns; the
 * dial is gone by then.  NULL with errno set: EAGAIN when LD_DIALS_MAX are
 * under way, EINVAL when the source, path or device cannot be one, ENOMEM. */
struct ld_dial *ld_dial_start(struct ld_dialer *d,
                              const struct ld_dial_target *to, ld_dial_fn done,
                              void *ctx);

/* Give up; DONE is not called. */
void ld_dial_cancel(struct ld_dial *dial);

#endif
