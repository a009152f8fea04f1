/* linedancer.h -- the public interface: a gateway inside your program.
 *
 * A gateway owns a Lua state, and listeners and connections on a libev loop.
 * Any number of them fit in one process.  A gateway never exits, handles no
 * signal (but for ld_gateway_set_watchdog()), does not change the working
 * directory, and prints nothing: what it has to say goes to its log.  What Lua
 * prints goes there as well, and os.exit() raises an error.
 *
 * Its life: ld_gateway_new(); what is to be there before it is loaded --
 * ld_gateway_preload(), _add_handler(), _add_script(), _set_log(),
 * _set_stopped(), _set_watchdog(); then ld_gateway_load_file() or
 * _load_string(), which binds; then one of
 *   ld_gateway_run()      serve in this thread, until it is stopped
 *   ld_gateway_attach()   serve on the host's loop, which the host runs
 *   ld_gateway_start()    serve in a thread of its own
 * and ld_gateway_free() at the end, in any state.
 *
 * ERRORS.  A function that returns int returns 0, or one of enum ld_error, and
 * then has changed nothing unless it says so.  ld_error_text() says what was
 * wrong.  A null pointer where none is allowed is LD_ERR_ARGUMENT.
 *
 * THREADS.  A gateway belongs to the thread that made it; ld_gateway_start()
 * hands it to its own until it has stopped and been joined.  Functions marked
 * "any thread" may be called from everywhere, but for signal handlers, while
 * the gateway is not being freed; others return LD_ERR_THREAD in a thread that
 * is not the gateway's.  Callbacks run in the gateway's thread, and must
 * neither block nor run its loop.
 *
 * FORK.  In a child made by fork() a gateway is of no use: everything returns
 * LD_ERR_FORKED.  ld_gateway_free() does, too, but, once, closes the sockets
 * that the child inherited, and leaves the parent's alone.
 *
 * COMPATIBILITY.  A program that was built with this header runs on every later
 * library of the same soname.  Structs that may grow begin with their size:
 * set it by LD_HANDLER and LD_STATS, or to sizeof.  Strings are UTF-8 or bytes,
 * as the caller likes, and end in a NUL where no length is given.
 */
#ifndef LINEDANCER_H
#define LINEDANCER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ev_loop;   /* of <ev.h> */
struct lua_State; /* of <lua.h> */
struct ld_gateway;

enum ld_error {
    LD_ERR_ARGUMENT = 1, /* a null pointer, a size, a name, a pattern */
    LD_ERR_CONFIG,       /* the config, a handler or an address was refused */
    LD_ERR_STATE,        /* it cannot be done now: see the function */
    LD_ERR_STOPPED,      /* the gateway is stopping, or has stopped */
    LD_ERR_BUSY,         /* Lua, or a callback of this gateway, is running */
    LD_ERR_THREAD,       /* the gateway is another thread's */
    LD_ERR_FORKED,       /* the gateway is another process's */
    LD_ERR_FULL,         /* too much is queued */
    LD_ERR_TIMEOUT,      /* the gateway did not get to it in time */
    LD_ERR_MEMORY,       /* out of memory */
    LD_ERR_SYSTEM        /* a system call failed: errno */
};

/* What went wrong in the last call of this thread that failed; "" if none has.
 * Valid until the next one. */
const char *ld_error_text(void);

/* The library's version, such as "0.2.0". */
const char *ld_version(void);

/* LINE is "TIME LEVEL EVENT key=value ...", the level being debug, info, warn
 * or error; it ends in a newline and is valid during the call. */
typedef void (*ld_gateway_log_fn)(void *ctx, const char *line, size_t len);

/* Zero means the default, for every member.  This struct stays as it is. */
struct ld_gateway_options {
    struct ev_loop *loop;  /* borrowed; default: a loop of its own */
    ld_gateway_log_fn log; /* default: standard error */
    void *log_ctx;
};

/* A gateway that listens nowhere yet.  OPTIONS may be NULL.  Returns NULL with
 * errno set; free with ld_gateway_free(). */
struct ld_gateway *ld_gateway_new(const struct ld_gateway_options *options);

/* Close everything at once, without waiting for connections, and free G; NULL
 * is allowed.  Any thread, if it has one of its own, which is stopped and
 * joined.  LD_ERR_BUSY in a callback of G or within ld_gateway_run(),
 * LD_ERR_THREAD in a thread that does not own it: G lives on. */
