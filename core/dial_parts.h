/* dial_parts.h -- what the files of dial.c share. */
#ifndef LD_DIAL_PARTS_H
#define LD_DIAL_PARTS_H

#include <ares.h>
#include <ev.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "dial.h"

/* The order in which families are tried. */
enum { LD_DIAL_V6, LD_DIAL_V4, LD_DIAL_FAMILIES };

struct ld_dial_address {
    socklen_t len; /* 0: none */
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

struct ld_dial_list {
    struct ld_dial_address at[LD_DIAL_ADDRESSES];
    unsigned count, tried;
};

/* A question to DNS; it outlives a dial that needs its answer no more. */
struct ld_dial_query {
    struct ld_dialer *dialer;
    struct ld_dial *dial; /* NULL: nobody waits */
    unsigned family;
};

/* A socket that may become the connection. */
struct ld_dial_attempt {
    ev_io io;
    struct ld_dial *dial;
    const struct ld_dial_address *to; /* NULL: the unix socket */
};

struct ld_dial {
    struct ld_dialer *dialer;
    struct ld_dial *next, **link; /* of the dialer's */
    ld_dial_fn done;
    void *ctx;
    double timeout;
    ev_timer deadline;
    ev_timer pace; /* until the next attempt, retry or the delivery */
    char host[LD_DIAL_HOST + 1];
    char label[LD_DIAL_HOST + 16]; /* what messages call the target */
    uint16_t port;
    bool named; /* the host is no address */
    bool over;  /* only the delivery is left */
    unsigned next_family;
    struct sockaddr_un local; /* the unix socket; no family: none */
    char device[IFNAMSIZ];
    struct ld_dial_address source;
    struct ld_dial_query *queries[LD_DIAL_FAMILIES]; /* not yet answered */
    struct ld_dial_list lists[LD_DIAL_FAMILIES];
    struct ld_dial_attempt attempts[LD_DIAL_FAMILIES * LD_DIAL_ADDRESSES];
    unsigned attempt_count;
    unsigned live;     /* attempts under way */
    enum ld_status st; /* the outcome, or the most telling failure so far */
    int fd;
    char message[LD_DIAL_TEXT];
};

/* A socket of the resolver's. */
struct ld_dial_socket {
    ev_io io;
    struct ld_dialer *dialer;
    struct ld_dial_socket *next;
};

struct ld_dialer {
    struct ev_loop *loop;
    const struct ld_log *log;
    struct ld_dial *dials;
    unsigned dial_count, query_count;
    ares_channel hosts; /* NULL: not made; reads /etc/hosts alone */
    ares_channel dns;
    double made; /* when, on the loop's clock */
    char *servers;
    struct ld_dial_socket *sockets;
    ev_timer tick; /* the resolver's own timeouts */
};

/* dial.c: an attempt, or a family's question to DNS, has had its outcome. */
void ld_dial_connected(struct ld_dial *d, int fd, bool now);
void ld_dial_failed(struct ld_dial *d);
void ld_dial_answered(struct ld_dial *d, unsigned family);

/* Remember why an attempt, or a lookup, failed, if it tells more than what
 * failed before. */
__attribute__((format(printf, 3, 4))) void
ld_dial_note(struct ld_dial *d, enum ld_status st, const char *text, ...);

/* dial_attempt.c: begin to connect to TO (NULL: the unix socket).  LD_OK: it
 * is under way, or done.  LD_AGAIN: to be tried again soon.  Anything else
 * was noted. */
enum ld_status ld_dial_attempt(struct ld_dial *d,
                               const struct ld_dial_address *to);

/* End every attempt. */
void ld_dial_drop_attempts(struct ld_dial *d);

/* Read a numeric address; false when TEXT is none. */
bool ld_dial_numeric(struct ld_dial_address *a, const char *text,
                     uint16_t port);

/* dial_names.c: look D's host up; its lists may be filled at once, or each
 * family is announced by ld_dial_answered().  LD_NOMEM, LD_LIMIT and LD_DNS
 * were noted. */
enum ld_status ld_dial_lookup(struct ld_dial *d);

/* Its answers are awaited no more. */
void ld_dial_drop_queries(struct ld_dial *d);

/* Close the resolver. */
void ld_dialer_close_names(struct ld_dialer *d);

#endif
