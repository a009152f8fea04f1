/* vm.h -- a Lua state bound to a pool of connections.
 *
 * Owns the formats, buffers and coroutines that handlers use.  task.c is the
 * only place that resumes a coroutine, leaf_*.c what Lua calls by FFI, and
 * lib_*.c what it calls as ordinary C functions.
 */
#ifndef LD_VM_H
#define LD_VM_H

#include <lua.h>

#include "../chain.h"
#include "../conn.h"
#include "../handshake.h"
#include "../listener.h"
#include "../pack.h"
#include "../seat.h"
#include "../worker.h"
#include "api.h"

enum {
    LD_BUFFER_SLOT_BITS = 24,
    LD_ARGS_MAX = LD_FORMAT_VALUES,
    LD_SHARES_MAX = LD_PACK_SHARED
};

/* A Lua buffer.  A free one keeps the next free slot in MAX. */
struct ld_lua_buffer {
    struct ld_chain *chain; /* NULL: free */
    uint32_t generation;
    uint32_t max; /* bytes */
    bool sealed;
};

/* A moment at which Lua is called; see leaf_alarm.c. */
struct ld_alarm {
    struct ld_timer timer;
    struct ld_vm *vm;
    uint32_t slot, generation;
    struct ld_alarm *next; /* free */
};

/* A socket that the supervisor gave a worker that runs: of SLOT, for the
 * listener that is the LISTENER-th, from 0, of the config to come. */
struct ld_given {
    uint32_t listener, slot;
    int fd;
};

/* The blob behind an arg of kind LD_ARG_SHARED. */
struct ld_share {
    uint32_t arg;
    uint32_t off;
    struct ld_blob *blob; /* borrowed until the call that uses it ends */
};

/* A version of a handler, as the core sees it. */
struct ld_machine {
    struct ld_profile profile; /* first: a conn's profile is its machine */
    int class_ref;             /* metatable of its connections */
    bool watches_end;          /* has on_close */
    struct ld_native *native;  /* a handler in C, or NULL */
    bool in_bursts;            /* which may take several frames at a time */
    uint32_t made;             /* connections accepted for it */
    struct ld_machine *next;
};

/* How a worker reaches the others: P is valid during the call.  POST queues
 * bytes for the worker of SLOT, and is false when there is no such worker or
 * too much is queued; ASK queues them for the supervisor. */
struct ld_bus_ops {
    bool (*post)(void *ctx, uint32_t slot, const void *p, size_t n);
    void (*ask)(void *ctx, const void *p, size_t n);
};

struct ld_gateway;
struct ld_native;
struct ld_alloc;

struct ld_vm {
    lua_State *L;
    struct ld_worker *worker; /* NULL in a plain luajit */
    struct ld_pool *pool;
    struct ld_log *log;
    struct ld_api api;
    struct ld_arg args[LD_ARGS_MAX];
    struct ld_slice_ref refs[LD_ARGS_MAX];
    struct ld_share shares[LD_SHARES_MAX];
    uint32_t share_count;
    struct ld_format **formats; /* by id - 1; a gap is NULL */
    uint32_t format_count, format_cap;
    uint32_t format_gap; /* ids below it are taken */
    struct ld_lua_buffer *buffers;
    uint32_t buffer_count, buffer_free;
    size_t external;    /* bytes taken by buffers since the last GC step */
    uint64_t secret[3]; /* of leaf_key.c */
    uint8_t *scratch;
    size_t scratch_size;
    struct ld_machine *machines;
    struct ld_port **ports; /* lib_port.c */
    uint32_t port_count;
    struct ld_handshakes handshakes;
    struct ld_alloc *alloc; /* of L; NULL in a plain luajit */
    double memory_limit;    /* bytes; 0: none; see budget.h */
    uint32_t ended_for_memory;
    ev_timer memory_tick;
    uint32_t accepted, max_accepted; /* connections on all listeners */
    uint32_t refused[LD_SOURCE_RATE + 1], failed_handshakes;
    uint32_t times_full;                /* how often accepting had to pause */
    double refusal_told, fullness_told; /* when the log last heard of it */
    bool keeps[LD_WORKERS_MAX];         /* slots whose sockets it watches too */
    struct ld_given *given;             /* sockets that came since the start */
    uint32_t given_count;
    double drain_seconds;
    bool stopping;
    struct ld_gateway *gateway; /* NULL in a plain luajit */
    unsigned depth;             /* calls into Lua that have not returned */
    int threads_ref, conns_ref; /* tables by slot + 1 */
    int run_ref, finish_ref, closed_ref, drain_ref, task_ref, news_ref;
    int alarm_ref, stray_ref, reload_ref;
    struct ld_alarm **alarms; /* by slot */
    uint32_t alarm_count;
    struct ld_alarm *free_alarms;
    const void *park_token;       /* what a coroutine yields to be woken */
    const void *catchers[2];      /* pcall, xpcall */
    const void *wait_token;       /* what it yields to read */
    void *owned_log;              /* of a plain luajit */
    const struct ld_bus_ops *bus; /* NULL: there is no other worker */
    void *bus_ctx;
    uint32_t slot, incarnation, slots; /* of this worker, from 1; 0: alone */
    int bus_ref, control_ref;          /* what takes what came in */
    bool virtual_time;
    bool owns_worker; /* and its loop */
    bool in_host;     /* of a program that is not ours */
    bool watched;     /* by the watchdog */
    bool quiet;       /* connections end without calling their handlers */
};

