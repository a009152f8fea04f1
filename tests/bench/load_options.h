/* load_options.h -- the command line of the load generator.
 *
 * Owns nothing but the values; a wrong command line prints why and exits 2.
 */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum load_mode {
    LOAD_ECHO,
    LOAD_FRAMED,
    LOAD_LINES,
    LOAD_CONNCLOSE,
    LOAD_IDLE
};

enum { LOAD_PIDS_MAX = 64 };

struct load_options {
    struct sockaddr_in address;
    enum load_mode mode;
    unsigned connections;
    unsigned depth;
    size_t size;
    double seconds;
    double warmup;
    double timeout;
    unsigned pid_count;
    pid_t pids[LOAD_PIDS_MAX];
};

static const char *const load_modes[] = {"echo", "framed", "lines", "connclose",
                                         "idle"};

static const char load_help[] =
    "usage: load --port PORT [option...]\n"
    "\n"
    "Send unique messages to a server that echoes them, compare every byte\n"
    "that comes back, and print one line of JSON.\n"
    "\n"
    "  --host ADDRESS     numeric IPv4 (127.0.0.1)\n"
    "  --port PORT\n"
    "  --mode MODE        echo       SIZE bytes (default)\n"
    "                     framed     u32 big-endian length, SIZE bytes\n"
    "                     lines      about SIZE bytes ended by \\n\n"
    "                     connclose  connect, one message, its echo, close\n"
    "                     idle       one echo each, print \"ready\", hold the\n"
    "                                connections until standard input ends\n"
    "  --connections N    at a time (50)\n"
    "  --depth N          messages in flight per connection (1)\n"
    "  --size BYTES       (64)\n"
    "  --seconds S        measured time (2)\n"
    "  --warmup S         before it, not counted (0.5)\n"
    "  --timeout S        without an answer is an error (10)\n"
    "  --pid PID[,PID]    processes whose CPU time to report\n"
    "  --help\n";

static _Noreturn void load_usage(const char *what, const char *value)
{
    fprintf(stderr, "load: %s: %s (--help lists the options)\n", what, value);
    exit(2);
}

static double load_number(const char *name, const char *text, double min,
                          double max)
{
    char *end;
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (errno || end == text || *end || !(value >= min && value <= max)) {
        fprintf(stderr, "load: --%s wants a number from %g to %g, not '%s'\n",
                name, min, max, text);
        exit(2);
    }
    return value;
}

static enum load_mode load_mode_named(const char *text)
{
    size_t i;

    for (i = 0; i < sizeof(load_modes) / sizeof(load_modes[0]); i++)
        if (strcmp(text, load_modes[i]) == 0)
            return (enum load_mode)i;
    load_usage("no such mode", text);
}

static void load_pids(struct load_options *o, char *text)
{
    char *item, *rest = NULL;

    for (item = strtok_r(text, ",", &rest); item;
         item = strtok_r(NULL, ",", &rest)) {
        if (o->pid_count == LOAD_PIDS_MAX)
            load_usage("too many processes, from", item);
        o->pids[o->pid_count++] = (pid_t)load_number("pid", item, 1, 1 << 22);
    }
}

static void load_option(struct load_options *o, const char *name, char *value)
{
    if (strcmp(name, "host") == 0) {
        if (inet_pton(AF_INET, value, &o->address.sin_addr) != 1)
            load_usage("not a numeric IPv4 address", value);
    } else if (strcmp(name, "port") == 0) {
        o->address.sin_port =
            htons((uint16_t)load_number(name, value, 1, 65535));
    } else if (strcmp(name, "mode") == 0) {
        o->mode = load_mode_named(value);
    } else if (strcmp(name, "connections") == 0) {
        o->connections = (unsigned)load_number(name, value, 1, 100000);
    } else if (strcmp(name, "depth") == 0) {
        o->depth = (unsigned)load_number(name, value, 1, 10000);
    } else if (strcmp(name, "size") == 0) {
        o->size = (size_t)load_number(name, value, 1, 1 << 24);
    } else if (strcmp(name, "seconds") == 0) {
        o->seconds = load_number(name, value, 0.01, 86400);
    } else if (strcmp(name, "warmup") == 0) {
        o->warmup = load_number(name, value, 0, 86400);
    } else if (strcmp(name, "timeout") == 0) {
        o->timeout = load_number(name, value, 0.1, 86400);
    } else {
        load_pids(o, value);
    }
}

static void load_check(struct load_options *o)
{
    if (o->address.sin_port == 0)
        load_usage("missing", "--port");
    if (o->mode == LOAD_LINES && o->size < 8)
        load_usage("lines want", "--size 8 or more");
    if ((o->mode == LOAD_CONNCLOSE || o->mode == LOAD_IDLE) && o->depth != 1)
        load_usage("one message per connection in mode", load_modes[o->mode]);
    if ((double)o->size * o->depth * o->connections > (double)(1U << 30))
        load_usage("over 1 GB in flight",
                   "reduce --size, --depth or --connections");
}

/* Fill O from the command line, or exit. */
static void load_parse(struct load_options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"host", 1, NULL, 'o'},    {"port", 1, NULL, 'o'},
        {"mode", 1, NULL, 'o'},    {"connections", 1, NULL, 'o'},
        {"depth", 1, NULL, 'o'},   {"size", 1, NULL, 'o'},
        {"seconds", 1, NULL, 'o'}, {"warmup", 1, NULL, 'o'},
        {"timeout", 1, NULL, 'o'}, {"pid", 1, NULL, 'o'},
        {"help", 0, NULL, 'h'},    {NULL, 0, NULL, 0}};
    int which = 0, c;

    *o = (struct load_options){.address.sin_family = AF_INET,
                               .connections = 50,
                               .depth = 1,
                               .size = 64,
                               .seconds = 2,
                               .warmup = 0.5,
                               .timeout = 10};
    o->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while ((c = getopt_long(argc, argv, "", known, &which)) != -1) {
        if (c == 'h') {
            fputs(load_help, stdout);
            exit(0);
        }
        if (c != 'o')
            load_usage("cannot start", "wrong option");
        load_option(o, known[which].name, optarg);
    }
    if (optind < argc)
        load_usage("unexpected argument", argv[optind]);
    load_check(o);
}

#endif
