/* outbox.h -- datagrams on their way out of a non-blocking socket.
 *
 * What the socket does not take is kept, in order, up to a limit.  Borrows
 * the fd; knows no loop: its owner waits until the fd is writable and flushes.
 */
#ifndef LD_OUTBOX_H
#define LD_OUTBOX_H

#include <stdbool.h>

#include "ld.h"

struct ld_outbox {
    int fd;
    size_t limit; /* bytes kept */
    size_t kept;
    struct ld_datagram *head, **tail;
};

void ld_outbox_init(struct ld_outbox *o, int fd, size_t limit);

/* Send P, or keep it behind what waits: LD_OK; LD_LIMIT when it would exceed
 * the limit, LD_NOMEM, or LD_CLOSED when nobody reads the socket any more. */
enum ld_status ld_outbox_put(struct ld_outbox *o, const void *p, size_t n);

/* The same with a copy of the descriptor FD. */
enum ld_status ld_outbox_put_fd(struct ld_outbox *o, const void *p, size_t n,
                                int fd);

/* Send what is kept: LD_OK when nothing is left, LD_AGAIN when the fd must
 * become writable first, LD_CLOSED. */
enum ld_status ld_outbox_flush(struct ld_outbox *o);

/* Forget what is kept. */
void ld_outbox_clear(struct ld_outbox *o);

static inline bool ld_outbox_waits(const struct ld_outbox *o)
{
    return o->head != NULL;
}

#endif