int ld_gateway_free(struct ld_gateway *g);

/* ---- Before it is loaded: LD_ERR_STATE afterwards ---- */

/* Log by FN (NULL: standard error) from now on; also when it is loaded. */
int ld_gateway_set_log(struct ld_gateway *g, ld_gateway_log_fn fn, void *ctx);

/* FN is called once, in the gateway's thread, when it has stopped: its
 * connections have ended and its listeners are closed.  Not by _free().  May
 * be set later, too. */
typedef void (*ld_gateway_stopped_fn)(void *ctx, struct ld_gateway *g);
int ld_gateway_set_stopped(struct ld_gateway *g, ld_gateway_stopped_fn fn,
                           void *ctx);

/* Stop Lua that computes for longer than limits.turn of the config.  It takes
 * SIGPROF, of which a process has one: LD_ERR_STATE when another gateway has
 * it.  Afterwards SIGPROF is ignored, unless the host had a handler. */
int ld_gateway_set_watchdog(struct ld_gateway *g);

/* require(NAME) in handlers and configs calls OPEN, as luaopen_NAME of a Lua
 * module in C.  What OPEN raises is an error of the require. */
int ld_gateway_preload(struct ld_gateway *g, const char *name,
                       int (*open)(struct lua_State *L));

/* `handler = "NAME"` in the config, and require(NAME), are the Lua text SCRIPT:
 * a handler or a module inside the host.  Copied. */
int ld_gateway_add_script(struct ld_gateway *g, const char *name,
                          const char *script);

/* In the config and in handlers `host.NAME` is the text VALUE: what the host
 * knows, such as an address, without writing Lua.  Copied; may be set again. */
int ld_gateway_set_value(struct ld_gateway *g, const char *name,
                         const char *value);

/* The config in the file PATH; relative paths in it are below its directory.
 * Its handlers are loaded and its listeners are bound; nothing is accepted
 * before it serves.  `workers` must be absent or 0, and the keys that confine a
 * process are refused.  LD_ERR_CONFIG when anything of it is not good; it may
 * then be tried again.  LD_ERR_STATE once it has been loaded. */
int ld_gateway_load_file(struct ld_gateway *g, const char *path);

/* The same of the text CONFIG, which messages call NAME (NULL: "config").
 * Relative paths are below the working directory. */
int ld_gateway_load_string(struct ld_gateway *g, const char *config,
                           const char *name);

/* ---- Serving ---- */

/* Serve in this thread until the gateway has stopped.  0 then; LD_ERR_STATE if
 * it has not been loaded or serves already.  LD_ERR_SYSTEM if the host has
 * closed the loop's own descriptor: it has stopped.  For that, a gateway with a
 * loop of its own calls ev_set_syserr_cb(). */
int ld_gateway_run(struct ld_gateway *g);

/* Serve on LOOP, which must be that of the options and run by the host, in this
 * thread: this returns at once. */
int ld_gateway_attach(struct ld_gateway *g, struct ev_loop *loop);

/* Serve in a thread of its own, in which all signals are blocked.  It takes a
 * gateway with a loop of its own. */
int ld_gateway_start(struct ld_gateway *g);

/* Any thread.  Wait until a started gateway has stopped; its thread has ended
 * then.  SECONDS: at most so long (0: just look; negative: for ever). */
int ld_gateway_join(struct ld_gateway *g, double seconds);

/* Any thread.  Accept no more, let connections finish for `drain` seconds of
 * the config, then end those that are left.  Called a second time, end them
 * now.  Stopped gateways stay stopped. */
int ld_gateway_stop(struct ld_gateway *g);

/* Any thread.  Load the config and the handlers again, and go on with them if
 * they are good.  LD_ERR_CONFIG if not: nothing has changed.  From another
 * thread it waits for 30 seconds at most.  LD_ERR_BUSY in a callback that Lua
 * has called: have it done by ld_gateway_post(). */
int ld_gateway_reload(struct ld_gateway *g);

/* The port that listener NAME of the config (its `name`, or its address as
 * given) is bound to: to be known when it was given as 0.  Negative: there is
 * none; 0 for a unix socket. */
int ld_gateway_port(struct ld_gateway *g, const char *name);

/* The loop it runs on; borrowed.  NULL for a null pointer. */
struct ev_loop *ld_gateway_loop(struct ld_gateway *g);

