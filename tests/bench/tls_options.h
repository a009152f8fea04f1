/* tls_options.h -- the command line of the load over TLS.
 *
 * Owns nothing but the values; a wrong command line prints why and exits 2.
 */
#ifndef BENCH_TLS_OPTIONS_H
#define BENCH_TLS_OPTIONS_H

#include "option_values.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>

enum tls_mode { TLS_HANDSHAKE, TLS_ECHO, TLS_BULK, TLS_IDLE };

struct tls_options {
    struct sockaddr_in address;
    enum tls_mode mode;
    int version;
    bool resume;
    unsigned connections;
    size_t size;
    double seconds;
    double warmup;
    double timeout;
    struct option_pids pids;
};

enum { TLS_ECHO_MAX = 16384 }; /* one record */

static const char *const tls_modes[] = {"handshake", "echo", "bulk", "idle"};

static const char tls_help[] =
    "usage: tls_load --port PORT [option...]\n"
    "\n"
    "Be many clients of a server over TLS, compare every byte that comes, and\n"
    "print one line of JSON. All use X25519, ECDSA with SHA-256, and AES-128\n"
    "in GCM; certificates are not looked at.\n"
    "\n"
    "  --port PORT        of 127.0.0.1\n"
    "  --mode MODE        handshake  connect, see the server say \"x\" or "
    "nothing\n"
    "                                and close, close; this is the default\n"
    "                     echo       SIZE bytes come back, one in flight\n"
    "                     bulk       connect, be sent SIZE bytes as "
    "source_raw\n"
    "                                makes them, see the server close, close\n"
    "                     idle       one echo each, print \"ready\", hold the\n"
    "                                connections until standard input ends\n"
    "  --tls VERSION      1.2 or 1.3 (1.3), and no other\n"
    "  --resume           the first of each, not counted, gets a ticket; all\n"
    "                     others must be resumed\n"
    "  --connections N    at a time (50)\n"
    "  --size BYTES       (64)\n"
    "  --seconds S        measured time (2)\n"
    "  --warmup S         before it, not counted (0.5)\n"
    "  --timeout S        without an answer is an error (10)\n"
    "  --pid PID[,PID]    processes whose CPU time to report\n"
    "  --help\n";

static enum tls_mode tls_mode_named(const char *text)
{
    size_t i;

    for (i = 0; i < sizeof(tls_modes) / sizeof(tls_modes[0]); i++)
        if (strcmp(text, tls_modes[i]) == 0)
            return (enum tls_mode)i;
    option_usage("no such mode", text);
}

static int tls_version(const char *text)
{
    if (strcmp(text, "1.2") == 0)
        return TLS1_2_VERSION;
    if (strcmp(text, "1.3") != 0)
        option_usage("no such version", text);
    return TLS1_3_VERSION;
}

static void tls_option(void *to, const char *name, char *value)
{
    struct tls_options *o = to;

    if (strcmp(name, "port") == 0)
        o->address.sin_port =
            htons((uint16_t)option_number(name, value, 1, 65535));
    else if (strcmp(name, "mode") == 0)
        o->mode = tls_mode_named(value);
    else if (strcmp(name, "tls") == 0)
        o->version = tls_version(value);
    else if (strcmp(name, "resume") == 0)
        o->resume = true;
    else if (strcmp(name, "connections") == 0)
        o->connections = (unsigned)option_number(name, value, 1, 100000);
    else if (strcmp(name, "size") == 0)
        o->size = (size_t)option_number(name, value, 1, 1 << 30);
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
static void tls_parse(struct tls_options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"port", 1, NULL, 'o'},    {"mode", 1, NULL, 'o'},
        {"tls", 1, NULL, 'o'},     {"resume", 0, NULL, 'o'},
        {"size", 1, NULL, 'o'},    {"connections", 1, NULL, 'o'},
        {"seconds", 1, NULL, 'o'}, {"warmup", 1, NULL, 'o'},
        {"timeout", 1, NULL, 'o'}, {"pid", 1, NULL, 'o'},
        {"help", 0, NULL, 'h'},    {NULL, 0, NULL, 0}};

    *o = (struct tls_options){.address.sin_family = AF_INET,
                              .version = TLS1_3_VERSION,
                              .connections = 50,
                              .size = 64,
                              .seconds = 2,
                              .warmup = 0.5,
                              .timeout = 10};
    o->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    option_parse(argc, argv, known, tls_help, tls_option, o);
    if (o->address.sin_port == 0)
        option_usage("missing", "--port");
    if (o->mode != TLS_BULK && o->size > TLS_ECHO_MAX)
        option_usage("more than one record in mode", tls_modes[o->mode]);
}

#endif
