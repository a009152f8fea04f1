/* handshake.h -- TLS handshakes of clients that have been accepted.
 *
 * Off the accept path: each has its own watcher and deadline, and whoever is
 * silent costs nobody else anything.  Borrows the loop.
 */
#ifndef LD_HANDSHAKE_H
#define LD_HANDSHAKE_H

#include <ev.h>
#include <sys/socket.h>

#include "tls.h"

struct ld_handshake; /* opaque; see handshake.c */

/* The handshake is over.  ST is LD_OK, and LINK is taken over; or it failed,
 * and LINK has been closed: WHY.  PEER as in ld_accept_fn. */
typedef void (*ld_handshake_fn)(void *ctx, enum ld_status st,
                                struct ld_link *link,
                                const struct sockaddr_storage *peer,
                                const char *why);

/* All handshakes of somebody: a list. */
struct ld_handshakes {
    struct ld_handshake *first;
};

/* Begin one over FD, which is taken over, with SECONDS until it must be done;
 * DONE(ctx) is called from the loop, once.  LD_NOMEM: FD is the caller's. */
enum ld_status ld_handshake_begin(struct ld_handshakes *all,
                                  struct ev_loop *loop,
                                  struct ld_tls_context *tls, int fd,
                                  const struct sockaddr_storage *peer,
                                  double seconds, ld_handshake_fn done,
                                  void *ctx);

/* End those whose DONE has CTX (NULL: all), without calling it. */
void ld_handshakes_end(struct ld_handshakes *all, const void *ctx);

#endif