/* ---- Work and messages, from any thread ---- */

/* Have FN(CTX, G) called once in the gateway's thread, soon, in the order of
 * these calls and of what is published from other threads.  At most 65536 wait:
 * LD_ERR_FULL.  What still waits when it has stopped is called all the same,
 * while it stops or is freed; what that posts is refused. */
typedef void (*ld_gateway_work_fn)(void *ctx, struct ld_gateway *g);
int ld_gateway_post(struct ld_gateway *g, ld_gateway_work_fn fn, void *ctx);

/* The same, and wait for FN to have returned.  LD_ERR_TIMEOUT: it was not begun
 * within SECONDS (0 or less: at once) and never will be.  In the gateway's own
 * thread FN is called at once. */
int ld_gateway_call(struct ld_gateway *g, ld_gateway_work_fn fn, void *ctx,
                    double seconds);

/* The gateway's Lua state, in its own thread only (else NULL), for FN above and
 * for state functions: leave its stack as it was, and catch errors. */
struct lua_State *ld_gateway_lua(struct ld_gateway *g);

/* Any thread.  Publish SIZE bytes, at most 16 MiB, which are copied, to all
 * that subscribe to TOPIC: in Lua they come as a string.  From another thread,
 * or a callback, it is queued: LD_ERR_FULL; that TOPIC is none is then logged.
 * Who has limits.mailbox messages waiting already misses it; those are counted
 * as `topic_dropped`. */
int ld_gateway_publish(struct ld_gateway *g, const char *topic,
                       const void *message, size_t size);

/* FN gets what is published on topics that PATTERN ("news/+", "log/#") matches,
 * until unsubscribed.  A message that is no string comes as JSON.  TOPIC ends
 * in a NUL; both are valid during the call.  At most limits.mailbox wait: what
 * comes then is dropped.  Sets *ID.  Gateway's thread. */
typedef void (*ld_gateway_message_fn)(void *ctx, const char *topic,
                                      const void *message, size_t size);
int ld_gateway_subscribe(struct ld_gateway *g, const char *pattern,
                         ld_gateway_message_fn fn, void *ctx, uint32_t *id);
int ld_gateway_unsubscribe(struct ld_gateway *g, uint32_t id);

/* Numbers of a gateway; set SIZE before. */
struct ld_gateway_stats {
    size_t size;         /* sizeof(struct ld_gateway_stats) */
    uint64_t opened;     /* connections since the beginning, in and out */
    uint64_t closed;     /* of those */
    uint64_t accepted;   /* on listeners, open now */
    uint64_t refused;    /* by per_source limits */
    uint64_t handshakes; /* TLS or PROXY, that failed */
    uint64_t lua_bytes;  /* of Lua's heap */
    uint64_t version;    /* of the config: 1, and one more for each reload */
};
#define LD_STATS                                             \
    {                                                        \
        sizeof(struct ld_gateway_stats), 0, 0, 0, 0, 0, 0, 0 \
    }

/* Any thread; from others than its own it waits for 10 seconds at most.  After
 * it has stopped they are those of its end. */
int ld_gateway_stats(struct ld_gateway *g, struct ld_gateway_stats *stats);

/* ---- Handlers in C: state functions over the same unpacker ----
 *
 * A handler is an array of states.  A state names the format of the frame that
 * it awaits; when the frame is whole, RUN gets its values, and returns the
 * index of the next state.  Meanwhile messages come to on_message.  Timeouts,
 * limits, draining, reload and logs are as those of handlers in Lua.
 */

struct ld_session; /* a connection, during the call that is given it */
struct ld_frame;   /* what was read, during the call */

/* What RUN and its siblings return besides the index of a state. */
enum {
    LD_STATE_END = -1,  /* done: flush, and close */
    LD_STATE_FAIL = -2, /* what ld_session_fail() returns */
    LD_STATE_STAY = -3  /* on_message: go on as before */
};

struct ld_state {
    const char *name;   /* a Lua identifier */
    const char *format; /* of the frame; NULL: RUN is called at once */
    double idle;        /* seconds without a byte; 0: any */
    double total;       /* seconds in this state; 0: any */
    int (*run)(struct ld_session *s, const struct ld_frame *frame);
};

