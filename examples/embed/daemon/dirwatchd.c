/* make && ./dirwatchd --config gateway.lua /tmp
 * printf 'watch +\nlist\n' | nc 127.0.0.1 7030      then: echo hello >/tmp/x
 *
 * A daemon with a loop of its own, which a gateway is attached to: it watches a
 * directory, and publishes what happens there; who is told, and how, is up to
 * changes.lua.  SIGHUP loads the config and the handler again, SIGTERM drains,
 * a second one ends at once.
 */
#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <linedancer.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "watch.h"

struct daemon {
    struct ev_loop *loop;
    struct ld_gateway *gateway;
    struct watch watch;
    ev_signal hangup, terminate, interrupt;
};

struct options {
    const char *config, *dir;
    int to_syslog;
};

static const char usage[] =
    "usage: dirwatchd [OPTION...] DIRECTORY\n"
    "\n"
    "Tells TCP clients what happens in DIRECTORY.\n"
    "\n"
    "  -c, --config FILE  of the gateway (gateway.lua)\n"
    "  -s, --syslog       log there, and not to standard error\n"
    "  -h, --help         this text\n"
    "  -V, --version      that of Linedancer\n";

/* A message is a size and a name; see changes.lua. */
static void publish(struct daemon *d, const char *topic, const char *name,
                    long long size)
{
    char message[512];
    int n = snprintf(message, sizeof(message), "%lld %s", size, name);

    if (ld_gateway_publish(d->gateway, topic, message, (size_t)n))
        syslog(LOG_WARNING, "not published: %s", ld_error_text());
}

static void on_change(void *ctx, const char *event, const char *name,
                      long long size)
{
    struct daemon *d = ctx;
    char topic[32];

    if (strcmp(event, "gone") == 0) {
        syslog(LOG_ERR, "%s is gone", d->watch.dir);
        ld_gateway_stop(d->gateway);
        return;
    }
    snprintf(topic, sizeof(topic), "changes/%s", event);
    publish(d, topic, name, size);
}

struct listing {
    struct daemon *daemon;
    char topic[256];
};

static void on_present(void *ctx, const char *event, const char *name,
                       long long size)
{
    struct listing *l = ctx;
    char topic[sizeof(l->topic) + 16];

    snprintf(topic, sizeof(topic), "%s/%s", l->topic, event);
    publish(l->daemon, topic, name, size);
}

/* Somebody asks for all files: the message is the topic of the answers. */
static void on_list(void *ctx, const char *topic, const void *message,
                    size_t size)
{
    struct listing l = {.daemon = ctx};
    int count;

    (void)topic;
    snprintf(l.topic, sizeof(l.topic), "%.*s", (int)size,
             (const char *)message);
    count = watch_list(&l.daemon->watch, on_present, &l);
    on_present(&l, "listed", "", count > 0 ? count : 0);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int events)
{
    struct daemon *d = w->data;

    (void)loop;
    (void)events;
    if (ld_gateway_reload(d->gateway))
        syslog(LOG_ERR, "not reloaded: %s", ld_error_text());
}

static void on_terminate(struct ev_loop *loop, ev_signal *w, int events)
{
    struct daemon *d = w->data;

    (void)loop;
    (void)events;
    ld_gateway_stop(d->gateway);
}

static void watch_signal(struct daemon *d, ev_signal *w, int number,
                         void (*fn)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(w, fn, number);
    w->data = d;
    ev_signal_start(d->loop, w);
}

static void unwatch(struct daemon *d)
{
    watch_close(&d->watch);
    ev_signal_stop(d->loop, &d->hangup);
    ev_signal_stop(d->loop, &d->terminate);
    ev_signal_stop(d->loop, &d->interrupt);
}

/* Nothing is left on the loop, so that it ends. */
static void on_stopped(void *ctx, struct ld_gateway *g)
{
    (void)g;
    unwatch(ctx);
}

/* A line is a time, a level, and the rest. */
static void to_syslog(void *ctx, const char *line, size_t size)
{
    char level[6] = "";
    int rest = 0, priority;

    (void)ctx;
    sscanf(line, "%*s %5s %n", level, &rest);
    priority = strcmp(level, "error") == 0  ? LOG_ERR
               : strcmp(level, "warn") == 0 ? LOG_WARNING
                                            : LOG_INFO;
    syslog(priority, "%.*s", (int)size - rest - 1, line + rest);
}

/* 0: go on; else the exit status is that less 1. */
static int parse(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"syslog", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0}};
    int option;

    *o = (struct options){.config = "gateway.lua"};
    while ((option = getopt_long(argc, argv, "c:shV", known, NULL)) != -1)
        switch (option) {
        case 'c': o->config = optarg; break;
        case 's': o->to_syslog = 1; break;
        case 'h': fputs(usage, stdout); return 1;
        case 'V': printf("Linedancer %s\n", ld_version()); return 1;
        default: fputs(usage, stderr); return 3;
        }
    if (argc - optind != 1) {
        fputs("dirwatchd: one directory expected\n", stderr);
        fputs(usage, stderr);
        return 3;
    }
    o->dir = argv[optind];
    return 0;
}

/* Before there is a gateway: who hears of it may send a signal at once. */
static int watch(struct daemon *d, const struct options *o)
{
    if (watch_open(&d->watch, d->loop, o->dir, on_change, d)) {
        syslog(LOG_ERR, "%s: %s", o->dir, strerror(errno));
        return -1;
    }
    watch_signal(d, &d->hangup, SIGHUP, on_hangup);
    watch_signal(d, &d->terminate, SIGTERM, on_terminate);
    watch_signal(d, &d->interrupt, SIGINT, on_terminate);
    return 0;
}

static int serve(struct daemon *d, const struct options *o)
{
    struct ld_gateway_options given = {.loop = d->loop};

    if (o->to_syslog)
        given.log = to_syslog;
    d->gateway = ld_gateway_new(&given);
    if (!d->gateway) {
        syslog(LOG_ERR, "no gateway: %s", strerror(errno));
        return -1;
    }
    if (ld_gateway_set_stopped(d->gateway, on_stopped, d) ||
        ld_gateway_load_file(d->gateway, o->config) ||
        ld_gateway_subscribe(d->gateway, "command/list", on_list, d, NULL) ||
        ld_gateway_attach(d->gateway, d->loop)) {
        syslog(LOG_ERR, "%s", ld_error_text());
        return -1;
    }
    ev_run(d->loop, 0);
    return 0;
}

int main(int argc, char **argv)
{
    struct daemon d = {.loop = ev_default_loop(EVFLAG_AUTO)};
    struct options o;
    int status = parse(&o, argc, argv);

    if (status)
        return status - 1;
    /* LOG_PERROR: what this program itself has to say is on both. */
    openlog("dirwatchd", o.to_syslog ? LOG_PID : LOG_PID | LOG_PERROR,
            LOG_DAEMON);
    if (watch(&d, &o))
        return 1;
    status = serve(&d, &o);
    if (status)
        unwatch(&d);
    ld_gateway_free(d.gateway);
    ev_loop_destroy(d.loop);
    return status ? 1 : 0;
}
