/* main.c -- the program: arguments, signals, processes, exit status. */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "activation.h"
#include "bind/role.h"
#include "linedancer.h"
#include "supervisor.h"

enum { SIGNALS = 4 };

struct arguments {
    int count;
    char **values; /* without the program's name, which stands before them */
    char program[4096];
};

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    if (w->signum == SIGHUP) {
        ld_gateway_reload(w->data);
        return;
    }
    ld_gateway_stop(w->data);
    if (w->signum == SIGQUIT)
        ld_gateway_stop(w->data);
}

/* As many connections as the system allows, without asking the user to. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* LuaJIT watches the stack of Lua, but not C's, which calls from C into Lua and
 * back take: 100 MB hold as many as Lua's own stack does. */
static void raise_stack_limit(void)
{
    struct rlimit limit;
    const rlim_t size = 100 << 20;

    if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur >= size ||
        limit.rlim_max < size)
        return;
    limit.rlim_cur = size;
    setrlimit(RLIMIT_STACK, &limit);
}

/* Only a gateway that serves has something to finish: all else just dies. */
static void watch_signals(struct ld_gateway *g, ev_signal watchers[SIGNALS])
{
    static const int signals[SIGNALS] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};

    for (int i = 0; i < SIGNALS; i++) {
        ev_signal_init(&watchers[i], on_signal, signals[i]);
        watchers[i].data = g;
        ev_signal_start(ld_gateway_loop(g), &watchers[i]);
        ev_unref(ld_gateway_loop(g));
    }
}

static void ignore_signals(struct ld_gateway *g, ev_signal watchers[SIGNALS])
{
    for (int i = 0; i < SIGNALS; i++) {
        ev_ref(ld_gateway_loop(g));
        ev_signal_stop(ld_gateway_loop(g), &watchers[i]);
    }
}

/* Do what the command line says, as ROLE. */
static int command(const struct arguments *a, const struct ld_role *role,
                   bool serves)
{
    struct ld_gateway *g = ld_gateway_new_as(role);
    ev_signal watchers[SIGNALS];
    int status;

    if (!g) {
        fprintf(stderr, "linedancer: cannot start: %s\n", strerror(errno));
        return 1;
    }
    if (serves)
        watch_signals(g, watchers);
    status = ld_gateway_command(g, a->count, a->values);
    if (serves)
        ignore_signals(g, watchers);
    ld_gateway_free(g);
    return status;
}

static int plan(void *ctx, int fd, const struct ld_plan *former)
{
    struct ld_role role = {
        .kind = LD_ROLE_PLAN, .plan_fd = fd, .former = former};

    return command(ctx, &role, false);
}

static int work(void *ctx, const struct ld_seat *seat)
{
    struct ld_role role = {
        .kind = LD_ROLE_WORKER, .watchdog = true, .seat = seat};

    return command(ctx, &role, false);
}

static void again(void *ctx)
{
    const struct arguments *a = ctx;

    execv(a->program, a->values - 1);
}

/* The program's file, also when the one that runs has been replaced. */
static void find_program(struct arguments *a)
{
    ssize_t n = readlink("/proc/self/exe", a->program, sizeof(a->program) - 1);

    a->program[n > 0 ? n : 0] = 0;
}

/* This process serves what the plan holds: with the privileges that it has
 * left, it may be unable to read it, or to bind. */
static int run_alone(struct arguments *a, struct ld_plan *found)
{
    struct ld_role role = {.kind = LD_ROLE_ALONE,
                           .watchdog = true,
                           .activated = ld_activation_count(),
                           .plan = found};
    char why[256];
    int status = 1;

    role.sockets = ld_supervisor_bind_alone(found, role.activated);
    if (!role.sockets)
        return status;
    if (ld_confine(&found->confinement, why, sizeof(why)))
        status = command(a, &role, true);
    else
        fprintf(stderr, "linedancer: cannot start: %s\n", why);
    ld_supervisor_close_alone(found, role.activated, role.sockets);
    return status;
}

/* `run`: a child looks at the config; what it finds says how many processes
 * there are to be. */
static int run(struct arguments *a)
{
    static const struct ld_supervisor_ops ops = {plan, again, work};
    struct ld_plan *found;
    int status;

    found = ld_supervisor_plan(&ops, a, &status);
    if (!found)
        return status;
    if (found->workers > 0)
        return ld_supervise(found, &ops, a);
    status = run_alone(a, found);
    ld_plan_free(found);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments a = {.count = argc - 1, .values = argv + 1};
    struct ld_role alone = {.kind = LD_ROLE_ALONE};

    find_program(&a);
    raise_descriptor_limit();
    raise_stack_limit();
    signal(SIGPIPE, SIG_IGN); /* a log piped to a program that has gone */
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        return run(&a);
    return command(&a, &alone, false);
}
