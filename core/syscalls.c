/* syscalls.c -- see syscalls.h. */
#define _GNU_SOURCE
#include "syscalls.h"

#include <errno.h>

#ifdef LD_SECCOMP

#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static const int refused[] = {
    /* Programs. */
    SCMP_SYS(execve), SCMP_SYS(execveat),
    /* Other processes. */
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp),
    /* Identity. */
    SCMP_SYS(setuid), SCMP_SYS(setuid32), SCMP_SYS(setgid), SCMP_SYS(setgid32),
    SCMP_SYS(setreuid), SCMP_SYS(setreuid32), SCMP_SYS(setregid),
    SCMP_SYS(setregid32), SCMP_SYS(setresuid), SCMP_SYS(setresuid32),
    SCMP_SYS(setresgid), SCMP_SYS(setresgid32), SCMP_SYS(setfsuid),
    SCMP_SYS(setfsuid32), SCMP_SYS(setfsgid), SCMP_SYS(setfsgid32),
    SCMP_SYS(setgroups), SCMP_SYS(setgroups32), SCMP_SYS(capset),
    SCMP_SYS(personality),
    /* What of the system is seen. */
    SCMP_SYS(mount), SCMP_SYS(umount), SCMP_SYS(umount2), SCMP_SYS(open_tree),
    SCMP_SYS(move_mount), SCMP_SYS(fsopen), SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr),
    SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(setns), SCMP_SYS(unshare),
    SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at),
    /* The system itself. */
    SCMP_SYS(reboot), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
    SCMP_SYS(create_module), SCMP_SYS(swapon), SCMP_SYS(swapoff),
    SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(quotactl_fd),
    SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(settimeofday),
    SCMP_SYS(stime), SCMP_SYS(clock_settime), SCMP_SYS(clock_settime64),
    SCMP_SYS(clock_adjtime), SCMP_SYS(clock_adjtime64), SCMP_SYS(adjtimex),
    SCMP_SYS(syslog), SCMP_SYS(vhangup), SCMP_SYS(iopl), SCMP_SYS(ioperm),
    SCMP_SYS(nfsservctl), SCMP_SYS(lookup_dcookie), SCMP_SYS(fanotify_init),
    /* Where holes have been. */
    SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register), SCMP_SYS(keyctl), SCMP_SYS(add_key),
    SCMP_SYS(request_key)};

static const unsigned NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP |
                                   CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                   CLONE_NEWPID | CLONE_NEWNET;

/* The flags of clone3() are out of a filter's sight; the C library does without
 * where there is none. */
static int refuse_namespaces(scmp_filter_ctx f)
{
    int r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

    for (unsigned bit = 1; !r && bit && bit <= NAMESPACES; bit <<= 1)
        if (bit & NAMESPACES)
            r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
    return r;
}

/* Of sockets: of the internet and of this machine; and what the C library asks
 * about interfaces. */
static bool is_of_use(int family)
{
    return family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
           family == AF_NETLINK;
}

static int refuse_families(scmp_filter_ctx f)
{
    const uint32_t action = SCMP_ACT_ERRNO(EAFNOSUPPORT);
    int r = seccomp_rule_add(f, action, SCMP_SYS(socket), 1,
                             SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));

    for (int family = 0; !r && family < AF_NETLINK; family++)
        if (!is_of_use(family))
            r = seccomp_rule_add(f, action, SCMP_SYS(socket), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family, 0));
    return r;
}

/* Nobody types into the terminal that we were started from. */
static int refuse_typing(scmp_filter_ctx f)
{
    return seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TIOCSTI));
}

static int add_rules(scmp_filter_ctx f)
{
    const uint32_t action = SCMP_ACT_ERRNO(EPERM);
    int r = 0;

    for (size_t i = 0; !r && i < sizeof(refused) / sizeof(*refused); i++)
        r = seccomp_rule_add(f, action, refused[i], 0);
    if (!r)
        r = refuse_namespaces(f);
    if (!r)
        r = refuse_families(f);
    return r ? r : refuse_typing(f);
}

bool ld_syscalls_can_filter(void)
{
    return true;
}

bool ld_syscalls_filter(void)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int r = f ? add_rules(f) : -ENOMEM;

    /* A tree of comparisons instead of a list; an older library has none. */
    if (!r)
        seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (!r)
        r = seccomp_load(f);
    if (f)
        seccomp_release(f);
    errno = -r;
    return !r;
}

#else

bool ld_syscalls_can_filter(void)
{
    return false;
}

bool ld_syscalls_filter(void)
{
    errno = ENOSYS;
    return false;
}

#endif
