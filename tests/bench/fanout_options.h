/* fanout_options.h -- the command line of the load of fan-out. */
#ifndef BENCH_FANOUT_OPTIONS_H
#define BENCH_FANOUT_OPTIONS_H

#include "fanout_blob.h"
#include "option_values.h"

#include <arpa/inet.h>
#include <stdint.h>

struct fanout_options {
    struct sockaddr_in address;
    unsigned followers;
    unsigned merge; /* milliseconds */
    size_t size;
    double rate; /* blobs a second */
    double seconds;
    double warmup;
    double timeout;
    struct option_pids pids;
};

static const char fanout_help[] =
    "usage: fanout_load --port PORT [option...]\n"
    "\n"
    "Follow a channel, have blobs published on it, see that they arrive, and\n"
    "print one line of JSON.\n"
    "\n"
    "  --port PORT        of 127.0.0.1\n"
    "  --followers N      (300)\n"
    "  --rate N           blobs a second (74)\n"
    "  --size BYTES       of a blob (7168)\n"
    "  --merge MS         the channel's merge window (0)\n"
    "  --seconds S        measured time (2)\n"
    "  --warmup S         before it, not counted (0.5)\n"
    "  --timeout S        without a byte is an error (10)\n"
    "  --pid PID[,PID]    processes whose CPU time to report\n"
    "  --help\n";

static void fanout_option(void *to, const char *name, char *value)
{
    struct fanout_options *o = to;

    if (strcmp(name, "port") == 0)
        o->address.sin_port =
            htons((uint16_t)option_number(name, value, 1, 65535));
    else if (strcmp(name, "followers") == 0)
        o->followers = (unsigned)option_number(name, value, 1, 60000);
    else if (strcmp(name, "rate") == 0)
        o->rate = option_number(name, value, 0.1, 1e6);
    else if (strcmp(name, "size") == 0)
        o->size = (size_t)option_number(name, value, BLOB_HEADER, 1 << 20);
    else if (strcmp(name, "merge") == 0)
        o->merge = (unsigned)option_number(name, value, 0, 10000);
    else if (strcmp(name, "seconds") == 0)
        o->seconds = option_number(name, value, 0.01, 86400);
    else if (strcmp(name, "warmup") == 0)
        o->warmup = option_number(name, value, 0, 86400);
    else if (strcmp(name, "timeout") == 0)
        o->timeout = option_number(name, value, 0.1, 86400);
    else
        option_pids(&o->pids, value);
}

/* Fill O from the command line, or exit. */
static void fanout_parse(struct fanout_options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"port", 1, NULL, 'o'},   {"followers", 1, NULL, 'o'},
        {"rate", 1, NULL, 'o'},   {"size", 1, NULL, 'o'},
        {"merge", 1, NULL, 'o'},  {"seconds", 1, NULL, 'o'},
        {"warmup", 1, NULL, 'o'}, {"timeout", 1, NULL, 'o'},
        {"pid", 1, NULL, 'o'},    {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0}};

    *o = (struct fanout_options){.address.sin_family = AF_INET,
                                 .followers = 300,
                                 .size = 7168,
                                 .rate = 74,
                                 .seconds = 2,
                                 .warmup = 0.5,
                                 .timeout = 10};
    o->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    option_parse(argc, argv, known, fanout_help, fanout_option, o);
    if (o->address.sin_port == 0)
        option_usage("missing", "--port");
}

#endif
