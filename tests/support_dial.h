/* support_dial.h -- a dialer on a loop of its own, servers for it to find, and
 * a DNS server whose answers the test chooses.
 */
#ifndef LD_TESTS_SUPPORT_DIAL_H
#define LD_TESTS_SUPPORT_DIAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "dial.h"

/* A program's one rig, made anew for each test; at a test's end no descriptor
 * may be left. */
struct dial_rig {
    struct ev_loop *loop;
    struct ld_dialer *dialer;
    int descriptors; /* open before */
};

extern struct dial_rig dial_rig;
int dial_set_up(void **state);
int dial_tear_down(void **state);

/* How a dial went. */
struct outcome {
    int calls;
    enum ld_status st;
    int fd;
    char message[LD_DIAL_TEXT];
};

/* Begin; the outcome is not there yet. */
struct ld_dial *dial_begin(struct outcome *o, const struct ld_dial_target *to);

/* Run the loop until O is there, at most ten seconds. */
void dial_await(struct outcome *o);

/* Both. */
void dial_run(struct outcome *o, const struct ld_dial_target *to);

/* Run the loop for SECONDS. */
void dial_pass(double seconds);

/* Connected, to HOST:PORT; O's descriptor is closed. */
void assert_reached(struct outcome *o, const char *host, uint16_t port);

/* Failed with ST, and a message that holds TEXT. */
void assert_failed(const struct outcome *o, enum ld_status st,
                   const char *text);

/* A listening socket at HOST; *PORT 0: any free one, which it becomes.
 * -1: there is no such address here. */
int listen_at(const char *host, uint16_t *port, int backlog);

/* The same, with a full queue: who connects waits for ever.  WITNESSES are
 * the sockets that fill it, to be closed. */
enum { WITNESSES = 2 };
int black_hole(const char *host, uint16_t *port, int witnesses[WITNESSES]);

/* Descriptors of this process. */
int count_descriptors(void);

/* A DNS server.  To questions of type A or AAAA it gives the addresses of the
 * list; rcode 3 says that there is no such name.  Answers are held back while
 * SILENT, or sent after DELAY seconds. */
struct dns_answer {
    const char *const *addresses; /* numeric, up to a NULL */
    int rcode;
    bool silent, garbage;
    double delay;
};

enum { DNS_A, DNS_AAAA };

struct dns {
    struct dns_answer answers[2];
    int asked[2];
    ev_io io;
    uint16_t port;
    struct dns_pending *pending; /* answers to be sent later */
};

/* Have the rig's dialer ask D; end it with dns_close(). */
void dns_open(struct dns *d);
void dns_close(struct dns *d);

#endif
