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
    bool client;
    uint8_t secret[LD_TLS_SECRET];
    struct ld_tls_ticket_keys tickets[2]; /* of this epoch and the last */
};

struct ld_tls_extra *ld_tls_extra_of(const SSL_CTX *ctx);

/* tls.c: how records reach the socket; NULL when out of memory. */
BIO_METHOD *ld_tls_method(void);

/* tls_context.c: what servers and clients have in common, with ALPN; NULL with
 * WHY. */
SSL_CTX *ld_tls_new(bool client, const uint8_t *alpn, unsigned alpn_size,
                    char *why, size_t size);

/* Use PAIR; or add the certificates in PEM to those that are trusted, and, if
 * ASKED, to those that a client is asked for.  False with WHY. */
bool ld_tls_use_pair(SSL_CTX *ctx, const struct ld_tls_pair *pair, char *why,
                     size_t size);
bool ld_tls_trust(SSL_CTX *ctx, const char *pem, bool asked, char *why,
                  size_t size);

/* WHY becomes WHAT, and what OpenSSL says of it. */
bool ld_tls_says(char *why, size_t size, const char *what);

/* tls_client.c: have SSL, a client's, reach NAME and, if it checks, nobody
 * else; false when out of memory. */
bool ld_tls_expect(SSL *ssl, const char *name);

/* tls_ticket.c: have CTX give out session tickets that every process with the
 * same secret takes. */
void ld_tls_use_tickets(SSL_CTX *ctx);

#endif
