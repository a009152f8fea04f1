/* gateway_parts.h -- what the files of a gateway know of each other.
 *
 * gateway.c        opening, draining, closing; the events of workers
 * embed.c          a host's calls: serving, stopping, reloading
 * embed_command.c  the command line
 * embed_thread.c   the same for a thread of its own
 * embed_load.c     the same before it serves: handlers, scripts, the config
 * embed_message.c  the same for messages, work and numbers
 * lib_embed.c      what Lua calls in a host, or in a script of luajit's
 * embed_error.c    what a host is told of what went wrong
 * native.c         handlers in C, and what Lua calls of them
 * native_frame.c   the values of their frames
 * native_session.c their connections
 */
#ifndef LD_GATEWAY_PARTS_H
#define LD_GATEWAY_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "../desk.h"
#include "../linedancer.h"
#include "gateway.h"

#define LD_PUBLIC __attribute__((visibility("default")))

enum ld_stage {
    LD_STAGE_NEW,
    LD_STAGE_LOADED,
    LD_STAGE_SERVING, /* also while it drains */
    LD_STAGE_ENDING,  /* the last callbacks are called */
    LD_STAGE_STOPPED  /* there is neither Lua nor a worker any more */
};

enum ld_mode {
    LD_MODE_COMMAND, /* the command line serves, within Lua */
    LD_MODE_RUN,     /* ld_gateway_run() */
    LD_MODE_ATTACHED /* the host runs the loop */
};

struct ld_native;

/* A host's ld_gateway_subscribe(). */
struct ld_listening {
    struct ld_listening *next;
    uint32_t id;
    ld_gateway_message_fn fn;
    void *ctx;
};

struct ld_gateway {
    struct ev_loop *loop;
    bool owns_loop;
    struct ld_worker *worker;
    struct ld_log log;
    ld_gateway_log_fn log_fn;
    void *log_ctx;
    struct ld_alloc *alloc;
    lua_State *L;
    struct ld_vm *vm;
    ev_timer drain;
    double deadline; /* on the loop's clock */
    bool hurries;    /* it was stopped again: the deadline is now */
    struct ld_role role;

    /* Of one inside a host, whose pid is not 0. */
    pid_t pid;
    _Atomic enum ld_stage stage;
    enum ld_mode mode;
    struct ld_desk *desk;
    unsigned deep;   /* calls of the host that Lua, or the core, waits for */
    unsigned inside; /* those, and others */
    ld_gateway_stopped_fn stopped;
    void *stopped_ctx;
    struct ld_listening *listening;
    uint32_t listening_id;
    struct ld_native *natives;
    uint64_t version;             /* of the config */
    struct ld_gateway_stats last; /* when it had stopped */
    bool broken;                  /* the loop has lost its descriptor */
    bool forgotten;               /* a child has closed what it had inherited */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t ended;
    pthread_t owner;
    bool started, over, joined; /* a thread of its own */
    pthread_t thread;
};

/* Log by FN, or to standard error when it is NULL. */
void ld_gateway_log_by(struct ld_gateway *g, ld_gateway_log_fn fn, void *ctx);

/* As ld_gateway_new(), as ROLE says. */
struct ld_gateway *ld_gateway_open(const struct ld_gateway_options *o,
                                   const struct ld_role *role);

/* Make G, zeroed, the gateway of a script, whose VM had no loop. */
enum ld_status ld_gateway_adopt(struct ld_gateway *g, struct ld_vm *vm);

/* Close what is open, and free Lua and the worker; and all the rest. */
void ld_gateway_dismantle(struct ld_gateway *g);
void ld_gateway_close(struct ld_gateway *g);

/* Begin to drain, or end all now. */
void ld_gateway_drain(struct ld_gateway *g);

/* embed.c: connections have ended, or had their time. */
void ld_embed_finish(struct ld_gateway *g);

/* CODE, with a text for ld_error_text(). */
__attribute__((format(printf, 2, 3))) int ld_refuse(int code, const char *text,
                                                    ...);

/* 0 if G is there, of this process, and has not stopped; else why not. */
int ld_embed_check(const struct ld_gateway *g);

/* The same, and this is its thread. */
int ld_embed_own(struct ld_gateway *g);

/* The same, and neither Lua nor the core is in the midst of anything. */
int ld_embed_free(struct ld_gateway *g);
bool ld_embed_is_busy(struct ld_gateway *g);

/* Is this the thread that G belongs to? */
bool ld_embed_is_here(struct ld_gateway *g);

/* Call linedancer.embed's NAME with the COUNT values on top of G's stack, for
 * RESULTS values; or 0 pushed, and LD_ERR_CONFIG with what was raised. */
int ld_embed_lua(struct ld_gateway *g, const char *name, int count,
                 int results);

/* The code for what the desk said. */
int ld_embed_desk(enum ld_status st);

/* What ld_gateway_stats() says, but for the size. */
struct ld_gateway_stats ld_embed_count(const struct ld_gateway *g);

/* core.hear(id, topic, message), for the host's subscriptions. */
int ld_embed_hear(lua_State *L);

void ld_native_free_all(struct ld_gateway *g);

#endif