/* The VM of a Lua state, or NULL before ld_vm_open(). */
struct ld_vm *ld_vm_of(lua_State *L);

/* Bind L to WORKER, or, when it is NULL, to a pool that only a test drives.
 * The VM is freed by lua_close().  Raises a Lua error when out of memory. */
struct ld_vm *ld_vm_open(lua_State *L, struct ld_worker *worker,
                         struct ld_log *log);

/* lua_pcall() of COUNT values for RESULTS, without a handler of messages. */
int ld_vm_pcall(struct ld_vm *vm, lua_State *L, int count, int results);

/* End every connection at once, without calling their handlers. */
void ld_vm_abort(struct ld_vm *vm);

/* A connection over LINK for a handler; LISTENER is an index for facts.  Takes
 * LINK over, on success only. */
struct ld_conn *ld_vm_connect(struct ld_vm *vm, struct ld_link link,
                              struct ld_machine *machine);

/* The connection that H stands for, which is mostly the one that runs; NULL
 * when H is stale. */
static inline struct ld_conn *ld_vm_conn(const struct ld_vm *vm, int64_t h)
{
    const struct ld_pool *pool = vm->pool;

    return h == pool->reader ? pool->running : ld_conn_find(pool, h);
}

/* A connection over LINK for whoever reads it; it ends with PARENT (NULL:
 * never by itself).  Takes LINK over, on success only. */
struct ld_conn *ld_vm_adopt(struct ld_vm *vm, struct ld_link link,
                            struct ld_machine *machine, struct ld_conn *parent);

/* Make the table that stands for C in Lua, an instance of MACHINE's class. */
void ld_vm_make_table(struct ld_vm *vm, const struct ld_conn *c,
                      const struct ld_machine *machine);

/* task.c: the hooks of the pool. */
void ld_task_wake(void *ctx, struct ld_conn *c, enum ld_status st);
void ld_task_go_on(void *ctx, struct ld_conn *c);
void ld_task_news(void *ctx, struct ld_conn *c);
void ld_task_stray(void *ctx, struct ld_conn *c); /* lib_task.c */
void ld_task_closed(void *ctx, struct ld_conn *c);

/* Have C, new or at rest, run from its beginning, or from a state: COUNT
 * values, the state's name first, are on top of vm->L and are taken. */
void ld_task_prepare(struct ld_vm *vm, struct ld_conn *c, int count);

/* End C without a word to its coroutine: no error, no on_error. */
void ld_task_abandon(struct ld_vm *vm, struct ld_conn *c);

/* Push the table that stands for C in Lua. */
void ld_vm_push_conn(struct ld_vm *vm, const struct ld_conn *c);

/* leaf_*.c fill in their part of the API. */
void ld_leaf_conn(struct ld_api *api);
void ld_leaf_bytes(struct ld_api *api);
void ld_leaf_key(struct ld_vm *vm);
void ld_leaf_alarm(struct ld_api *api);
void ld_alarm_free_all(struct ld_vm *vm);

struct ld_format *ld_vm_format(const struct ld_vm *vm, uint32_t id);
struct ld_lua_buffer *ld_vm_buffer(const struct ld_vm *vm, int64_t handle);

/* SIZE bytes of scratch memory, or NULL; the next call invalidates them. */
uint8_t *ld_vm_scratch(struct ld_vm *vm, size_t size);

/* Turn slices among args[0..count) into the bytes they stand for; LD_STALE if
 * one has had its time. */
enum ld_status ld_vm_resolve(struct ld_vm *vm, uint32_t count);

/* Encode args[0..count), resolved, to the end of Q. */
enum ld_status ld_vm_pack(struct ld_vm *vm, struct ld_chain *q,
                          const struct ld_format *f, uint32_t count);

/* Append args[0..count), all bytes, to Q. */
enum ld_status ld_vm_append(struct ld_vm *vm, struct ld_chain *q,
                            uint32_t count);

/* Parts of the module linedancer.core: each adds its functions to the table
 * on top of the stack. */
void ld_lib_conn(lua_State *L);
void ld_lib_gateway(lua_State *L);
void ld_lib_confine(lua_State *L);
void ld_lib_port(lua_State *L);
void ld_lib_testing(lua_State *L);
void ld_lib_direct(lua_State *L);
void ld_lib_task(lua_State *L);
void ld_lib_bus(lua_State *L);
void ld_lib_dial(lua_State *L);
void ld_lib_channel(lua_State *L);
void ld_lib_crypto(lua_State *L);
void ld_lib_tls_open(lua_State *L);
void ld_lib_secure(lua_State *L);
void ld_lib_address(lua_State *L);
void ld_lib_pattern(lua_State *L);
void ld_lib_limits(lua_State *L);
void ld_lib_world(lua_State *L);
void ld_lib_embed(lua_State *L);
void ld_lib_native(lua_State *L);

#endif
