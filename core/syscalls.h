/* syscalls.h -- a filter of system calls, by libseccomp.
 *
 * Handlers are trusted, and use files and sockets as they like, so everything
 * is allowed but what no gateway needs: to run programs, to trace, to change
 * identity, to reach into the system, and parts of the kernel that are known
 * for their holes.  Those calls fail with EPERM.
 */
#ifndef LD_SYSCALLS_H
#define LD_SYSCALLS_H

#include <stdbool.h>

/* Was this built with libseccomp? */
bool ld_syscalls_can_filter(void);

/* Filter the calls of this process and its children from now on, for good;
 * false with errno. */
bool ld_syscalls_filter(void);

#endif
