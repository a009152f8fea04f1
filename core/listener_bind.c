/* listener_bind.c -- sockets that listen; see listener.h. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listener.h"

static socklen_t fill_inet(struct sockaddr_storage *to,
                           const struct ld_address *at)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

    if (at->family == AF_INET) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(at->port);
        return inet_pton(AF_INET, at->host, &v4->sin_addr) == 1 ? sizeof(*v4)
                                                                : 0;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(at->port);
    return inet_pton(AF_INET6, at->host, &v6->sin6_addr) == 1 ? sizeof(*v6) : 0;
}

/* The length of the address, or 0 with errno set. */
static socklen_t fill_address(struct sockaddr_storage *to,
                              const struct ld_address *at)
{
    struct sockaddr_un *un = (struct sockaddr_un *)to;
    socklen_t len;

    memset(to, 0, sizeof(*to));
    if (at->family != AF_UNIX) {
        len = fill_inet(to, at);
        if (!len)
            errno = EINVAL;
        return len;
    }
    if (strlen(at->path) >= sizeof(un->sun_path)) {
        errno = ENAMETOOLONG;
        return 0;
    }
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, at->path);
    return sizeof(*un);
}

/* A socket file whose owner is gone may be replaced; a living one may not. */
static int remove_dead_socket(const struct sockaddr_storage *sa, socklen_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)sa;
    struct stat info;
    int fd, dead;

    if (stat(un->sun_path, &info) < 0)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISSOCK(info.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* With a full queue a living one says EAGAIN. */
    dead = connect(fd, (const struct sockaddr *)sa, len) < 0 &&
           errno == ECONNREFUSED;
    close(fd);
    if (!dead) {
        errno = EADDRINUSE;
        return -1;
    }
    return unlink(un->sun_path);
}

/* Options that accepted sockets inherit, so that none is set per accept. */
static int set_options(int fd, int family)
{
    int on = 1, off = 0;

    if (family == AF_UNIX)
        return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        return -1;
    if (family == AF_INET6)
        return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    return 0;
}

static int share_port(int fd)
{
    int on = 1;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

/* The file of a unix socket never has another mode. */
static int bind_with_mode(int fd, const struct sockaddr *sa, socklen_t len,
                          unsigned mode)
{
    mode_t mask;
    int r;

    if (!mode)
        return bind(fd, sa, len);
    mask = umask(~mode & 0777);
    r = bind(fd, sa, len);
    umask(mask);
    return r;
}

int ld_listener_bind(const struct ld_address *at, int backlog,
                     enum ld_share_port share)
{
    struct sockaddr_storage sa;
    socklen_t len = fill_address(&sa, at);
    int fd, err;

    if (!len)
        return -1;
    fd = socket(at->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_options(fd, at->family) < 0)
        goto fail;
    if (at->family == AF_UNIX && remove_dead_socket(&sa, len) < 0)
        goto fail;
    if (share == LD_PORT_JOINED && share_port(fd) < 0)
        goto fail;
    if (bind_with_mode(fd, (struct sockaddr *)&sa, len, at->mode) < 0)
        goto fail;
    if (share == LD_PORT_SHARED && share_port(fd) < 0)
        goto fail;
    if (listen(fd, backlog) < 0)
        goto fail;
    return fd;

fail:
    err = errno; /* close() may overwrite it */
    close(fd);
    errno = err;
    return -1;
}

static bool is_at(const struct sockaddr_storage *bound,
                  const struct ld_address *at)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)bound;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)bound;
    const struct sockaddr_un *un = (const struct sockaddr_un *)bound;
    unsigned char host[sizeof(struct in6_addr)];

    if (bound->ss_family != at->family)
        return false;
    if (at->family == AF_UNIX)
        return strcmp(un->sun_path, at->path) == 0;
    if (inet_pton(at->family, at->host, host) != 1)
        return false;
    return at->family == AF_INET
               ? ntohs(v4->sin_port) == at->port &&
                     memcmp(&v4->sin_addr, host, sizeof(v4->sin_addr)) == 0
               : ntohs(v6->sin6_port) == at->port &&
                     memcmp(&v6->sin6_addr, host, sizeof(v6->sin6_addr)) == 0;
}

static bool is_listening(int fd)
{
    int is = 0;
    socklen_t len = sizeof(is);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is, &len) == 0 && is;
}

bool ld_listener_is_at(int fd, const struct ld_address *at)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    return is_listening(fd) &&
           getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && is_at(&sa, at);
}

int ld_listener_copy(int fd, int family, int backlog)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0)
        return -1;
    fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK);
    (void)set_options(copy, family); /* it is bound: not all can be set */
    listen(copy, backlog);
    return copy;
}

uint16_t ld_listener_bound(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        return 0;
    if (sa.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&sa)->sin_port);
    if (sa.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
    return 0;
}
