/* memory.h -- a transport without sockets, for tests of handlers.
 *
 * A struct ld_memory is the peer's end: the test puts input in and takes
 * output out.  The connection borrows it; the test frees it after the
 * connection has closed.
 */
#ifndef LD_MEMORY_H
#define LD_MEMORY_H

#include "chain.h"
#include "transport.h"

struct ld_memory {
    struct ld_chain input;  /* bytes the connection will read */
    struct ld_chain output; /* bytes it has written */
    size_t room;            /* bytes it may write before it must wait */
    size_t read_max;        /* bytes of one read, above 0 */
    size_t write_max;       /* bytes taken by one write, above 0 */
    enum ld_status end;     /* after the input: LD_AGAIN, LD_EOF, LD_RESET */
    bool shut;              /* the connection ended its side */
    bool closed;            /* and is gone */
    bool was_reset;         /* by a reset */
};

extern const struct ld_transport ld_memory_transport;

/* A peer that says nothing yet and takes everything. */
void ld_memory_init(struct ld_memory *m, struct ld_chunks *chunks);

void ld_memory_clear(struct ld_memory *m);

#endif
