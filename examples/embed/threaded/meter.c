/* make && (while sleep 1; do echo load $(cut -d' ' -f1 /proc/loadavg); done) |
 *     METER_TOKEN=secret ./meter
 * (printf 'MTR\1\6secret\1\1+'; sleep 5) | nc 127.0.0.1 7031 | od -c
 *
 * A tool that waits for its standard input, with a gateway in a thread of its
 * own.  A line is a name and a number, and goes to all clients that watch it;
 * the line ? prints how many there are.  The end of the input ends it.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <linedancer.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "protocol.h"

static const double PATIENCE = 10; /* seconds */

static const char usage[] =
    "usage: METER_TOKEN=TOKEN meter [OPTION...]\n"
    "\n"
    "Serves the measurements that come on standard input, lines of NAME "
    "NUMBER,\n"
    "to clients that know TOKEN.  The line ? prints how many there are.\n"
    "\n"
    "  -l, --listen ADDRESS  127.0.0.1:7031, [::1]:7031, unix:/path\n"
    "  -h, --help            this text\n";

static int complain(const char *what)
{
    fprintf(stderr, "meter: %s: %s\n", what, ld_error_text());
    return -1;
}

/* In the gateway's thread, to which the readings belong. */
struct work {
    struct meter *meter;
    struct reading *reading;
};

static void keep(void *ctx, struct ld_gateway *g)
{
    struct work *w = ctx;

    (void)g;
    readings_put(&w->meter->readings, w->reading);
    free(w);
}

/* Input can come faster than the gateway takes it: then it has to wait. */
static int is_full(int code)
{
    const struct timespec while_it_works = {.tv_nsec = 10000000};

    if (code != LD_ERR_FULL)
        return 0;
    nanosleep(&while_it_works, NULL);
    return 1;
}

/* Give the gateway R, which is its from then on. */
static int give(struct ld_gateway *g, struct meter *m, struct reading *r)
{
    struct work *w = malloc(sizeof(*w));
    char topic[NAME_MAX_BYTES + 16], text[32];
    int code;

    snprintf(topic, sizeof(topic), "reading/%s", r->name);
    snprintf(text, sizeof(text), "%.17g", r->value);
    if (!w) {
        free(r);
        return -1;
    }
    *w = (struct work){m, r};
    while (is_full(code = ld_gateway_post(g, keep, w)))
        ;
    if (code) {
        free(w);
        free(r);
        return complain("a reading");
    }
    while (is_full(code = ld_gateway_publish(g, topic, text, strlen(text))))
        ;
    return code ? complain("a reading") : 0;
}

struct counts {
    const struct meter *meter;
    size_t clients, readings;
};

static void count(void *ctx, struct ld_gateway *g)
{
    struct counts *c = ctx;

    (void)g;
    c->clients = c->meter->clients;
    c->readings = c->meter->readings.count;
}

static int show(struct ld_gateway *g, const struct meter *m)
{
    struct counts c = {.meter = m};

    if (ld_gateway_call(g, count, &c, PATIENCE))
        return complain("the counts");
    printf("clients %zu, things measured %zu\n", c.clients, c.readings);
    fflush(stdout);
    return 0;
}

/* A name is one level of a topic, and no pattern. */
static int is_name(const char *name)
{
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
            return 0;
    return 1;
}

/* -1: the gateway is no more. */
static int take(struct ld_gateway *g, struct meter *m, const char *line)
{
    struct reading *r;
    char rest;

    if (strcmp(line, "?\n") == 0)
        return show(g, m);
    r = calloc(1, sizeof(*r));
    if (r && sscanf(line, "%32s %lf %c", r->name, &r->value, &rest) == 2 &&
        is_name(r->name))
        return give(g, m, r);
    free(r);
    fprintf(stderr, "meter: no reading: %s%s", line,
            strchr(line, '\n') ? "" : "\n");
    return 0;
}

/* The input is at its end for whoever reads it next, or reads it now. */
static void on_signal(int number)
{
    (void)number;
    close(STDIN_FILENO);
}

static int read_all(struct ld_gateway *g, struct meter *m)
{
    char *line = NULL;
    size_t size = 0;
    int code = 0;

    while (!code && getline(&line, &size, stdin) > 0)
        code = take(g, m, line);
    free(line);
    return code;
}

static void print_stats(struct ld_gateway *g)
{
    struct ld_gateway_stats stats = LD_STATS;

    if (ld_gateway_stats(g, &stats))
        complain("the numbers");
    else
        printf("connections %llu, refused %llu\n",
               (unsigned long long)stats.opened,
               (unsigned long long)stats.refused);
}

static int serve(struct ld_gateway *g, struct meter *m, const char *address)
{
    static const char config[] = "return { drain = 5, listen = { "
                                 "{ host.listen, handler = 'meter' } } }";
    int code;

    if (protocol_add(g, m) || ld_gateway_set_value(g, "listen", address) ||
        ld_gateway_load_string(g, config, "meter") || ld_gateway_start(g))
        return complain("cannot serve");
    code = read_all(g, m);
    if (ld_gateway_stop(g) || ld_gateway_join(g, PATIENCE))
        return complain("the end");
    print_stats(g);
    return code;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"listen", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    const struct sigaction end = {.sa_handler = on_signal}; /* no SA_RESTART */
    const char *address = "127.0.0.1:7031";
    struct meter m = {.token = getenv("METER_TOKEN")};
    struct ld_gateway *g;
    int option, code;

    while ((option = getopt_long(argc, argv, "l:h", known, NULL)) != -1)
        switch (option) {
        case 'l': address = optarg; break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    if (!m.token || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    g = ld_gateway_new(NULL);
    if (!g) {
        perror("meter: no gateway");
        return 1;
    }
    code = serve(g, &m, address);
    ld_gateway_free(g);
    readings_free(&m.readings);
    return code ? 1 : 0;
}
