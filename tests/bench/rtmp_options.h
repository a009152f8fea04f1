/* rtmp_options.h -- the command line of the load of RTMP. */
#ifndef BENCH_RTMP_OPTIONS_H
#define BENCH_RTMP_OPTIONS_H

#include "option_values.h"

#include <arpa/inet.h>
#include <stdint.h>

struct rtmp_options {
    struct sockaddr_in address;
    unsigned viewers;
    unsigned publishers;
    unsigned chunk;
    double rate; /* bits a second, of a stream */
    double seconds;
    double warmup;
    double timeout;
    struct option_pids pids;
};

static const char rtmp_help[] =
    "usage: rtmp_load --port PORT [option...]\n"
    "\n"
    "Publish streams in real time and play them, see that every message of\n"
    "media reaches every viewer whole and in order, and print one line of\n"
    "JSON.  Without viewers it is the publishers that are measured.\n"
    "\n"
    "  --port PORT        of 127.0.0.1\n"
    "  --viewers N        who share the streams evenly (300)\n"
    "  --publishers N     (1)\n"
    "  --rate MBIT        a second, of each stream (4.5)\n"
    "  --chunk BYTES      of what publishers send (4096)\n"
    "  --seconds S        measured time (2.1)\n"
    "  --warmup S         before it, from a key frame on (0.5)\n"
    "  --timeout S        without progress is an error (10)\n"
    "  --pid PID[,PID]    processes whose CPU time to report\n"
    "  --help\n";

static void rtmp_option(void *to, const char *name, char *value)
{
    struct rtmp_options *o = to;

    if (strcmp(name, "port") == 0)
        o->address.sin_port =
            htons((uint16_t)option_number(name, value, 1, 65535));
    else if (strcmp(name, "viewers") == 0)
        o->viewers = (unsigned)option_number(name, value, 0, 20000);
    else if (strcmp(name, "publishers") == 0)
        o->publishers = (unsigned)option_number(name, value, 1, 20000);
    else if (strcmp(name, "rate") == 0)
        o->rate = option_number(name, value, 0.2, 1000) * 1e6;
    else if (strcmp(name, "chunk") == 0)
        o->chunk = (unsigned)option_number(name, value, 128, 65536);
    else if (strcmp(name, "seconds") == 0)
        o->seconds = option_number(name, value, 0.01, 3600);
    else if (strcmp(name, "warmup") == 0)
        o->warmup = option_number(name, value, 0, 3600);
    else if (strcmp(name, "timeout") == 0)
        o->timeout = option_number(name, value, 0.1, 3600);
    else
        option_pids(&o->pids, value);
}

/* Fill O from the command line, or exit. */
static void rtmp_parse(struct rtmp_options *o, int argc, char **argv)
{
    static const struct option known[] = {{"port", 1, NULL, 'o'},
                                          {"viewers", 1, NULL, 'o'},
                                          {"publishers", 1, NULL, 'o'},
                                          {"rate", 1, NULL, 'o'},
                                          {"chunk", 1, NULL, 'o'},
                                          {"seconds", 1, NULL, 'o'},
                                          {"warmup", 1, NULL, 'o'},
                                          {"timeout", 1, NULL, 'o'},
                                          {"pid", 1, NULL, 'o'},
                                          {"help", 0, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};

    *o = (struct rtmp_options){.address.sin_family = AF_INET,
                               .viewers = 300,
                               .publishers = 1,
                               .chunk = 4096,
                               .rate = 4.5e6,
                               .seconds = 2.1,
                               .warmup = 0.5,
                               .timeout = 10};
    o->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    option_parse(argc, argv, known, rtmp_help, rtmp_option, o);
    if (o->address.sin_port == 0)
        option_usage("missing", "--port");
}

#endif
