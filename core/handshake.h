/* handshake.h -- what is to be agreed on before a connection begins: who it is
 * from (the PROXY protocol), and TLS; of clients that have been accepted, of
 * servers that we connect to, and amid a connection (STARTTLS).
 *
 * Off the accept path: each has its own watcher and deadline, and whoever is
 * silent costs nobody else anything.  Borrows the loop.
 */
#ifndef LD_HANDSHAKE_H
#define LD_HANDSHAKE_H

#include <ev.h>

#include "crowd.h"
#include "proxy.h"
#include "tls.h"

struct ld_handshake; /* opaque; see handshake.c */

struct ld_handshake_terms {
    bool proxied;               /* a header of the PROXY protocol comes first */
    struct ld_tls_context *tls; /* NULL: none */
    const char *name;           /* as of ld_tls_begin() */
    double seconds;             /* until it must be done */
};

/* The other end.  ORIGIN, of who is proxied, is the callee's; else NULL.  TAG
 * is whatever who began gave. */
struct ld_visitor {
    struct sockaddr_storage peer;
    struct ld_origin *origin;
    void *tag;
};

/* The handshake is over.  ST is LD_OK, and LINK is taken over; or it failed,
 * and LINK has been closed: WHY.  WHO is valid during the call. */
typedef void (*ld_handshake_fn)(void *ctx, enum ld_status st,
                                struct ld_link *link,
                                const struct ld_visitor *who, const char *why);

/* All handshakes of somebody: a list.  CROWD, the owner's, says how many go on
 * at each wake-up; NULL: all. */
struct ld_handshakes {
    struct ld_handshake *first;
    struct ld_crowd *crowd;
};

/* Begin one over FD, which is taken over; DONE(ctx) is called from the loop,
 * once.  WHO, its peer and tag, may be NULL.  LD_NOMEM: FD is the caller's. */
enum ld_status ld_handshake_begin(struct ld_handshakes *all,
                                  struct ev_loop *loop,
                                  const struct ld_handshake_terms *terms,
                                  int fd, const struct ld_visitor *who,
                                  ld_handshake_fn done, void *ctx);

/* End those whose DONE has CTX (NULL: all), without calling it. */
void ld_handshakes_end(struct ld_handshakes *all, const void *ctx);

#endif
