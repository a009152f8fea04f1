/* confine.h -- what a process gives up before it runs handlers: the identity
 * that it was started with, and system calls that no gateway needs.
 *
 * There is no way back.  Knows nothing of plans or Lua.
 */
#ifndef LD_CONFINE_H
#define LD_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ld_confinement {
    char *user; /* whose supplementary groups; "" or NULL: stay who we are */
    uid_t uid;
    gid_t gid;
    bool no_new_privs; /* nor do programs that are executed */
    bool seccomp;      /* see syscalls.h */
};

/* Put the ids of USER, and of GROUP (NULL: the primary one of USER), into C, if
 * this process can take them.  False with WHY, SIZE bytes, a sentence. */
bool ld_confine_find(const char *user, const char *group,
                     struct ld_confinement *c, char *why, size_t size);

/* Confine this process as C says, and look whether it holds.  False with WHY;
 * then it may be half done, and the process should end. */
bool ld_confine(const struct ld_confinement *c, char *why, size_t size);

#endif
