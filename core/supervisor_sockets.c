/* supervisor_sockets.c -- the sockets that the supervisor makes and keeps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "activation.h"
#include "listener.h"
#include "supervisor_parts.h"

static void refuse(const struct ld_supervisor *s,
                   const struct ld_plan_listener *l)
{
    char text[512];

    snprintf(text, sizeof(text), "cannot listen on %s: %s", l->text,
             strerror(errno));
    ld_log(&s->log, LD_FAULT, text, "%s", "");
}

static void say_listening(const struct ld_supervisor *s,
                          const struct ld_plan_listener *l, uint16_t port)
{
    if (l->family == AF_UNIX)
        ld_log(&s->log, LD_INFO, "listening", "address=unix:%s handler=%s",
               l->path, l->handler);
    else
        ld_log(&s->log, LD_INFO, "listening",
               l->family == AF_INET6 ? "address=[%s]:%u handler=%s"
                                     : "address=%s:%u handler=%s",
               l->host, port, l->handler);
}

static struct ld_address address_of(const struct ld_plan_listener *l)
{
    return (struct ld_address){l->family, l->host, l->path, l->port, l->mode};
}

/* Those that a service manager has passed: all slots have the same queue.  How
 * many. */
static uint32_t find_activated(const struct ld_supervisor *s,
                               const struct ld_plan_listener *l,
                               const struct ld_address *at, int *sockets)
{
    uint32_t count = 0;

    while (count < s->slots) {
        sockets[count] = ld_activation_find(s->activated, at, l->backlog);
        if (sockets[count] < 0)
            break;
        count++;
        if (at->family == AF_UNIX)
            break; /* one for all */
    }
    return count;
}

/* The file of a unix socket is whose the workers are. */
static bool give_away(const struct ld_supervisor *s,
                      const struct ld_plan_listener *l)
{
    const struct ld_confinement *c = &s->plan->confinement;

    return !*c->user || geteuid() != 0 || lchown(l->path, c->uid, c->gid) == 0;
}

/* A socket for each slot: the first as if it were alone, so that a busy port
 * is an error. */
bool ld_supervisor_bind(struct ld_supervisor *s,
                        const struct ld_plan_listener *l, int *sockets,
                        uint32_t count)
{
    struct ld_address at = address_of(l);
    bool is_unix = l->family == AF_UNIX;

    if (count == 0)
        count = find_activated(s, l, &at, sockets);
    if (count == 0)
        sockets[0] = ld_listener_bind(&at, l->backlog,
                                      is_unix ? LD_PORT_OWN : LD_PORT_SHARED);
    if (sockets[0] < 0 || (is_unix && count == 0 && !give_away(s, l)))
        return false;
    at.port = ld_listener_bound(sockets[0]);
    for (uint32_t i = count && !is_unix ? count : 1; i < s->slots; i++) {
        sockets[i] = is_unix
                         ? sockets[0]
                         : ld_listener_bind(&at, l->backlog, LD_PORT_JOINED);
        if (sockets[i] < 0)
            return false;
    }
    say_listening(s, l, at.port);
    return true;
}

/* Their buffers are as large as the system allows. */
static bool open_inboxes(struct ld_supervisor *s)
{
    const int size = 4 << 20;

    for (uint32_t i = 0; i < s->slots; i++) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
                       0, pair) < 0)
            return false;
        setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        s->inboxes[i] = pair[0];
        s->outboxes[i] = pair[1];
    }
    return true;
}

static bool is_activated(const struct ld_supervisor *s,
                         const struct ld_plan_listener *l)
{
    struct ld_address at = address_of(l);

    return ld_activation_has(s->activated, &at);
}

/* Clients of a socket that nobody serves wait for ever. */
static void warn_of_unused(const struct ld_supervisor *s)
{
    unsigned used = 0;

    for (uint32_t i = 0; i < s->plan->listener_count; i++)
        used += is_activated(s, &s->plan->listeners[i]);
    if (used < s->activated)
        ld_log(&s->log, LD_WARN, "sockets are passed that no listener is for",
               "passed=%u used=%u", s->activated, used);
}

