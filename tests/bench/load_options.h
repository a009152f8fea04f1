/* load_options.h -- the command line of the load generator.
 *
 * Owns nothing but the values; a wrong command line prints why and exits 2.
 */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include "option_values.h"

#include <arpa/inet.h>
#include <string.h>

enum load_mode {
    LOAD_ECHO,
    LOAD_FRAMED,
    LOAD_LINES,
    LOAD_CONNCLOSE,
    LOAD_IDLE
};

struct load_options {
    struct sockaddr_in address;
    enum load_mode mode;
    unsigned connections;
    unsigned depth;
    size_t size;
    double seconds;
    double warmup;
    double timeout;
    unsigned proxy; /* version of the header that comes first; 0: none */
    struct option_pids pids;
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
    "  --proxy VERSION    say first whom it is for, by the PROXY protocol, 1 "
    "or 2\n"
    "  --pid PID[,PID]    processes whose CPU time to report\n"
    "  --help\n";

static enum load_mode load_mode_named(const char *text)
{
    size_t i;

    for (i = 0; i < sizeof(load_modes) / sizeof(load_modes[0]); i++)
        if (strcmp(text, load_modes[i]) == 0)
            return (enum load_mode)i;
    option_usage("no such mode", text);
}

static void load_option(void *to, const char *name, char *value)
{
    struct load_options *o = to;

    if (strcmp(name, "host") == 0) {
        if (inet_pton(AF_INET, value, &o->address.sin_addr) != 1)
            option_usage("not a numeric IPv4 address", value);
    } else if (strcmp(name, "port") == 0) {
        o->address.sin_port =
            htons((uint16_t)option_number(name, value, 1, 65535));
    } else if (strcmp(name, "mode") == 0) {
        o->mode = load_mode_named(value);
    } else if (strcmp(name, "connections") == 0) {
        o->connections = (unsigned)option_number(name, value, 1, 100000);
    } else if (strcmp(name, "depth") == 0) {
        o->depth = (unsigned)option_number(name, value, 1, 10000);
    } else if (strcmp(name, "size") == 0) {
        o->size = (size_t)option_number(name, value, 1, 1 << 24);
    } else if (strcmp(name, "seconds") == 0) {
        o->seconds = option_number(name, value, 0.01, 86400);
    } else if (strcmp(name, "warmup") == 0) {
        o->warmup = option_number(name, value, 0, 86400);
    } else if (strcmp(name, "proxy") == 0) {
        o->proxy = (unsigned)option_number(name, value, 1, 2);
    } else if (strcmp(name, "timeout") == 0) {
        o->timeout = option_number(name, value, 0.1, 86400);
    } else {
        option_pids(&o->pids, value);
    }
}

static void load_check(struct load_options *o)
{
    if (o->address.sin_port == 0)
        option_usage("missing", "--port");
    if (o->mode == LOAD_LINES && o->size < 8)
        option_usage("lines want", "--size 8 or more");
    if ((o->mode == LOAD_CONNCLOSE || o->mode == LOAD_IDLE) && o->depth != 1)
        option_usage("one message per connection in mode", load_modes[o->mode]);
    if ((double)o->size * o->depth * o->connections > (double)(1U << 30))
        option_usage("over 1 GB in flight",
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
        {"proxy", 1, NULL, 'o'},   {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0}};

    *o = (struct load_options){.address.sin_family = AF_INET,
                               .connections = 50,
                               .depth = 1,
                               .size = 64,
                               .seconds = 2,
                               .warmup = 0.5,
                               .timeout = 10};
    o->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    option_parse(argc, argv, known, load_help, load_option, o);
    load_check(o);
}

#endif
