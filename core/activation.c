/* activation.c -- see activation.h. */
#include "activation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST = 3, COUNT_MAX = 1000 };

static long number_of(const char *name)
{
    const char *text = getenv(name);

    return text ? strtol(text, NULL, 10) : 0;
}

unsigned ld_activation_count(void)
{
    long count = number_of("LISTEN_FDS");

    if (number_of("LISTEN_PID") != (long)getpid() || count <= 0)
        return 0;
    if (count > COUNT_MAX)
        count = COUNT_MAX;
    for (int i = 0; i < count; i++)
        fcntl(FIRST + i, F_SETFD, FD_CLOEXEC);
    return (unsigned)count;
}

/* The one that is bound to AT, or -1. */
static int find(unsigned count, const struct ld_address *at)
{
    for (unsigned i = 0; i < count; i++)
        if (ld_listener_is_at(FIRST + (int)i, at))
            return FIRST + (int)i;
    return -1;
}

bool ld_activation_has(unsigned count, const struct ld_address *at)
{
    return find(count, at) >= 0;
}

int ld_activation_find(unsigned count, const struct ld_address *at, int backlog)
{
    int fd = find(count, at);

    return fd < 0 ? -1 : ld_listener_copy(fd, at->family, backlog);
}

void ld_activation_pass_on(unsigned count)
{
    char pid[24];

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (count == 0 || setenv("LISTEN_PID", pid, 1) < 0)
        return;
    for (unsigned i = 0; i < count; i++)
        fcntl(FIRST + (int)i, F_SETFD, 0);
}

void ld_activation_close(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(FIRST + (int)i);
}
