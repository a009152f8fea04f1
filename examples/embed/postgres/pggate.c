/* pggate.c -- a gateway before PostgreSQL as a program of its own: logs
 * statements as JSON lines, limits their rate, sums up by user.
 *
 *   make && ./pggate --listen 127.0.0.1:6432 --upstream 127.0.0.1:5432
 *
 * It embeds Linedancer: the protocol is in gate.lua and gate/, which the
 * Makefile turns into scripts.c, so that there is nothing to install beside
 * the program.  The gateway serves in a thread of its own; this one waits for
 * signals: SIGUSR1 prints the summary, SIGTERM and SIGINT drain and end, and a
 * second one ends at once.  What Lua has to tell C it publishes.
 */
#include <errno.h>
#include <getopt.h>
#include <linedancer.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"
#include "scripts.h"

struct options {
    const char *listen, *upstream, *over;
    double rate, burst, slow, stats;
};

struct pggate {
    pthread_mutex_t lock; /* the report is counted in the gateway's thread */
    struct report report;
};

static const char HELP[] =
    "pggate [OPTION...]: a gateway before PostgreSQL that logs and limits\n"
    "\n"
    "  --listen ADDRESS     127.0.0.1:6432, [::1]:6432 or unix:/path\n"
    "  --upstream ADDRESS   the server, by default 127.0.0.1:5432\n"
    "  --rate NUMBER        statements a second of a user (0: any)\n"
    "  --burst NUMBER       of those at once (10)\n"
    "  --over delay|error   what goes beyond waits, or is refused (delay)\n"
    "  --slow MS            log what takes as long, and what fails (0: all)\n"
    "  --stats SECONDS      print the summary as often (0: at the end, and at\n"
    "                       SIGUSR1)\n"
    "  --help               this text\n";

/* What handlers say of each statement comes as "MS ROWS FAILED USER". */
static const char CONFIG[] =
    "local ld = require 'linedancer'\n"
    "return { drain = 5, limits = { connections = 1000 }, listen = { {\n"
    "  host.listen, name = 'gate', handler = 'gate', options = {\n"
    "    upstream = host.upstream, over = host.over,\n"
    "    rate = tonumber(host.rate), burst = tonumber(host.burst),\n"
    "    slow = tonumber(host.slow),\n"
    "    on_statement = function(user, _, ms, rows, sqlstate)\n"
    "      ld.publish('pggate/statement',\n"
    "        ('%.6f %d %d %s'):format(ms, rows, sqlstate and 1 or 0, user))\n"
    "    end } } } }\n";

static void on_log(void *ctx, const char *line, size_t size)
{
    (void)ctx;
    report_line(line, size);
}

static void on_statement(void *ctx, const char *topic, const void *message,
                         size_t size)
{
    struct pggate *gate = ctx;
    char text[256];
    double ms, rows;
    int failed, name = 0;

    (void)topic;
    if (size >= sizeof(text))
        size = sizeof(text) - 1;
    memcpy(text, message, size);
    text[size] = '\0';
    if (sscanf(text, "%lf %lf %d %n", &ms, &rows, &failed, &name) != 3 || !name)
        return;
    pthread_mutex_lock(&gate->lock);
    report_count(&gate->report, text + name, ms, rows, failed);
    pthread_mutex_unlock(&gate->lock);
}

static void summarize(struct pggate *gate)
{
    pthread_mutex_lock(&gate->lock);
    report_summary(&gate->report);
    pthread_mutex_unlock(&gate->lock);
}

/* The number in TEXT, 0 or more; or -1. */
static double number_of(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    return end != text && !*end && value >= 0 && value <= 1e9 ? value : -1;
}

static int usage(const char *problem, const char *subject)
{
    fprintf(stderr, "pggate: %s%s; see pggate --help\n", problem, subject);
    return 2;
}

