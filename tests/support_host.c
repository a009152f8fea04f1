/* support_host.c -- see support_host.h. */
#include "support_host.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE = 20 /* seconds */ };

void host_log_line(void *ctx, const char *line, size_t len)
{
    struct host_log *log = ctx;

    if (!log || log->size + len >= HOST_LOG)
        return;
    memcpy(log->text + log->size, line, len);
    log->size += len;
    log->text[log->size] = 0;
}

struct ld_gateway *host_gateway(struct ev_loop *loop, struct host_log *log)
{
    struct ld_gateway_options o = {
        .loop = loop, .log = host_log_line, .log_ctx = log};
    struct ld_gateway *g = ld_gateway_new(&o);

    assert_non_null(g);
    return g;
}

const char *host_config(const char *handler)
{
    static char text[4096];

    snprintf(text, sizeof(text),
             "return { drain = 0.2, listen = { { '127.0.0.1:0', name = 'it', "
             "handler = %s } } }",
             handler);
    return text;
}

int host_load(struct ld_gateway *g, const char *handler)
{
    int port;

    if (ld_gateway_load_string(g, host_config(handler), "test"))
        fail_msg("%s", ld_error_text());
    port = ld_gateway_port(g, "it");
    assert_true(port > 0);
    return port;
}

int host_connect(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

bool host_asks(int fd, const char *text, const char *expected)
{
    char got[4096];
    size_t n = strlen(text), size = strlen(expected), have = 0;

    if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        return false;
    while (have < size) {
        ssize_t more = recv(fd, got + have, size - have, 0);

        if (more <= 0)
            return false;
        have += (size_t)more;
    }
    return memcmp(got, expected, size) == 0;
}

bool host_ended(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) <= 0;
}

int host_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}
