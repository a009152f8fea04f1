/* bus.h -- how a worker talks to the other workers and to its supervisor.
 *
 * Messages to another worker are gathered into datagrams, which leave before
 * the loop blocks; what a worker posts to another arrives in order, and whole.
 * The supervisor's orders come over a channel of their own.
 * Owns its watchers and queues; borrows the loop and the seat, whose
 * descriptors it does not close.
 */
#ifndef LD_BUS_H
#define LD_BUS_H

#include <ev.h>
#include <stdbool.h>

#include "log.h"
#include "seat.h"

enum { LD_BUS_QUEUE = 64 << 20 /* bytes kept for one other worker, at most */ };

/* What the bus tells its owner; P is valid during the call. */
struct ld_bus_events {
    void (*message)(void *ctx, uint32_t slot, uint32_t incarnation,
                    const void *p, size_t n);
    void (*control)(void *ctx, const void *p, size_t n); /* W, N and A */
    void (*watch)(void *ctx, uint32_t slot, bool on);
    void (*stop)(void *ctx);
    void (*drain)(void *ctx, uint32_t seconds); /* or LD_DRAIN_DEFAULT */
    void (*leave)(void *ctx);
    /* The socket FD, which is taken over; see LD_CONTROL_SOCKET. */
    void (*socket)(void *ctx, uint32_t listener, uint32_t slot, int fd);
};

struct ld_bus; /* opaque; see bus.c */

/* NULL with errno set. */
struct ld_bus *ld_bus_new(struct ev_loop *loop, const struct ld_seat *seat,
                          const struct ld_log *log,
                          const struct ld_bus_events *events, void *ctx);

/* Wait until the supervisor has told everything that is so, and pass it on:
 * LD_OK; LD_TIMEOUT after SECONDS, LD_CLOSED without a supervisor. */
enum ld_status ld_bus_join(struct ld_bus *b, double seconds);

/* Tell the supervisor that this worker is ready, and receive from now on. */
void ld_bus_start(struct ld_bus *b);

/* Queue N bytes for the worker in SLOT; false when there is none, when it is
 * this worker's own slot, or when LD_BUS_QUEUE would be exceeded. */
bool ld_bus_post(struct ld_bus *b, uint32_t slot, const void *p, size_t n);

/* Queue N bytes, at most LD_CONTROL_MAX, for the supervisor. */
void ld_bus_ask(struct ld_bus *b, const void *p, size_t n);

/* NULL is allowed. */
void ld_bus_free(struct ld_bus *b);

#endif
