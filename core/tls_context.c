/* tls_context.c -- what a listener over TLS offers, and what clients have in
 * common with it; see tls.h.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_parts.h"

/* Of TLS 1.2: forward secrecy and authenticated encryption. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

static int extra_index;
static pthread_once_t indexed = PTHREAD_ONCE_INIT;

static void free_extra(void *parent, void *p, CRYPTO_EX_DATA *data, int index,
                       long number, void *arg)
{
    struct ld_tls_extra *e = p;

    (void)parent, (void)data, (void)index, (void)number, (void)arg;
    if (!e)
        return;
    for (unsigned i = 0; i < e->other_count; i++)
        SSL_CTX_free(e->others[i]);
    BIO_meth_free(e->method);
    OPENSSL_cleanse(e->secret, sizeof(e->secret));
    OPENSSL_cleanse(e->tickets, sizeof(e->tickets));
    free(e->others);
    free(e->alpn);
    free(e);
}

static void take_index(void)
{
    extra_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_extra);
}

struct ld_tls_extra *ld_tls_extra_of(const SSL_CTX *ctx)
{
    return SSL_CTX_get_ex_data(ctx, extra_index);
}

bool ld_tls_says(char *why, size_t size, const char *what)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    snprintf(why, size, "%s%s%s", what, reason ? ": " : "",
             reason ? reason : "");
    ERR_clear_error();
    return false;
}

/* The certificate in PEM, and after it those that it depends on. */
static bool use_certificate(SSL_CTX *ctx, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    bool good = x && SSL_CTX_use_certificate(ctx, x) == 1;

    X509_free(x);
    while (good && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        good = SSL_CTX_add0_chain_cert(ctx, x) == 1;
    BIO_free(bio);
    if (good)
        ERR_clear_error(); /* that there is no further one */
    return good;
}

static int no_password(char *buf, int size, int writes, void *data)
{
    (void)buf, (void)size, (void)writes, (void)data;
    return -1;
}

static bool use_key(SSL_CTX *ctx, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key =
        bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    bool good = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return good;
}

bool ld_tls_use_pair(SSL_CTX *ctx, const struct ld_tls_pair *pair, char *why,
                     size_t size)
{
    if (!use_certificate(ctx, pair->certificate))
        return ld_tls_says(why, size, "the certificate cannot be used");
    if (!use_key(ctx, pair->key))
        return ld_tls_says(why, size,
                           "the key cannot be used with the certificate");
    return true;
}

bool ld_tls_trust(SSL_CTX *ctx, const char *pem, bool asked, char *why,
                  size_t size)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    unsigned count = 0;
    X509 *x;

    while (bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_cert(store, x) == 1 &&
                 (!asked || SSL_CTX_add_client_CA(ctx, x) == 1);
        X509_free(x);
    }
    BIO_free(bio);
    if (count == 0)
        return ld_tls_says(why, size,
                           asked ? "no certificate in client_ca"
                                 : "no certificate in ca");
    ERR_clear_error();
    return true;
}

