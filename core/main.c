/* main.c -- the program: arguments, signals, exit status. */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "linedancer.h"

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
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

/* Only a gateway that serves has something to finish: all else just dies. */
static void watch_signals(struct ld_gateway *g, ev_signal watchers[2])
{
    static const int signals[] = {SIGTERM, SIGINT};

    for (int i = 0; i < 2; i++) {
        ev_signal_init(&watchers[i], on_signal, signals[i]);
        watchers[i].data = g;
        ev_signal_start(ld_gateway_loop(g), &watchers[i]);
        ev_unref(ld_gateway_loop(g));
    }
}

static void ignore_signals(struct ld_gateway *g, ev_signal watchers[2])
{
    for (int i = 0; i < 2; i++) {
        ev_ref(ld_gateway_loop(g));
        ev_signal_stop(ld_gateway_loop(g), &watchers[i]);
    }
}

int main(int argc, char **argv)
{
    struct ld_gateway *g = ld_gateway_new(NULL);
    bool serves = argc > 1 && strcmp(argv[1], "run") == 0;
    ev_signal watchers[2];
    int status;

    if (!g) {
        fprintf(stderr, "linedancer: cannot start: %s\n", strerror(errno));
        return 1;
    }
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN); /* a log piped to a program that has gone */
    if (serves)
        watch_signals(g, watchers);
    status = ld_gateway_command(g, argc - 1, argv + 1);
    if (serves)
        ignore_signals(g, watchers);
    ld_gateway_free(g);
    return status;
}
