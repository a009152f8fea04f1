/* tls.c -- see tls.h. */
#include "tls_parts.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sock.h"

enum { RECORD = 16384, OUT_MIN = 4096 };

struct tls {
    SSL *ssl;
    int fd;
    uint8_t *out; /* records that the socket has yet to take: [at, size) */
    size_t at, size, cap;
    enum ld_status lost; /* why the socket is, or LD_OK */
    bool dry;            /* nothing whole is left of what was read */
    bool shut, fin;      /* close_notify has been said; and TCP's end */
};

/* What OpenSSL says of a call counts only if nothing was there before it.  To
 * look is far cheaper than to clear, and hardly ever is there anything. */
static void forget_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

static struct tls *tls_of(const struct ld_link *l)
{
    return l->state;
}

/* Keep N bytes until the socket takes them. */
static bool keep(struct tls *t, const char *p, size_t n)
{
    size_t cap = t->cap ? t->cap : OUT_MIN;
    uint8_t *grown;

    while (cap < t->size + n)
        cap *= 2;
    if (cap > t->cap) {
        grown = realloc(t->out, cap);
        if (!grown)
            return false;
        t->out = grown;
        t->cap = cap;
    }
    memcpy(t->out + t->size, p, n);
    t->size += n;
    return true;
}

/* Hand what is kept to the socket. */
static enum ld_status send_kept(struct tls *t)
{
    while (t->at < t->size && !t->lost) {
        ssize_t n = send(t->fd, t->out + t->at, t->size - t->at, MSG_NOSIGNAL);
        enum ld_status st = n < 0 ? ld_sock_failure() : LD_OK;

        if (st == LD_AGAIN)
            return LD_AGAIN;
        t->lost = st;
        t->at += n > 0 ? (size_t)n : 0;
    }
    free(t->out);
    t->out = NULL;
    t->at = t->size = t->cap = 0;
    return t->lost;
}

/* OpenSSL never has to wait for room, so that it need not be told again what it
 * had begun to write. */
static int on_write(BIO *bio, const char *p, int n)
{
    struct tls *t = BIO_get_data(bio);
    ssize_t put = 0;

    if (t->size == 0 && !t->lost) {
        put = send(t->fd, p, (size_t)n, MSG_NOSIGNAL);
        if (put < 0 && ld_sock_failure() != LD_AGAIN)
            t->lost = ld_sock_failure();
        put = put < 0 ? 0 : put;
    }
    if (!t->lost && put < n && !keep(t, p + put, (size_t)(n - put)))
        t->lost = LD_ERROR;
    return t->lost ? -1 : n;
}

static int on_read(BIO *bio, char *p, int n)
{
    struct tls *t = BIO_get_data(bio);
    size_t got = 0;
    struct ld_link link = {.fd = t->fd};
    enum ld_status st = ld_sock_read(&link, p, (size_t)n, &got);

    BIO_clear_retry_flags(bio);
    if (st == LD_AGAIN)
        BIO_set_retry_read(bio);
    else if (st && st != LD_EOF)
        t->lost = st;
    return st == LD_EOF ? 0 : st ? -1 : (int)got;
}

static long on_ctrl(BIO *bio, int command, long number, void *p)
{
    (void)bio;
    (void)number;
    (void)p;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *ld_tls_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "linedancer");

    if (!m)
        return NULL;
    BIO_meth_set_write(m, on_write);
    BIO_meth_set_read(m, on_read);
    BIO_meth_set_ctrl(m, on_ctrl);
    return m;
}

static BIO *new_bio(struct tls *t, SSL_CTX *ctx)
{
    BIO *bio = BIO_new(ld_tls_extra_of(ctx)->method);

    if (!bio)
        return NULL;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    return bio;
}

enum ld_status ld_tls_begin(struct ld_tls_context *ctx, int fd,
                            const char *name, struct ld_link *l)
{
    struct tls *t = calloc(1, sizeof(*t));
    BIO *bio;

    forget_errors();
    if (!t)
        return LD_NOMEM;
    t->fd = fd;
    t->ssl = SSL_new((SSL_CTX *)ctx);
    bio = t->ssl ? new_bio(t, (SSL_CTX *)ctx) : NULL;
    if (!bio || (name && !ld_tls_expect(t->ssl, name))) {
        BIO_free(bio);
        SSL_free(t->ssl);
        free(t);
        return LD_NOMEM;
    }
    SSL_set_bio(t->ssl, bio, bio);
    if (ld_tls_is_client(ctx))
        SSL_set_connect_state(t->ssl);
    else
        SSL_set_accept_state(t->ssl);
    *l = (struct ld_link){.transport = &ld_tls, .state = t, .fd = fd};
    return LD_OK;
}

/* What OpenSSL makes of R, which it returned. */
static enum ld_status status_of(struct tls *t, int r)
{
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return LD_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return LD_EOF;
    case SSL_ERROR_SYSCALL: return t->lost ? t->lost : LD_RESET;
    default:
        if (t->lost)
            return t->lost;
        return ERR_GET_REASON(ERR_peek_error()) ==
                       SSL_R_UNEXPECTED_EOF_WHILE_READING
                   ? LD_RESET
                   : LD_TLS;
    }
}

static void explain(const struct tls *t, enum ld_status st, char *why,
                    size_t size)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;
    bool doubted = ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;

    snprintf(why, size, "%s%s%s",
             st == LD_RESET ? "the peer left"
             : reason       ? reason
                            : ld_strstatus(st),
             doubted ? ": " : "",
             doubted
                 ? X509_verify_cert_error_string(SSL_get_verify_result(t->ssl))
                 : "");
}

