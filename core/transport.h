/* transport.h -- what a connection needs from whatever carries its bytes.
 *
 * conn.c does all its I/O through these calls, so that a plain socket, TLS
 * and the socketless transport of the tests are alike to it.
 */
#ifndef LD_TRANSPORT_H
#define LD_TRANSPORT_H

#include <stdbool.h>
#include <sys/uio.h>

#include "ld.h"

/* Directions, as bits; equal to libev's EV_READ and EV_WRITE. */
enum { LD_READ = 1, LD_WRITE = 2 };

struct ld_transport;

/* One end of a connection, embedded in it. */
struct ld_link {
    const struct ld_transport *transport;
    void *state; /* the transport's own; NULL for sock */
    int fd;      /* -1 when there is none to watch */
};

struct ld_transport {
    const char *name;

    /* Read at most SIZE bytes.  LD_OK: *GOT > 0 bytes came.  LD_AGAIN: none
     * yet.  LD_EOF: the peer ended its side.  LD_RESET, LD_ERROR: lost. */
    enum ld_status (*read)(struct ld_link *l, void *dst, size_t size,
                           size_t *got);

    /* Write from N vectors.  LD_OK: *PUT > 0 bytes were taken, maybe not
     * all.  LD_AGAIN: none can be now.  LD_RESET, LD_ERROR: lost. */
    enum ld_status (*writev)(struct ld_link *l, const struct iovec *iov, int n,
                             size_t *put);

    /* Tell the peer that no more will be written. */
    enum ld_status (*shutdown)(struct ld_link *l);

    /* Release everything.  RESET: tell the peer that data was lost. */
    void (*close)(struct ld_link *l, bool reset);

    /* Has input arrived that nobody has read? */
    bool (*pending)(struct ld_link *l);

    /* The directions to watch when the connection wants WANTED: TLS may have
     * to write in order to read. */
    int (*wants)(struct ld_link *l, int wanted);

    /* The rest is NULL where nothing is kept on the way. */

    /* Pass on what was written and is kept here: LD_OK when nothing is left,
     * LD_AGAIN, or LD_RESET, LD_ERROR: lost. */
    enum ld_status (*flush)(struct ld_link *l);

    /* Can more be read although nothing comes? */
    bool (*buffered)(struct ld_link *l);
};

/* A non-blocking, close-on-exec stream socket; see sock.c. */
extern const struct ld_transport ld_sock;

/* Nothing is read or written: what a task has; see nowhere.c. */
extern const struct ld_transport ld_nowhere;

#endif
