/* tls_ticket.c -- session tickets: a client comes back without a full
 * handshake, to whichever worker.
 *
 * The keys follow from a secret that the workers share and from the time, so
 * they are rotated without anybody telling anybody: a ticket is good during the
 * hours in which it was made, and the next ones.  (RFC 5077, RFC 8446 4.6.1)
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "tls_parts.h"

enum { HOURS = 12 };

/* The N-th block of what is made of the secret for EPOCH. */
static bool block(const uint8_t *secret, uint64_t epoch, uint8_t n,
                  uint8_t out[32])
{
    static const char label[] = "linedancer tls ticket";
    uint8_t text[sizeof(label) + 9];
    size_t size;

    memcpy(text, label, sizeof(label));
    for (int i = 0; i < 8; i++)
        text[sizeof(label) + i] = (uint8_t)(epoch >> (8 * i));
    text[sizeof(label) + 8] = n;
    return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, LD_TLS_SECRET,
                     text, sizeof(text), out, 32, &size);
}

static bool make_keys(const uint8_t *secret, uint64_t epoch,
                      struct ld_tls_ticket_keys *k)
{
    uint8_t name[32];

    k->epoch = 0;
    if (!block(secret, epoch, 0, name) || !block(secret, epoch, 1, k->aes) ||
        !block(secret, epoch, 2, k->mac))
        return false;
    memcpy(k->name, name, sizeof(k->name));
    k->epoch = epoch;
    return true;
}

/* Those of EPOCH, or NULL. They are kept: to make them costs as much as a
 * twentieth of a handshake. */
static const struct ld_tls_ticket_keys *keys_of(struct ld_tls_extra *e,
                                                uint64_t epoch)
{
    struct ld_tls_ticket_keys *k = &e->tickets[epoch % 2];

    return k->epoch == epoch || make_keys(e->secret, epoch, k) ? k : NULL;
}

static bool use(const struct ld_tls_ticket_keys *k, unsigned char *iv,
                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac,
                                sizeof(k->mac)),
        OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_END};

    return EVP_MAC_CTX_set_params(mac, params) &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv,
                             encrypts);
}

/* With the keys of EPOCH, if they are called NAME, or name it so when it
 * ENCRYPTS: 1, 0 if they are called otherwise, -1 when that failed. */
static int try_epoch(struct ld_tls_extra *e, uint64_t epoch,
                     unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts)
{
    const struct ld_tls_ticket_keys *k = keys_of(e, epoch);

    if (!k)
        return -1;
    if (encrypts)
        memcpy(name, k->name, sizeof(k->name));
    if (memcmp(name, k->name, sizeof(k->name)) != 0)
        return 0;
    return use(k, iv, cipher, mac, encrypts) ? 1 : -1;
}

/* Whether whoever comes back with a ticket is given another: of TLS 1.3, each
 * is used but once, so that nobody sees who comes back (RFC 8446, C.4). */
static bool renews(const SSL *ssl)
{
    return SSL_version(ssl) >= TLS1_3_VERSION;
}

/* 1: done; 2: done, and a new one is to be made; 0: a full handshake. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypts)
{
    struct ld_tls_extra *e = ld_tls_extra_of(SSL_get_SSL_CTX(ssl));
    uint64_t epoch = (uint64_t)time(NULL) / (HOURS * 3600);
    int r;

    if (encrypts &&
        RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc())) != 1)
        return -1;
    r = try_epoch(e, epoch, name, iv, cipher, mac, encrypts);
    if (r != 0 || encrypts)
        return r == 1 && !encrypts && renews(ssl) ? 2 : r;
    r = try_epoch(e, epoch - 1, name, iv, cipher, mac, 0);
    return r == 1 ? 2 : r;
}

void ld_tls_use_tickets(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_timeout(ctx, HOURS * 3600);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