static bool ask_for_client(SSL_CTX *ctx, const struct ld_tls_options *o,
                           char *why, size_t size)
{
    static const unsigned char id[] = "linedancer";
    int mode = SSL_VERIFY_PEER;

    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
    if (o->client == LD_TLS_ANYBODY)
        return true;
    if (!ld_tls_trust(ctx, o->client_ca, true, why, size))
        return false;
    if (o->client == LD_TLS_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, NULL);
    return true;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *size,
                   const unsigned char *in, unsigned in_size, void *arg)
{
    const struct ld_tls_extra *e = ld_tls_extra_of(SSL_get_SSL_CTX(ssl));
    unsigned char *chosen = NULL;

    (void)arg;
    if (SSL_select_next_proto(&chosen, size, e->alpn, e->alpn_size, in,
                              in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* The first certificate is for everybody who asks for no other's name. */
static int on_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *first = SSL_get_SSL_CTX(ssl);
    const struct ld_tls_extra *e = ld_tls_extra_of(first);

    (void)alert, (void)arg;
    if (!name ||
        X509_check_host(SSL_CTX_get0_certificate(first), name, 0, 0, NULL) == 1)
        return SSL_TLSEXT_ERR_OK;
    for (unsigned i = 0; i < e->other_count; i++)
        if (X509_check_host(SSL_CTX_get0_certificate(e->others[i]), name, 0, 0,
                            NULL) == 1) {
            SSL_set_SSL_CTX(ssl, e->others[i]);
            break;
        }
    return SSL_TLSEXT_ERR_OK;
}

static bool add_extra(SSL_CTX *ctx, bool client, const uint8_t *alpn,
                      unsigned alpn_size)
{
    struct ld_tls_extra *e = calloc(1, sizeof(*e));

    if (!e || !SSL_CTX_set_ex_data(ctx, extra_index, e)) {
        free(e);
        return false;
    }
    e->client = client;
    e->method = ld_tls_method();
    e->alpn = malloc(alpn_size + 1);
    if (!e->method || !e->alpn)
        return false;
    if (alpn_size > 0)
        memcpy(e->alpn, alpn, alpn_size);
    e->alpn_size = alpn_size;
    return true;
}

SSL_CTX *ld_tls_new(bool client, const uint8_t *alpn, unsigned alpn_size,
                    char *why, size_t size)
{
    SSL_CTX *ctx;

    pthread_once(&indexed, take_index);
    ERR_clear_error();
    ctx = SSL_CTX_new(client ? TLS_client_method() : TLS_server_method());
    if (!ctx || !add_extra(ctx, client, alpn, alpn_size)) {
        ld_tls_says(why, size, "out of memory");
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ctx, CIPHERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}

/* For one pair; NULL with WHY. */
static SSL_CTX *new_context(const struct ld_tls_options *o,
                            const struct ld_tls_pair *pair, char *why,
                            size_t size)
{
    SSL_CTX *ctx = ld_tls_new(false, o->alpn, o->alpn_size, why, size);

    if (!ctx)
        return NULL;
    memcpy(ld_tls_extra_of(ctx)->secret, o->secret, LD_TLS_SECRET);
    ld_tls_use_tickets(ctx);
    if (o->alpn_size > 0)
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    if (ld_tls_use_pair(ctx, pair, why, size) &&
        ask_for_client(ctx, o, why, size))
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static bool add_others(SSL_CTX *ctx, const struct ld_tls_options *o, char *why,
                       size_t size)
{
    struct ld_tls_extra *e = ld_tls_extra_of(ctx);

    e->others = calloc(o->count, sizeof(SSL_CTX *));
    if (!e->others)
        return ld_tls_says(why, size, "out of memory");
    for (unsigned i = 1; i < o->count; i++) {
        SSL_CTX *other = new_context(o, &o->pairs[i], why, size);

        if (!other)
            return false;
        e->others[e->other_count++] = other;
    }
    SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
    return true;
}

struct ld_tls_context *ld_tls_context_new(const struct ld_tls_options *o,
                                          char *why, size_t size)
{
    SSL_CTX *ctx = new_context(o, &o->pairs[0], why, size);

    if (ctx && o->count > 1 && !add_others(ctx, o, why, size)) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    ERR_clear_error();
    return (struct ld_tls_context *)ctx;
}

struct ld_tls_context *ld_tls_context_ref(struct ld_tls_context *ctx)
{
    SSL_CTX_up_ref((SSL_CTX *)ctx);
    return ctx;
}

void ld_tls_context_unref(struct ld_tls_context *ctx)
{
    SSL_CTX_free((SSL_CTX *)ctx);
}

static double expires(const SSL_CTX *ctx)
{
    int days = 0, seconds = 0;

    ASN1_TIME_diff(&days, &seconds, NULL,
                   X509_get0_notAfter(SSL_CTX_get0_certificate(ctx)));
    return days * 86400.0 + seconds;
}

double ld_tls_context_expires(const struct ld_tls_context *ctx)
{
    const SSL_CTX *first = (const SSL_CTX *)ctx;
    const struct ld_tls_extra *e = ld_tls_extra_of(first);
    double least = expires(first);

    for (unsigned i = 0; i < e->other_count; i++)
        if (expires(e->others[i]) < least)
            least = expires(e->others[i]);
    return least;
}
