/* peer.h -- the other end of a connection over memory, which a test holds.
 *
 * A peer is a userdata of the test's Lua state.  Its connection may live in
 * the VM of that state, or in that of a worker of a world (lib_world.c), which
 * cuts its peers off before it goes.
 */
#ifndef LD_PEER_H
#define LD_PEER_H

#include "../memory.h"
#include "vm.h"

struct ld_peer {
    struct ld_memory memory;
    struct ld_vm *vm; /* of the connection; NULL once that has gone */
    int64_t handle;
    bool elsewhere;             /* VM is not that of the test's state */
    struct ld_peer *next, **at; /* of a world; AT is NULL when in none */
};

/* A VM at work for a test: see ld_turn_begin(). */
struct ld_turn {
    struct ld_vm *vm;
    lua_State *outer;
    bool gc;
};

/* VM works until ld_turn_end(), called from L.  The collector rests: to
 * collect a peer is to close its connection, which may be the one that runs. */
void ld_turn_begin(struct ld_turn *t, struct ld_vm *vm, lua_State *L);
void ld_turn_end(struct ld_turn *t);

/* Push a peer with a new connection of MACHINE in VM; with PASSIVE one that
 * has no coroutine, and ends with PARENT (may be NULL).  Raises an error when
 * memory is out. */
struct ld_peer *ld_peer_push(lua_State *L, struct ld_vm *vm,
                             struct ld_machine *machine, bool passive,
                             struct ld_conn *parent);

/* NULL once it has gone. */
struct ld_conn *ld_peer_conn(const struct ld_peer *p);

/* The directions that a loop would report to the connection now. */
int ld_peer_events(const struct ld_peer *p);

/* The VM is about to go: so does the connection, without a word to its
 * handler, and with it what neither side has read. */
void ld_peer_cut(struct ld_peer *p);

/* When the next timer or alarm of POOL goes off, or HUGE_VAL. */
double ld_turn_due(const struct ld_pool *pool);

#endif
