/* tls_client.h -- what the load over TLS offers, and how it reaches a server.
 */
#ifndef BENCH_TLS_CLIENT_H
#define BENCH_TLS_CLIENT_H

#include "bulk_bytes.h"
#include "load_clock.h"
#include "tls_options.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOURCES = 200 }; /* client addresses, so that ports do not run out */

static _Noreturn void die_tls(const char *what)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    die("%s: %s", what,
        reason  ? reason
        : errno ? strerror(errno)
                : "the server closed a connection");
}

/* What is offered leaves the server nothing to choose: TLS 1.2 wants the curve
 * of the certificate among the groups, behind the one to use.  An end without
 * close_notify is let pass: HAProxy's reject sends none. */
static SSL_CTX *new_context(const struct tls_options *o)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx || !SSL_CTX_set_min_proto_version(ctx, o->version) ||
        !SSL_CTX_set_max_proto_version(ctx, o->version) ||
        !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256") ||
        !SSL_CTX_set1_groups_list(ctx, "X25519:P-256") ||
        !SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256"))
        die_tls("context");
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (o->mode == TLS_BULK)
        SSL_CTX_set_default_read_buffer_len(ctx, BULK_PIECE);
    return ctx;
}

static void set_option(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
        die("setsockopt: %s", strerror(errno));
}

/* Whoever closes first keeps the port for a minute, so the NUMBERs take turns
 * among loopback addresses: each has ports of its own. */
static int dial(const struct tls_options *o, unsigned number)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    struct timeval wait = {.tv_sec = (time_t)o->timeout + 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
        die("setsockopt: %s", strerror(errno));
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + number % SOURCES);
    if (bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0)
        die("bind: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&o->address, sizeof(o->address)) <
        0)
        die("connect to port %d: %s", ntohs(o->address.sin_port),
            errno == EINPROGRESS ? "timed out" : strerror(errno));
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        die("fcntl: %s", strerror(errno));
    return fd;
}

#endif