enum ld_status ld_tls_handshake(struct ld_link *l, int *wants, char *why,
                                size_t size)
{
    struct tls *t = tls_of(l);
    enum ld_status st;
    int r;

    forget_errors();
    r = SSL_do_handshake(t->ssl);
    st = r == 1 ? LD_OK : status_of(t, r);
    if (st == LD_EOF)
        st = LD_RESET;
    if (st && st != LD_AGAIN)
        explain(t, st, why, size);
    forget_errors();
    if (t->size > 0 && (st == LD_OK || st == LD_AGAIN))
        send_kept(t);
    *wants = LD_READ | (t->size > 0 ? LD_WRITE : 0);
    return st;
}

static enum ld_status tls_read(struct ld_link *l, void *dst, size_t size,
                               size_t *got)
{
    struct tls *t = tls_of(l);
    enum ld_status st = LD_OK;
    int r;

    forget_errors();
    r = SSL_read_ex(t->ssl, dst, size, got);
    if (r != 1)
        st = status_of(t, r);
    t->dry = st == LD_AGAIN;
    if (st && st != LD_AGAIN)
        forget_errors();
    return st;
}

/* Encrypt what is in IOV from *I and *OFF on, one record at most. */
static enum ld_status write_record(struct tls *t, const struct iovec *iov,
                                   int count, int *i, size_t *off, size_t *put)
{
    uint8_t record[RECORD];
    const uint8_t *p = record;
    size_t n = 0, written = 0;

    if (iov[*i].iov_len - *off >= RECORD || *i == count - 1) {
        n = iov[*i].iov_len - *off < RECORD ? iov[*i].iov_len - *off : RECORD;
        p = (const uint8_t *)iov[*i].iov_base + *off;
    } else {
        int k = *i;
        size_t from = *off;

        for (; k < count && n < RECORD; k++, from = 0) {
            size_t some = iov[k].iov_len - from;

            some = some < RECORD - n ? some : RECORD - n;
            memcpy(record + n, (const uint8_t *)iov[k].iov_base + from, some);
            n += some;
        }
    }
    if (n > 0 && SSL_write_ex(t->ssl, p, n, &written) != 1)
        return t->lost ? t->lost : LD_TLS;
    *put += written;
    for (*off += written; *i < count && *off >= iov[*i].iov_len; ++*i)
        *off -= iov[*i].iov_len;
    return LD_OK;
}

static enum ld_status tls_writev(struct ld_link *l, const struct iovec *iov,
                                 int count, size_t *put)
{
    struct tls *t = tls_of(l);
    enum ld_status st = t->size > 0 ? send_kept(t) : t->lost;
    size_t off = 0;
    int i = 0;

    forget_errors();
    while (!st && i < count && t->size == 0)
        st = write_record(t, iov, count, &i, &off, put);
    if (st)
        forget_errors();
    return st;
}

static enum ld_status tls_flush(struct ld_link *l)
{
    struct tls *t = tls_of(l);
    enum ld_status st = t->size > 0 ? send_kept(t) : t->lost;

    if (!st && t->shut && !t->fin)
        t->fin = shutdown(t->fd, SHUT_WR) == 0;
    return st;
}

static void say_goodbye(struct tls *t)
{
    if (!t->shut && !t->lost) {
        forget_errors();
        SSL_shutdown(t->ssl);
        forget_errors();
    }
    t->shut = true;
}

static enum ld_status tls_shutdown(struct ld_link *l)
{
    enum ld_status st;

    say_goodbye(tls_of(l));
    st = tls_flush(l);
    return st == LD_AGAIN ? LD_OK : st;
}

static void tls_close(struct ld_link *l, bool reset)
{
    struct tls *t = tls_of(l);
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (!reset)
        say_goodbye(t);
    if (reset || t->size > 0) /* what is kept will not arrive */
        setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    SSL_free(t->ssl);
    close(t->fd);
    free(t->out);
    free(t);
    l->state = NULL;
    l->fd = -1;
}

static bool tls_buffered(struct ld_link *l)
{
    const struct tls *t = tls_of(l);

    return !t->dry && SSL_has_pending(t->ssl);
}

static bool tls_pending(struct ld_link *l)
{
    int n = 0;

    return tls_buffered(l) || (ioctl(l->fd, FIONREAD, &n) == 0 && n > 0);
}

static int tls_wants(struct ld_link *l, int wanted)
{
    return wanted | (tls_of(l)->size > 0 ? LD_WRITE : 0);
}

const struct ld_transport ld_tls = {
    .name = "tls",
    .read = tls_read,
    .writev = tls_writev,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .pending = tls_pending,
    .wants = tls_wants,
    .flush = tls_flush,
    .buffered = tls_buffered,
};

void ld_tls_facts(const struct ld_link *l, struct ld_tls_facts *facts)
{
    const struct tls *t = tls_of(l);
    const unsigned char *alpn = NULL;
    X509 *peer = SSL_get0_peer_certificate(t->ssl);
    BIO *text = peer ? BIO_new(BIO_s_mem()) : NULL;

    memset(facts, 0, sizeof(*facts));
    SSL_get0_alpn_selected(t->ssl, &alpn, &facts->alpn_size);
    facts->alpn = (const char *)alpn;
    facts->version = SSL_get_version(t->ssl);
    facts->cipher = SSL_get_cipher_name(t->ssl);
    facts->name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    facts->resumed = SSL_session_reused(t->ssl);
    if (!text)
        return;
    X509_NAME_print_ex(text, X509_get_subject_name(peer), 0, XN_FLAG_RFC2253);
    BIO_read(text, facts->subject, sizeof(facts->subject) - 1);
    BIO_free(text);
}
