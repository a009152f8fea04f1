/* rtmp_options.h -- the command line of the load of RTMP. */
#ifndef BENCH_RTMP_OPTIONS_H
#define BENCH_RTMP_OPTIONS_H

#include "option_values.h"

#include <arpa/inet.h>
#include <stdint.h>

struct rtmp_options {
    struct sockaddr_in address;
    unsigned viewers, publishers;
    unsigned chunk; /* bytes of the chunks that the server sends */
    double bits;    /* a second, of each stream */
    double seconds;
    double warmup;
    struct option_pids pids;
};

static const char rtmp_help[] =
    "usage: rtmp_load --port PORT [option...]\n"
    "\n"
    "Publish over RTMP in real time, have the first stream viewed, see that\n"
    "all arrives, and print one line of JSON.\n"
    "\n"
    "  --port PORT        of 127.0.0.1\n"
    "  --viewers N        (300)\n"
    "  --publishers N     (1)\n"
    "  --bits N           a second, of each stream (4.5e6)\n"
    "  --chunk BYTES      of the chunks that the server sends (60000)\n"
    "  --seconds S        measured time (4)\n"
    "  --warmup S         before it, not counted (1)\n"
    "  --pid PID[,PID]    processes whose CPU time to report\n"
    "  --help\n";

static void rtmp_option(void *to, const char *name, char *value)
{
    struct rtmp_options *o = to;

    if (strcmp(name, "port") == 0)
        o->address.sin_port =
            htons((uint16_t)option_number(name, value, 1, 65535));
    else if (strcmp(name, "viewers") == 0)
        o->viewers = (unsigned)option_number(name, value, 0, 15000);
    else if (strcmp(name, "publishers") == 0)
        o->publishers = (unsigned)option_number(name, value, 1, 15000);
    else if (strcmp(name, "bits") == 0)
        o->bits = option_number(name, value, 2e5, 15e6);
    else if (strcmp(name, "chunk") == 0)
        o->chunk = (unsigned)option_number(name, value, 128, 1 << 24);
    else if (strcmp(name, "seconds") == 0)
        o->seconds = option_number(name, value, 0.01, 86400);
    else if (strcmp(name, "warmup") == 0)
        o->warmup = option_number(name, value, 0, 86400);
    else
        option_pids(&o->pids, value);
}

/* Fill O from the command line, or exit. */
static void rtmp_parse(struct rtmp_options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"port", 1, NULL, 'o'},  {"viewers", 1, NULL, 'o'},
        {"bits", 1, NULL, 'o'},  {"publishers", 1, NULL, 'o'},
        {"chunk", 1, NULL, 'o'}, {"seconds", 1, NULL, 'o'},
        {"pid", 1, NULL, 'o'},   {"warmup", 1, NULL, 'o'},
        {"help", 0, NULL, 'h'},  {NULL, 0, NULL, 0}};

    *o = (struct rtmp_options){.address.sin_family = AF_INET,
                               .viewers = 300,
                               .publishers = 1,
                               .chunk = 60000,
                               .bits = 4.5e6,
                               .seconds = 4,
                               .warmup = 1};
    o->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    option_parse(argc, argv, known, rtmp_help, rtmp_option, o);
    if (o->address.sin_port == 0)
        option_usage("missing", "--port");
}

#endif
