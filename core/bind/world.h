/* world.h -- several workers in one process, for tests: each has a Lua state,
 * a pool and a clock of its own, and they talk as real ones do.
 *
 * Nothing here happens by itself.  What workers tell each other, and ask of
 * the supervisor, lies in queues until somebody delivers it, in an order of
 * his choice: order is kept between one sender and one receiver alone.
 * Slot 1 is the state of the test, and stays.
 *
 * world.c      the workers, and what lies between them
 * lib_world.c  the calls of linedancer.testing
 */
#ifndef LD_WORLD_H
#define LD_WORLD_H

#include "../arbiter.h"
#include "peer.h"

enum { LD_WORLD_SLOTS = 16 /* workers */ };

struct ld_message {
    struct ld_message *next;
    uint32_t incarnation; /* of the sender */
    size_t size;
    char bytes[];
};

struct ld_message_queue {
    struct ld_message *first, *last;
    size_t bytes;
};

struct ld_world;

struct ld_world_slot {
    struct ld_world *world;
    struct ld_vm *vm; /* NULL: dead */
    uint32_t slot;    /* from 1 */
    uint32_t incarnation;
    int serve_ref;                  /* what takes calls; not of slot 1 */
    struct ld_message_queue orders; /* from the supervisor */
    struct ld_message_queue asks;   /* to it */
    struct ld_message_queue from[LD_WORLD_SLOTS]; /* by slot - 1 */
    bool apart[LD_WORLD_SLOTS]; /* nothing is delivered from there */
};

struct ld_world {
    uint32_t count;
    struct ld_world_slot slots[LD_WORLD_SLOTS];
    struct ld_arbiter *arbiter;
    struct ld_peer *peers; /* in the order of their making */
};

/* An empty world with COUNT slots whose first is VM; NULL when memory is out.
 * With more than one, VM is worker 1 until ld_world_free(). */
struct ld_world *ld_world_new(struct ld_vm *vm, uint32_t count);

/* With HOME the first slot's VM is a single process again; else that has
 * gone already. */
void ld_world_free(struct ld_world *w, bool home);

/* The worker in SLOT (from 1) if it lives. */
struct ld_world_slot *ld_world_slot(struct ld_world *w, uint32_t slot);

/* VM, with its clock and its log, is the next worker at S. */
void ld_world_seat(struct ld_world_slot *s, struct ld_vm *vm);

/* The worker at S, not the first, ends as by kill -9. */
void ld_world_kill(struct ld_world_slot *s);

/* P, just made, is of W from now on. */
void ld_world_add_peer(struct ld_world *w, struct ld_peer *p);

/* Append a copy of P; false when memory is out. */
bool ld_message_put(struct ld_message_queue *q, uint32_t incarnation,
                    const void *p, size_t n);
/* The oldest, which the caller frees; NULL when there is none. */
struct ld_message *ld_message_take(struct ld_message_queue *q);
void ld_message_clear(struct ld_message_queue *q);

#endif
