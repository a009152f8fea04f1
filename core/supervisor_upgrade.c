/* supervisor_upgrade.c -- another program in the place of this one, which takes
 * over the listening sockets, so that no client is refused.
 *
 *   SIGUSR2 --> a child executes the program anew, with the sockets --> its
 *   workers are ready --> it sends us SIGTERM --> we drain, and leave them open
 *
 * If the new one ends before, everything stays as it was.  The sockets are
 * named in the environment, a line for each listener: FAMILY FD,FD... TEXT.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "activation.h"
#include "notify.h"
#include "supervisor_parts.h"

#define SOCKETS "LINEDANCER_SOCKETS"
#define PARENT "LINEDANCER_PARENT"

static void keep_open(int fd)
{
    fcntl(fd, F_SETFD, 0);
}

/* Say in the environment which sockets there are. */
static bool bequeath(const struct ld_supervisor *s)
{
    char *text = NULL, pid[24];
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return false;
    for (uint32_t i = 0; i < s->plan->listener_count; i++) {
        const struct ld_plan_listener *l = &s->plan->listeners[i];

        fprintf(f, "%d ", l->family);
        for (uint32_t k = 0; k < s->slots; k++) {
            keep_open(s->sockets[i * s->slots + k]);
            fprintf(f, "%d,", s->sockets[i * s->slots + k]);
        }
        fprintf(f, " %s\n", l->text);
    }
    if (fclose(f) != 0)
        return false;
    ld_activation_pass_on(s->activated);
    snprintf(pid, sizeof(pid), "%d", (int)s->pid);
    return setenv(SOCKETS, text, 1) == 0 && setenv(PARENT, pid, 1) == 0;
}

void ld_supervisor_upgrade(struct ld_supervisor *s)
{
    if (s->phase != LD_SERVING || s->heir || s->reload.phase) {
        ld_log(&s->log, LD_WARN, "upgrade refused", "why=\"%s\"",
               s->heir                  ? "another upgrade is under way"
               : s->phase != LD_SERVING ? "the gateway is stopping"
                                        : "a reload is under way");
        return;
    }
    s->heir = fork();
    if (s->heir == 0) {
        ld_supervisor_leave(s);
        if (bequeath(s))
            s->ops->again(s->ctx);
        fprintf(stderr, "linedancer: cannot start anew: %s\n", strerror(errno));
        _exit(1);
    }
    if (s->heir < 0) {
        ld_log(&s->log, LD_FAULT, "upgrade refused", "error=\"%s\"",
               strerror(errno));
        s->heir = 0;
        return;
    }
    ld_log(&s->log, LD_INFO, "upgrade", "pid=%d", (int)s->heir);
}

void ld_supervisor_heir_died(struct ld_supervisor *s, int status)
{
    ld_log(&s->log, LD_FAULT, "upgrade failed", "pid=%d %s=%d", (int)s->heir,
           WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    s->heir = 0;
}

/* The part of the environment's line about L that follows its family, or NULL.
 */
static const char *find_line(const struct ld_plan_listener *l)
{
    const char *line = getenv(SOCKETS);

    while (line && *line) {
        const char *end = strchrnul(line, '\n');
        const char *fds = strchr(line, ' ');
        const char *text = fds ? strchr(fds + 1, ' ') : NULL;

        if (text && text < end && atoi(line) == l->family &&
            strlen(l->text) == (size_t)(end - text - 1) &&
            memcmp(text + 1, l->text, strlen(l->text)) == 0)
            return fds + 1;
        line = *end ? end + 1 : end;
    }
    return NULL;
}

/* A copy of the listening socket that AT names; -1 when there is none. */
static int copy_of(const char *at, char **end)
{
    long fd = strtol(at, end, 10);

    if (*end == at || **end != ',')
        return -1;
    return fcntl((int)fd, F_DUPFD_CLOEXEC, 3);
}

uint32_t ld_supervisor_inherit(const struct ld_supervisor *s,
                               const struct ld_plan_listener *l, int *sockets)
{
    const char *at = find_line(l);
    uint32_t count = 0;

    while (at && count < s->slots) {
        char *end;
        int fd = copy_of(at, &end);

        if (fd < 0)
            break;
        sockets[count++] = fd;
        at = end + 1;
    }
    return count;
}

/* Close what was inherited: there are copies of what is used. */
void ld_supervisor_inherited(void)
{
    const char *line = getenv(SOCKETS);

    while (line && *line) {
        const char *at = strchr(line, ' ');
        char *end;

        for (at = at ? at + 1 : ""; *at && *at != ' '; at = end + 1) {
            long fd = strtol(at, &end, 10);

            if (end == at || *end != ',')
                break;
            close((int)fd);
        }
        line = strchrnul(line, '\n');
        line += *line == '\n';
    }
    unsetenv(SOCKETS);
}

/* A service manager follows the new one. */
static void tell_ready(void)
{
    char text[64];

    snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1", (int)getpid());
    ld_notify(text);
}

void ld_supervisor_take_over(void)
{
    const char *text = getenv(PARENT);
    pid_t parent = text ? (pid_t)strtol(text, NULL, 10) : 0;

    tell_ready();
    if (parent > 1 && parent == getppid())
        kill(parent, SIGTERM);
    unsetenv(PARENT);
}
