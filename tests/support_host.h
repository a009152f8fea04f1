/* support_host.h -- a host with a gateway, and a client, for the tests of
 * core/linedancer.h.
 */
#ifndef SUPPORT_HOST_H
#define SUPPORT_HOST_H

#include <stdbool.h>

#include "linedancer.h"

enum { HOST_LOG = 65536 };

/* The log of a gateway, as a text. */
struct host_log {
    char text[HOST_LOG];
    size_t size;
};

/* A ld_gateway_log_fn; CTX is a struct host_log. */
void host_log_line(void *ctx, const char *line, size_t len);

/* A gateway on LOOP (NULL: its own) that logs to LOG.  Must succeed. */
struct ld_gateway *host_gateway(struct ev_loop *loop, struct host_log *log);

/* A config with one listener, called "it", on a free port of loopback, for
 * HANDLER, Lua text: a name in quotes or a table.  Good until the next call. */
const char *host_config(const char *handler);

/* Load that; must succeed.  The port. */
int host_load(struct ld_gateway *g, const char *handler);

/* A socket to PORT of loopback; must succeed. */
int host_connect(int port);

/* Send TEXT, and receive as many bytes as EXPECTED has: are they those?  SIZES
 * by strlen(). */
bool host_asks(int fd, const char *text, const char *expected);

/* Has the gateway closed FD? */
bool host_ended(int fd);

/* Descriptors of this process. */
int host_descriptors(void);

#endif
