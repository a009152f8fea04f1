/* listener.h -- a listening socket that gives accepted sockets away.
 *
 * Owns the listening fd and its watchers.  Borrows the loop, which must
 * outlive it.  Never owns an accepted fd: ON_ACCEPT takes it and closes it.
 * Knows nothing of connections, buffers or Lua.
 */
#ifndef LD_LISTENER_H
#define LD_LISTENER_H

#include <ev.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "log.h"

struct ld_listener; /* opaque; see listener.c */

/* Where to listen.  HOST is numeric; PATH names a unix socket instead. */
struct ld_address {
    int family; /* AF_INET, AF_INET6 (":7000" and "[::]" take IPv4 as well) or
                   AF_UNIX */
    const char *host;
    const char *path;
    uint16_t port; /* 0: any free one */
    unsigned mode; /* of a unix socket's file; 0: as the umask has it */
};

/* Takes ownership of FD, which is non-blocking and close-on-exec.  PEER is
 * zeroed for unix sockets. */
typedef void (*ld_accept_fn)(void *ctx, int fd,
                             const struct sockaddr_storage *peer);

/* Bind and listen.  A port in use is an error even for a second gateway; a
 * unix socket that nobody answers on is replaced.  NULL with errno set.
 * Nothing is accepted before ld_listener_start(). */
struct ld_listener *ld_listener_open(struct ev_loop *loop,
                                     const struct ld_address *at, int backlog,
                                     const struct ld_log *log);

/* A listener for FD, a listening non-blocking socket that it closes in the
 * end; NULL with errno set.  Other processes may have the same socket. */
struct ld_listener *ld_listener_adopt(struct ev_loop *loop, int fd,
                                      const struct ld_log *log);

/* L removes PATH in the end, the file of its socket; false with errno. */
bool ld_listener_keep(struct ld_listener *l, const char *path);

/* How a socket shares its port with other sockets, each with a queue of its
 * own. */
enum ld_share_port {
    LD_PORT_OWN,    /* not: a busy port is an error */
    LD_PORT_SHARED, /* a busy port is an error, but others may join later */
    LD_PORT_JOINED  /* with the one that shares it */
};

/* A bound, listening, non-blocking fd, or -1 with errno set.  A unix socket
 * that nobody answers on is replaced. */
int ld_listener_bind(const struct ld_address *at, int backlog,
                     enum ld_share_port share);

/* Does FD listen at AT?  Port 0 is no place. */
bool ld_listener_is_at(int fd, const struct ld_address *at);

/* A non-blocking copy of FD, which listens, with the same options as
 * ld_listener_bind() gives; -1 with errno set. */
int ld_listener_copy(int fd, int family, int backlog);

/* The port that FD is bound to, in host byte order; 0 for unix sockets. */
uint16_t ld_listener_bound(int fd);

/* Accept from now on.  The listener pauses by itself, without spinning, while
 * the process has no descriptor left. */
void ld_listener_start(struct ld_listener *l, ld_accept_fn on_accept,
                       void *ctx);

/* Stop accepting for as long as the caller likes; start again to go on.
 * Clients wait in the kernel's queue. */
void ld_listener_pause(struct ld_listener *l);

/* Its socket; borrowed. */
int ld_listener_fd(const struct ld_listener *l);

/* The port really bound, in host byte order; 0 for unix sockets. */
uint16_t ld_listener_port(const struct ld_listener *l);

/* Stop accepting, remove a unix socket's file, and free L (NULL is allowed).
 * Accepted sockets live on. */
void ld_listener_close(struct ld_listener *l);

#endif
