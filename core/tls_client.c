/* tls_client.c -- what a client over TLS asks for; see tls.h. */
#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "tls_parts.h"

static bool is_address(const char *name)
{
    uint8_t bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 ||
           inet_pton(AF_INET6, name, bytes) == 1;
}

/* RFC 6066, 3: an address is not sent as a server's name. */
bool ld_tls_expect(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 &&
           X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

bool ld_tls_is_client(const struct ld_tls_context *ctx)
{
    return ld_tls_extra_of((const SSL_CTX *)ctx)->client;
}

/* Does the system's directory hold certificates by hashes of their names? */
static bool has_directory(void)
{
    const char *path = getenv(X509_get_default_cert_dir_env());
    struct dirent *entry = NULL;
    DIR *dir = opendir(path ? path : X509_get_default_cert_dir());
    size_t n;

    while (dir && (entry = readdir(dir))) {
        n = strlen(entry->d_name);
        if (n > 2 && strcmp(entry->d_name + n - 2, ".0") == 0)
            break;
    }
    if (dir)
        closedir(dir);
    return entry;
}

/* Those that the system trusts.  From the directory each is read when it is
 * needed; the file with all of them takes some 30 ms, in which nobody is
 * served. */
static bool trust_system(SSL_CTX *ctx)
{
    if (!getenv(X509_get_default_cert_file_env()) && has_directory())
        return SSL_CTX_set_default_verify_dir(ctx) == 1;
    return SSL_CTX_set_default_verify_paths(ctx) == 1;
}

static bool set_trust(SSL_CTX *ctx, const struct ld_tls_client_options *o,
                      char *why, size_t size)
{
    if (o->trusting)
        return true;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (o->ca)
        return ld_tls_trust(ctx, o->ca, false, why, size);
    if (trust_system(ctx))
        return true;
    return ld_tls_says(why, size, "the system's certificates");
}

struct ld_tls_context *ld_tls_client_new(const struct ld_tls_client_options *o,
                                         char *why, size_t size)
{
    SSL_CTX *ctx = ld_tls_new(true, o->alpn, o->alpn_size, why, size);

    if (!ctx)
        return NULL;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (o->alpn_size > 0)
        SSL_CTX_set_alpn_protos(ctx, o->alpn, o->alpn_size);
    if (set_trust(ctx, o, why, size) &&
        (!o->pair || ld_tls_use_pair(ctx, o->pair, why, size)))
        return (struct ld_tls_context *)ctx;
    SSL_CTX_free(ctx);
    return NULL;
}
