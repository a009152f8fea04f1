/* confine.c -- see confine.h. */
#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "syscalls.h"

static bool failed(char *why, size_t size, const char *what)
{
    snprintf(why, size, "%s: %s", what, strerror(errno));
    return false;
}

static bool is_root(void)
{
    return geteuid() == 0;
}

static bool find_user(const char *user, struct ld_confinement *c, char *why,
                      size_t size)
{
    const struct passwd *entry = getpwnam(user);

    if (!entry) {
        snprintf(why, size, "user: there is no user '%s'", user);
        return false;
    }
    c->uid = entry->pw_uid;
    c->gid = entry->pw_gid;
    if (c->uid == 0)
        snprintf(why, size, "user: '%s' is root; name somebody who may less",
                 user);
    else if (!is_root() && c->uid != geteuid())
        snprintf(why, size,
                 "user: only root can become '%s'; start as root, or as '%s', "
                 "or remove the key",
                 user, user);
    else
        return true;
    return false;
}

static bool find_group(const char *group, struct ld_confinement *c, char *why,
                       size_t size)
{
    const struct group *entry = getgrnam(group);

    if (!entry) {
        snprintf(why, size, "group: there is no group '%s'", group);
        return false;
    }
    c->gid = entry->gr_gid;
    if (is_root() || c->gid == getegid())
        return true;
    snprintf(why, size,
             "group: only root can change to '%s'; start as root, or remove "
             "the key",
             group);
    return false;
}

/* One who is the user already keeps the group that it was started with. */
bool ld_confine_find(const char *user, const char *group,
                     struct ld_confinement *c, char *why, size_t size)
{
    if (!find_user(user, c, why, size))
        return false;
    if (group)
        return find_group(group, c, why, size);
    if (!is_root())
        c->gid = getegid();
    return true;
}

/* A service manager may have given some to one who is not root; root's go with
 * its uid. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) == 0;
}

static bool become(const struct ld_confinement *c, char *why, size_t size)
{
    if (is_root() && initgroups(c->user, c->gid) < 0)
        return failed(why, size, "cannot set the groups");
    if (setresgid(c->gid, c->gid, c->gid) < 0)
        return failed(why, size, "cannot set the group");
    if (setresuid(c->uid, c->uid, c->uid) < 0)
        return failed(why, size, "cannot set the user");
    if (!drop_capabilities())
        return failed(why, size, "cannot drop capabilities");
    return true;
}

static bool is_only(uint32_t id, const uint32_t ids[3])
{
    return ids[0] == id && ids[1] == id && ids[2] == id;
}

/* Is this process who it should be, for good? */
static bool is_become(const struct ld_confinement *c)
{
    uid_t users[3];
    gid_t groups[3];

    if (getresuid(&users[0], &users[1], &users[2]) < 0 ||
        getresgid(&groups[0], &groups[1], &groups[2]) < 0)
        return false;
    return is_only(c->uid, users) && is_only(c->gid, groups) &&
           setresuid((uid_t)-1, 0, (uid_t)-1) < 0 &&
           (c->gid == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) < 0);
}

/* Another identity takes from us the signal that we get when the parent dies,
 * and the parent may die meanwhile. */
static bool change(const struct ld_confinement *c, char *why, size_t size)
{
    pid_t parent = getppid();
    int number = 0;

    prctl(PR_GET_PDEATHSIG, &number);
    if (!become(c, why, size))
        return false;
    if (!is_become(c)) {
        snprintf(why, size, "it could take back what it has given up");
        return false;
    }
    prctl(PR_SET_PDEATHSIG, number);
    if (number && getppid() != parent)
        raise(number);
    return true;
}

bool ld_confine(const struct ld_confinement *c, char *why, size_t size)
{
    if (c->user && *c->user && !change(c, why, size))
        return false;
    if (c->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return failed(why, size, "cannot give up new privileges");
    if (c->seccomp && !ld_syscalls_filter())
        return failed(why, size, "cannot filter system calls");
    return true;
}
