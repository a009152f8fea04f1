/* supervisor_plan.c -- a child that evaluates the config. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor.h"

enum { FIRST_CAP = 65536 };

static void run_child(const struct ld_supervisor_ops *ops, void *ctx,
                      pid_t parent, const int pipe_fds[2])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    close(pipe_fds[0]);
    exit(ops->plan(ctx, pipe_fds[1], NULL));
}

/* Everything until the end of FD, or NULL. */
static char *read_all(int fd, size_t *size)
{
    size_t cap = FIRST_CAP;
    char *text = malloc(cap), *grown;

    *size = 0;
    while (text) {
        ssize_t n = read(fd, text + *size, cap - *size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return text;
        *size += (size_t)n;
        if (*size < cap)
            continue;
        cap *= 2;
        grown = realloc(text, cap);
        if (!grown)
            free(text);
        text = grown;
    }
    return NULL;
}

static int await(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    fprintf(stderr, "linedancer: the config was not evaluated: %s\n",
            strsignal(WTERMSIG(status)));
    return 1;
}

static struct ld_plan *failed(int *status)
{
    fprintf(stderr, "linedancer: cannot start: %s\n", strerror(errno));
    *status = 1;
    return NULL;
}

struct ld_plan *ld_supervisor_plan(const struct ld_supervisor_ops *ops,
                                   void *ctx, int *status)
{
    pid_t self = getpid(), child;
    struct ld_plan *plan;
    int fds[2];
    size_t size;
    char *text;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return failed(status);
    child = fork();
    if (child == 0)
        run_child(ops, ctx, self, fds);
    close(fds[1]);
    if (child < 0) {
        close(fds[0]);
        return failed(status);
    }
    text = read_all(fds[0], &size);
    close(fds[0]);
    *status = await(child);
    if (*status || !text || size == 0) { /* it wanted to be refused or helped */
        free(text);
        return NULL;
    }
    plan = ld_plan_read(text, size);
    return plan ? plan : failed(status);
}