/* -1: go on; else the status to exit with. */
static int check(const struct options *o)
{
    if (strcmp(o->over, "delay") != 0 && strcmp(o->over, "error") != 0)
        return usage("--over takes delay or error, not ", o->over);
    if (o->rate < 0 || o->slow < 0 || o->stats < 0)
        return usage("a number of 0 or more is expected", "");
    if (o->burst < 1)
        return usage("--burst takes a number of 1 or more", "");
    return -1;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"listen", required_argument, NULL, 'l'},
        {"upstream", required_argument, NULL, 'u'},
        {"rate", required_argument, NULL, 'r'},
        {"burst", required_argument, NULL, 'b'},
        {"over", required_argument, NULL, 'o'},
        {"slow", required_argument, NULL, 's'},
        {"stats", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    int letter;

    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (letter) {
        case 'l': o->listen = optarg; break;
        case 'u': o->upstream = optarg; break;
        case 'r': o->rate = number_of(optarg); break;
        case 'b': o->burst = number_of(optarg); break;
        case 'o': o->over = optarg; break;
        case 's': o->slow = number_of(optarg); break;
        case 't': o->stats = number_of(optarg); break;
        case 'h': fputs(HELP, stdout); return 0;
        default: return usage("an option is wrong", "");
        }
    }
    if (optind < argc)
        return usage("there is no argument ", argv[optind]);
    return check(o);
}

static int add_scripts(struct ld_gateway *g)
{
    for (const struct script *s = scripts; s->name; s++)
        if (ld_gateway_add_script(g, s->name, s->text))
            return -1;
    return 0;
}

static int set_number(struct ld_gateway *g, const char *name, double value)
{
    char text[32];

    snprintf(text, sizeof(text), "%.17g", value);
    return ld_gateway_set_value(g, name, text);
}

/* What the config says of `host`. */
static int set_values(struct ld_gateway *g, const struct options *o)
{
    return ld_gateway_set_value(g, "listen", o->listen) ||
           ld_gateway_set_value(g, "upstream", o->upstream) ||
           ld_gateway_set_value(g, "over", o->over) ||
           set_number(g, "rate", o->rate) || set_number(g, "burst", o->burst) ||
           set_number(g, "slow", o->slow);
}

/* Everything up to a gateway that serves. */
static int begin(struct ld_gateway *g, struct pggate *gate,
                 const struct options *o)
{
    uint32_t id;

    return ld_gateway_set_log(g, on_log, NULL) || add_scripts(g) ||
           set_values(g, o) || ld_gateway_load_string(g, CONFIG, "pggate") ||
           ld_gateway_subscribe(g, "pggate/statement", on_statement, gate,
                                &id) ||
           ld_gateway_start(g);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The next of SIGNALS within SECONDS, or 0. */
static int next_signal(const sigset_t *signals, double seconds)
{
    struct timespec wait;
    int number;

    if (seconds < 0)
        seconds = 0;
    wait.tv_sec = (time_t)seconds;
    wait.tv_nsec = (long)((seconds - (double)wait.tv_sec) * 1e9);
    number = sigtimedwait(signals, NULL, &wait);
    return number < 0 ? 0 : number;
}

/* Until the gateway has stopped, which takes a signal. */
static void serve(struct ld_gateway *g, struct pggate *gate,
                  const sigset_t *signals, double interval)
{
    double due = now() + interval, wait;
    int stopping = 0;

    while (!stopping || ld_gateway_join(g, 0)) {
        wait = stopping ? 0.05 : interval > 0 ? due - now() : 3600;
        switch (next_signal(signals, wait)) {
        case SIGUSR1: summarize(gate); break;
        case SIGTERM:
        case SIGINT:
            stopping = 1;
            ld_gateway_stop(g);
            break;
        default: break;
        }
        if (interval > 0 && now() >= due) {
            summarize(gate);
            due += interval;
        }
    }
}

int main(int argc, char **argv)
{
    static struct pggate gate = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct options o = {.listen = "127.0.0.1:6432",
                        .upstream = "127.0.0.1:5432",
                        .over = "delay",
                        .burst = 10};
    struct ld_gateway *g;
    sigset_t signals;
    int status = parse(argc, argv, &o);

    if (status >= 0)
        return status;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    g = ld_gateway_new(NULL);
    if (!g) {
        fprintf(stderr, "pggate: %s\n", strerror(errno));
        return 1;
    }
    if (begin(g, &gate, &o)) {
        fprintf(stderr, "pggate: %s\n", ld_error_text());
        ld_gateway_free(g);
        return 1;
    }
    serve(g, &gate, &signals, o.stats);
    summarize(&gate);
    return ld_gateway_free(g) ? 1 : 0;
}
