/* activation.h -- listening sockets that a service manager has passed to this
 * process; see sd_listen_fds(3).
 *
 * They are descriptors from 3 on, and stay open: the service manager has them,
 * too, and clients queue in them while nobody serves.  So they are never shut
 * down, and the file of a unix socket is never removed.
 */
#ifndef LD_ACTIVATION_H
#define LD_ACTIVATION_H

#include "listener.h"

/* How many there are: at most 1000.  For the program alone, which has the
 * environment and these descriptors for itself; they become close-on-exec. */
unsigned ld_activation_count(void);

/* Is one of COUNT bound to AT? */
bool ld_activation_has(unsigned count, const struct ld_address *at);

/* A copy of the one of COUNT that is bound to AT, ready for
 * ld_listener_adopt(); -1 when there is none. */
int ld_activation_find(unsigned count, const struct ld_address *at,
                       int backlog);

/* Before exec(): the program that comes gets them, too. */
void ld_activation_pass_on(unsigned count);

/* Close them: this process does not listen. */
void ld_activation_close(unsigned count);

#endif
