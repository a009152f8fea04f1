/* arbiter.h -- which workers live and who holds which name, for all to know.
 *
 * Owns the names.  What workers are told goes through the sender that the
 * owner gives: the supervisor's sockets, or a test's queues.  The messages are
 * those of seat.h.
 */
#ifndef LD_ARBITER_H
#define LD_ARBITER_H

#include <stdbool.h>

#include "ld.h"

struct ld_arbiter; /* opaque; see arbiter.c */

/* Have the worker in SLOT told N bytes at P, which are valid during the call,
 * if it lives. */
typedef void (*ld_arbiter_send_fn)(void *ctx, uint32_t slot, const void *p,
                                   size_t n);

/* For workers in the slots 1 to SLOTS.  NULL with errno set. */
struct ld_arbiter *ld_arbiter_new(uint32_t slots, ld_arbiter_send_fn send,
                                  void *ctx);
void ld_arbiter_free(struct ld_arbiter *a);

/* A new worker is in SLOT: it is told which others are up, and all names. */
void ld_arbiter_enter(struct ld_arbiter *a, uint32_t slot,
                      uint32_t incarnation);

/* The worker in SLOT is ready, or has gone and its names are free: the others
 * are told. */
void ld_arbiter_up(struct ld_arbiter *a, uint32_t slot);
void ld_arbiter_down(struct ld_arbiter *a, uint32_t slot);

/* Do what the worker in SLOT asks with N bytes at P; false when that is
 * nothing for an arbiter. */
bool ld_arbiter_take(struct ld_arbiter *a, uint32_t slot, const uint8_t *p,
                     size_t n);

#endif