struct ld_handler {
    size_t size;       /* sizeof(struct ld_handler) */
    size_t state_size; /* sizeof(struct ld_state) */
    const struct ld_state *states;
    size_t state_count; /* the first one is where connections begin */
    void *ctx;          /* the host's; see ld_session_ctx() */
    /* All may be NULL.  on_message returns LD_STATE_STAY, or a state to go to
     * now, amid a frame; LD_STATE_END ends the connection. */
    int (*on_message)(struct ld_session *s, const char *topic,
                      const void *message, size_t size);
    /* CODE is "timeout", "truncated", "limit", "mismatch", "fail"...; returns
     * LD_STATE_END, or a state to go on in. */
    int (*on_error)(struct ld_session *s, const char *code, const char *text);
    /* The last call, always: free what ld_session_set_data() was given. */
    void (*on_close)(struct ld_session *s);
};
#define LD_HANDLER \
    .size = sizeof(struct ld_handler), .state_size = sizeof(struct ld_state)

/* `handler = "NAME"` in the config is HANDLER, which is copied with its states
 * and texts.  Before it is loaded.  LD_ERR_ARGUMENT for a format that is wrong,
 * which ld_error_text() explains. */
int ld_gateway_add_handler(struct ld_gateway *g, const char *name,
                           const struct ld_handler *handler);

/* The values of a frame, by index from 0 in the order of the format; a repeat
 * or a condition has its count, and what is in it, in its place.  Numbers of
 * any kind convert; what is no such value is 0 or NULL. */
size_t ld_frame_count(const struct ld_frame *f);
double ld_frame_number(const struct ld_frame *f, size_t index);
int64_t ld_frame_integer(const struct ld_frame *f, size_t index);
/* Not NUL-terminated; valid during the call. */
const void *ld_frame_bytes(const struct ld_frame *f, size_t index,
                           size_t *size);
/* The whole frame as it came. */
const void *ld_frame_raw(const struct ld_frame *f, size_t *size);

/* What goes into a frame: see LD_NUMBER and its siblings. */
struct ld_item {
    int kind;    /* 1 number, 2 integer, 3 bytes, 4 count, 0 absent */
    size_t size; /* of bytes, below 4 GiB */
    union {
        double number;
        int64_t integer;
        const void *bytes;
    } value;
};
#define LD_NUMBER(x) ((struct ld_item){1, 0, {.number = (x)}})
#define LD_INTEGER(x) ((struct ld_item){2, 0, {.integer = (x)}})
#define LD_BYTES(p, n) ((struct ld_item){3, (n), {.bytes = (p)}})
/* Before the items of a repeat: how often it is there. */
#define LD_COUNT(n) ((struct ld_item){4, 0, {.number = (n)}})

/* Append bytes, or a frame of FORMAT with COUNT items, to the output; copied.
 * LD_ERR_ARGUMENT for items that do not fit the format.  What is written to a
 * connection that has ended goes nowhere. */
int ld_session_write(struct ld_session *s, const void *bytes, size_t size);
int ld_session_pack(struct ld_session *s, const char *format,
                    const struct ld_item *items, size_t count);

/* End with the reason TEXT, for logs and on_error.  Returns
 * LD_STATE_FAIL, to be returned by RUN. */
int ld_session_fail(struct ld_session *s, const char *text);

/* A pointer of the host's for this connection; NULL at first. */
void *ld_session_data(struct ld_session *s);
int ld_session_set_data(struct ld_session *s, void *data);

/* What the handler was added with, and whose it is. */
void *ld_session_ctx(struct ld_session *s);
struct ld_gateway *ld_session_gateway(struct ld_session *s);

/* The peer's address ("192.0.2.1:1234") or the connection's id, as in logs:
 * at most SIZE bytes with their NUL are copied; returns the length it has. */
size_t ld_session_peer(struct ld_session *s, char *text, size_t size);
size_t ld_session_id(struct ld_session *s, char *text, size_t size);

/* What is published on topics that PATTERN matches comes to on_message. */
int ld_session_subscribe(struct ld_session *s, const char *pattern);

/* ---- The command line ---- */

/* Do what the command line `linedancer ARGV...` does; ARGV[0] is the first
 * word after the program's name.  It prints as the program does, and `run`
 * serves in this process until it is stopped, and refuses a config with workers
 * above 0.  For programs that are a linedancer themselves.  Returns the exit
 * status: 0 done, 1 refused, 2 usage. */
int ld_gateway_command(struct ld_gateway *g, int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