static int *descriptors(size_t count)
{
    int *fds = malloc((count + 1) * sizeof(*fds));

    for (size_t i = 0; fds && i < count; i++)
        fds[i] = -1;
    return fds;
}

/* With the sockets that another program left us, if it did. */
static bool open_listener(struct ld_supervisor *s, uint32_t i)
{
    const struct ld_plan_listener *l = &s->plan->listeners[i];
    int *sockets = &s->sockets[i * s->slots];
    uint32_t count =
        is_activated(s, l) ? 0 : ld_supervisor_inherit(s, l, sockets);

    return ld_supervisor_bind(s, l, sockets, count);
}

bool ld_supervisor_open(struct ld_supervisor *s)
{
    s->sockets = descriptors((size_t)s->plan->listener_count * s->slots);
    s->inboxes = descriptors(s->slots);
    s->outboxes = descriptors(s->slots);
    if (!s->sockets || !s->inboxes || !s->outboxes || !open_inboxes(s)) {
        ld_log(&s->log, LD_FAULT, "cannot start", "error=\"%s\"",
               strerror(errno));
        return false;
    }
    for (uint32_t i = 0; i < s->plan->listener_count; i++) {
        if (open_listener(s, i))
            continue;
        refuse(s, &s->plan->listeners[i]);
        return false;
    }
    ld_supervisor_inherited();
    warn_of_unused(s);
    return true;
}

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; fds && i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

void ld_supervisor_close_listener(const struct ld_supervisor *s,
                                  const struct ld_plan_listener *l,
                                  int *sockets, enum ld_closing how)
{
    uint32_t count = l->family == AF_UNIX ? 1 : s->slots;

    if (sockets[0] < 0)
        return;
    if (is_activated(s, l))
        how = LD_CLOSE_COPIES;
    for (uint32_t i = 0; how == LD_CLOSE_FOR_ALL && i < count; i++)
        shutdown(sockets[i], SHUT_RDWR);
    close_all(sockets, count);
    if (how != LD_CLOSE_COPIES && l->family == AF_UNIX)
        unlink(l->path);
}

void ld_supervisor_close_listeners(struct ld_supervisor *s, bool all)
{
    for (uint32_t i = 0; s->sockets && i < s->plan->listener_count; i++)
        if (all || !s->plan->listeners[i].stays)
            ld_supervisor_close_listener(s, &s->plan->listeners[i],
                                         &s->sockets[i * s->slots],
                                         LD_CLOSE_FOR_ALL);
}

void ld_supervisor_close(struct ld_supervisor *s)
{
    ld_supervisor_close_listeners(s, true);
    close_all(s->inboxes, s->slots);
    close_all(s->outboxes, s->slots);
    free(s->sockets);
    free(s->inboxes);
    free(s->outboxes);
}

/* Whoever serves them says that it listens. */
int *ld_supervisor_bind_alone(struct ld_plan *plan, unsigned activated)
{
    struct ld_supervisor s = {.plan = plan, .slots = 1, .activated = activated};
    int *sockets = descriptors(plan->listener_count);

    s.log.level = LD_FAULT;
    for (uint32_t i = 0; sockets && i < plan->listener_count; i++) {
        if (ld_supervisor_bind(&s, &plan->listeners[i], &sockets[i], 0))
            continue;
        refuse(&s, &plan->listeners[i]);
        ld_supervisor_close_alone(plan, activated, sockets);
        return NULL;
    }
    return sockets;
}

void ld_supervisor_close_alone(struct ld_plan *plan, unsigned activated,
                               int *sockets)
{
    struct ld_supervisor s = {.plan = plan, .slots = 1, .activated = activated};

    for (uint32_t i = 0; i < plan->listener_count; i++)
        ld_supervisor_close_listener(&s, &plan->listeners[i], &sockets[i],
                                     LD_CLOSE_OWN);
    free(sockets);
}
