/* tls_parts.h -- what the files of tls.c know of each other. */
#ifndef LD_TLS_PARTS_H
#define LD_TLS_PARTS_H

#include <openssl/ssl.h>

#include "tls.h"

/* What tickets are encrypted with, for some hours; see tls_ticket.c. */
struct ld_tls_ticket_keys {
    uint64_t epoch; /* 0: not made yet */
    uint8_t name[16], aes[32], mac[32];
};

/* What belongs to an SSL_CTX, and is freed with it. */
struct ld_tls_extra {
    SSL_CTX **others; /* for further names; OTHER_COUNT */
    unsigned other_count;
    uint8_t *alpn;
    unsigned alpn_size;
    BIO_METHOD *method; /* see tls.c */
    uint8_t secret[LD_TLS_SECRET];
    struct ld_tls_ticket_keys tickets[2]; /* of this epoch and the last */
};

struct ld_tls_extra *ld_tls_extra_of(const SSL_CTX *ctx);

/* tls.c: how records reach the socket; NULL when out of memory. */
BIO_METHOD *ld_tls_method(void);

/* tls_ticket.c: have CTX give out session tickets that every process with the
 * same secret takes. */
void ld_tls_use_tickets(SSL_CTX *ctx);

#endif
