/* tls.h -- the transport over TLS 1.2 and 1.3, by OpenSSL 3, of both sides.
 *
 * What a connection writes is encrypted and handed to the socket at once; what
 * the socket does not take then is kept here, and nothing more is taken until
 * it has gone: at most one record of 16 KB.  A peer that ends without saying so
 * (close_notify) is reported as LD_RESET: what came may not be all.
 * Renegotiation is off.  Knows nothing of loops and Lua.
 */
#ifndef LD_TLS_H
#define LD_TLS_H

#include "transport.h"

enum { LD_TLS_SECRET = 32 }; /* bytes */

/* A certificate, with those it depends on, and its key; NUL-terminated PEM. */
struct ld_tls_pair {
    const char *certificate, *key;
};

enum ld_tls_client { LD_TLS_ANYBODY, LD_TLS_OPTIONAL, LD_TLS_REQUIRED };

struct ld_tls_options {
    const struct ld_tls_pair *pairs; /* the first is for who asks for none */
    unsigned count;
    const uint8_t *alpn;   /* names, best first, each after a byte of length */
    unsigned alpn_size;    /* bytes; 0: none is chosen */
    const char *client_ca; /* PEM: who signs certificates of clients */
    enum ld_tls_client client; /* is such a certificate asked for? */
    const uint8_t *secret;     /* LD_TLS_SECRET bytes that make tickets valid in
                                  every process that has them */
};

struct ld_tls_client_options {
    const struct ld_tls_pair *pair; /* its own certificate, or NULL */
    const uint8_t *alpn;            /* as above */
    unsigned alpn_size;
    const char *ca; /* PEM: whom to trust; NULL: those that the system does */
    bool trusting;  /* anybody, under any name */
};

struct ld_tls_context; /* opaque: OpenSSL's; counts who has it */

/* For a server.  NULL with WHY, at most SIZE bytes, for people. */
struct ld_tls_context *ld_tls_context_new(const struct ld_tls_options *o,
                                          char *why, size_t size);

/* The same for a client. */
struct ld_tls_context *ld_tls_client_new(const struct ld_tls_client_options *o,
                                         char *why, size_t size);
struct ld_tls_context *ld_tls_context_ref(struct ld_tls_context *ctx);
void ld_tls_context_unref(struct ld_tls_context *ctx); /* NULL is allowed */

/* Of a client, which speaks first? */
bool ld_tls_is_client(const struct ld_tls_context *ctx);

/* Seconds until the first of the certificates of CTX, a server's, expires;
 * negative: it has. */
double ld_tls_context_expires(const struct ld_tls_context *ctx);

/* Make L a link over the socket FD, which it takes over, on success only.  NAME
 * is who a client wants to reach, a host's name or an IP address; NULL:
 * anybody.  A server gives none. */
enum ld_status ld_tls_begin(struct ld_tls_context *ctx, int fd,
                            const char *name, struct ld_link *l);

/* Go on with the handshake: LD_OK when it is done; LD_AGAIN when there is to be
 * waited for *WANTS; else it failed, and WHY says how. */
enum ld_status ld_tls_handshake(struct ld_link *l, int *wants, char *why,
                                size_t size);

/* What was agreed on; the texts live as long as the link.  NAME, the server's
 * that the client asked for, and ALPN may be NULL.  SUBJECT is of the peer's
 * certificate. */
struct ld_tls_facts {
    const char *version, *cipher, *name, *alpn;
    unsigned alpn_size;
    bool resumed;
    char subject[256]; /* "" without a certificate */
};

void ld_tls_facts(const struct ld_link *l, struct ld_tls_facts *facts);

extern const struct ld_transport ld_tls;

#endif
