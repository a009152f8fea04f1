/* linedancer.h -- the public interface: a gateway inside your program.
 *
 * A gateway owns a Lua state, and listeners and connections on a libev loop.
 * It is used from one thread.  Two gateways fit in one process.  It never
 * exits, never prints except by its log, and touches no signal.
 */
#ifndef LINEDANCER_H
#define LINEDANCER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ev_loop;
struct ld_gateway;

/* LINE ends in a newline and is valid during the call. */
typedef void (*ld_gateway_log_fn)(void *ctx, const char *line, size_t len);

/* Zero means the default, for every member. */
struct ld_gateway_options {
    struct ev_loop *loop;  /* borrowed; default: a loop of its own */
    ld_gateway_log_fn log; /* default: standard error */
    void *log_ctx;
};

/* A gateway that listens nowhere yet.  OPTIONS may be NULL.  Returns NULL with
 * errno set; free with ld_gateway_free(). */
struct ld_gateway *ld_gateway_new(const struct ld_gateway_options *options);

/* Do what the command line `linedancer ARGV...` does; ARGV[0] is the first
 * word after the program's name.  `run` returns when the gateway has stopped;
 * it serves in this process, and refuses a config with workers above 0.
 * Returns the exit status: 0 done, 1 refused, 2 usage. */
int ld_gateway_command(struct ld_gateway *g, int argc, char **argv);

/* Stop: accept no more, let connections finish for the configured time, then
 * end those that are left.  Called a second time, end them now.  Safe in a
 * libev callback, not in a signal handler. */
void ld_gateway_stop(struct ld_gateway *g);

/* Load the config and the handlers again, and go on with them if they are good;
 * if not, nothing changes.  What came of it is in the log.  Safe in a libev
 * callback, not in a signal handler. */
void ld_gateway_reload(struct ld_gateway *g);

/* The loop it runs on; borrowed. */
struct ev_loop *ld_gateway_loop(struct ld_gateway *g);

/* Close everything and free G; NULL is allowed. */
void ld_gateway_free(struct ld_gateway *g);

#ifdef __cplusplus
}
#endif

#endif
