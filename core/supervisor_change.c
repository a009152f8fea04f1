/* supervisor_change.c -- the sockets of a plan that takes the place of another:
 * those that listen already, and new ones.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor_parts.h"

static bool is_among(const int *fds, size_t count, int fd)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] == fd)
            return true;
    return false;
}

static size_t socket_count(const struct ld_supervisor *s,
                           const struct ld_plan *p)
{
    return (size_t)p->listener_count * s->slots;
}

void ld_supervisor_close_unused(const struct ld_supervisor *s,
                                const struct ld_plan *p, int *sockets)
{
    size_t count = socket_count(s, s->plan);

    for (uint32_t i = 0; sockets && i < p->listener_count; i++)
        if (!is_among(s->sockets, count, sockets[i * s->slots]))
            ld_supervisor_close_listener(s, &p->listeners[i],
                                         &sockets[i * s->slots], LD_CLOSE_OWN);
}

/* Is A what B was?  Of listeners on any port, those for the same handler. */
static bool is_same(const struct ld_plan_listener *a,
                    const struct ld_plan_listener *b)
{
    return a->family == b->family && strcmp(a->text, b->text) == 0 &&
           (a->port != 0 || a->family == AF_UNIX ||
            strcmp(a->handler, b->handler) == 0);
}

/* The listener of the plan that holds which is L, and is not taken by the first
 * COUNT of the next plan; or -1. */
static int find_listener(const struct ld_supervisor *s,
                         const struct ld_plan_listener *l, uint32_t count)
{
    const struct ld_plan *p = s->plan;

    for (uint32_t i = 0; i < p->listener_count; i++)
        if (is_same(l, &p->listeners[i]) &&
            !is_among(s->reload.sockets, (size_t)count * s->slots,
                      s->sockets[i * s->slots]))
            return (int)i;
    return -1;
}

/* The sockets of the next plan: those that there are, and new ones. */
bool ld_supervisor_find_sockets(struct ld_supervisor *s, char *why, size_t size)
{
    struct ld_reload *r = &s->reload;
    size_t count = socket_count(s, r->next);

    r->sockets = malloc((count + 1) * sizeof(int));
    for (size_t i = 0; r->sockets && i < count; i++)
        r->sockets[i] = -1;
    for (uint32_t i = 0; r->sockets && i < r->next->listener_count; i++) {
        const struct ld_plan_listener *l = &r->next->listeners[i];
        int known = find_listener(s, l, i);
        int *to = &r->sockets[i * s->slots];

        if (known >= 0) {
            memcpy(to, &s->sockets[(uint32_t)known * s->slots],
                   s->slots * sizeof(int));
        } else if (!ld_supervisor_bind(s, l, to, 0)) {
            snprintf(why, size, "cannot listen on %s: %s", l->text,
                     strerror(errno));
            return false;
        }
    }
    return r->sockets;
}

/* W gets the sockets that are new; of a unix listener one, as its own. */
void ld_supervisor_send_sockets(struct ld_supervisor *s, struct ld_process *w)
{
    struct ld_reload *r = &s->reload;

    for (uint32_t i = 0; i < r->next->listener_count; i++)
        for (uint32_t slot = 1; slot <= s->slots; slot++) {
            int fd = r->sockets[i * s->slots + slot - 1];
            bool is_unix = r->next->listeners[i].family == AF_UNIX;
            uint8_t m[5] = {LD_CONTROL_SOCKET};

            if (is_among(s->sockets, socket_count(s, s->plan), fd) ||
                (is_unix && slot != w->slot))
                continue;
            ld_control_put(m + 1, i, 2);
            ld_control_put(m + 3, slot, 2);
            if (w->control >= 0)
                ld_outbox_put_fd(&w->outbox, m, sizeof(m), fd);
        }
}
