/* dial_names.c -- names to addresses, by c-ares on the loop; see dial.h.
 *
 * /etc/hosts is asked first, for both families at once: a name that stands
 * there is not asked of DNS.  Only then is each family a question of its own,
 * as one may be answered long before the other.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "dial_parts.h"

/* The resolver is made anew when it is older, so that changes of
 * /etc/resolv.conf are heeded. */
static const double FRESH_SECONDS = 5;

enum { QUERIES_MAX = LD_DIAL_FAMILIES * LD_DIALS_MAX };

static const int families[LD_DIAL_FAMILIES] = {AF_INET6, AF_INET};

/* Ask again when c-ares' own timers want to. */
static void arm(struct ld_dialer *d)
{
    struct timeval t;

    ev_timer_stop(d->loop, &d->tick);
    if (!ares_timeout(d->dns, NULL, &t))
        return;
    ev_now_update(d->loop);
    ev_timer_set(&d->tick, (double)t.tv_sec + (double)t.tv_usec * 1e-6, 0);
    ev_timer_start(d->loop, &d->tick);
}

/* c-ares closes sockets in here: IO may be gone after it. */
static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct ld_dialer *d = ((struct ld_dial_socket *)io->data)->dialer;
    int fd = io->fd;

    (void)loop;
    ares_process_fd(d->dns, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD);
    arm(d);
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ld_dialer *d = t->data;

    (void)loop;
    (void)events;
    ares_process_fd(d->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(d);
}

/* c-ares wants to read and write FD; neither: it is about to close it. */
static void on_interest(void *ctx, ares_socket_t fd, int reads, int writes)
{
    struct ld_dialer *d = ctx;
    struct ld_dial_socket **link = &d->sockets, *s;

    while (*link && (*link)->io.fd != fd)
        link = &(*link)->next;
    s = *link;
    if (!s && (reads || writes)) {
        s = calloc(1, sizeof(*s));
        if (!s)
            return; /* the question times out */
        ev_io_init(&s->io, on_socket, fd, 0);
        s->io.data = s;
        s->dialer = d;
        s->next = d->sockets;
        d->sockets = s;
        link = &d->sockets;
    }
    if (!s)
        return;
    ev_io_stop(d->loop, &s->io);
    if (!reads && !writes) {
        *link = s->next;
        free(s);
        return;
    }
    ev_io_set(&s->io, fd, (reads ? EV_READ : 0) | (writes ? EV_WRITE : 0));
    ev_io_start(d->loop, &s->io);
}

static bool open_channels(struct ld_dialer *d)
{
    struct ares_options options = {.sock_state_cb = on_interest,
                                   .sock_state_cb_data = d};

    options.lookups = (char *)"f";
    if (ares_init_options(&d->hosts, &options, ARES_OPT_LOOKUPS)) {
        d->hosts = NULL;
        return false;
    }
    options.lookups = (char *)"b";
    if (ares_init_options(&d->dns, &options,
                          ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB)) {
        ares_destroy(d->hosts);
        d->hosts = NULL;
        return false;
    }
    if (d->servers && ares_set_servers_ports_csv(d->dns, d->servers))
        ld_log(d->log, LD_FAULT, "no DNS servers", "servers=\"%s\"",
               d->servers);
    ev_init(&d->tick, on_tick);
    d->tick.data = d;
    d->made = ev_now(d->loop);
    return true;
}

void ld_dialer_close_names(struct ld_dialer *d)
{
    if (!d->hosts)
        return;
    ares_destroy(d->hosts);
    ares_destroy(d->dns); /* ends its questions and its sockets */
    d->hosts = NULL;
    ev_timer_stop(d->loop, &d->tick);
}

enum ld_status ld_dialer_servers(struct ld_dialer *d, const char *servers)
{
    char *copy = strdup(servers);

    if (!copy)
        return LD_NOMEM;
    free(d->servers);
    d->servers = copy;
    return LD_OK;
}

static void add(struct ld_dial *d, const struct sockaddr *sa)
{
    unsigned family = sa->sa_family == AF_INET6 ? LD_DIAL_V6 : LD_DIAL_V4;
    struct ld_dial_list *list = &d->lists[family];
    struct ld_dial_address *a = &list->at[list->count];

    if (list->count == LD_DIAL_ADDRESSES ||
        (d->source.len && d->source.sa.sa_family != sa->sa_family))
        return;
    if (family == LD_DIAL_V6) {
        memcpy(&a->v6, sa, sizeof(a->v6));
        a->v6.sin6_port = htons(d->port);
        a->len = sizeof(a->v6);
    } else {
        memcpy(&a->v4, sa, sizeof(a->v4));
        a->v4.sin_port = htons(d->port);
        a->len = sizeof(a->v4);
    }
    list->count++;
}

static void add_all(struct ld_dial *d, const struct ares_addrinfo *found)
{
    const struct ares_addrinfo_node *n;

    for (n = found->nodes; n; n = n->ai_next)
        if (n->ai_family == AF_INET || n->ai_family == AF_INET6)
            add(d, n->ai_addr);
}

static void on_hosts(void *ctx, int status, int timeouts,
                     struct ares_addrinfo *found)
{
    (void)timeouts;
    if (status == ARES_SUCCESS)
        add_all(ctx, found);
    ares_freeaddrinfo(found);
}

static void on_answer(void *ctx, int status, int timeouts,
                      struct ares_addrinfo *found)
{
    struct ld_dial_query *q = ctx;
    struct ld_dial *d = q->dial;
    unsigned family = q->family;

    (void)timeouts;
    q->dialer->query_count--;
    free(q);
    if (d) {
        d->queries[family] = NULL;
        if (status == ARES_SUCCESS)
            add_all(d, found);
        else
            ld_dial_note(d, status == ARES_ENOMEM ? LD_NOMEM : LD_DNS, "%s: %s",
                         d->host, ares_strerror(status));
        ld_dial_answered(d, family);
    }
    ares_freeaddrinfo(found);
}

static bool is_wanted(const struct ld_dial *d, unsigned family)
{
    return !d->source.len || d->source.sa.sa_family == families[family];
}

/* All before the first is asked, as it may be answered at once. */
static enum ld_status make_queries(struct ld_dial *d)
{
    for (unsigned i = 0; i < LD_DIAL_FAMILIES; i++) {
        if (!is_wanted(d, i))
            continue;
        d->queries[i] = malloc(sizeof(struct ld_dial_query));
        if (!d->queries[i]) {
            free(d->queries[LD_DIAL_V6]);
            d->queries[LD_DIAL_V6] = NULL;
            return LD_NOMEM;
        }
        *d->queries[i] = (struct ld_dial_query){d->dialer, d, i};
    }
    return LD_OK;
}

static void ask(struct ld_dial *d)
{
    struct ld_dialer *dialer = d->dialer;
    struct ld_dial_query *queries[LD_DIAL_FAMILIES];

    memcpy(queries, d->queries, sizeof(queries));
    for (unsigned i = 0; i < LD_DIAL_FAMILIES; i++)
        dialer->query_count += queries[i] != NULL;
    for (unsigned i = 0; i < LD_DIAL_FAMILIES; i++) {
        struct ares_addrinfo_hints hints = {.ai_family = families[i],
                                            .ai_socktype = SOCK_STREAM};

        if (queries[i])
            ares_getaddrinfo(dialer->dns, d->host, NULL, &hints, on_answer,
                             queries[i]);
    }
    arm(dialer);
}

void ld_dial_drop_queries(struct ld_dial *d)
{
    for (unsigned i = 0; i < LD_DIAL_FAMILIES; i++) {
        if (d->queries[i])
            d->queries[i]->dial = NULL;
        d->queries[i] = NULL;
    }
}

static bool has_address(const struct ld_dial *d)
{
    return d->lists[LD_DIAL_V6].count + d->lists[LD_DIAL_V4].count > 0;
}

enum ld_status ld_dial_lookup(struct ld_dial *d)
{
    static const struct ares_addrinfo_hints any = {.ai_family = AF_UNSPEC,
                                                   .ai_socktype = SOCK_STREAM};
    struct ld_dialer *dialer = d->dialer;

    if (dialer->hosts && dialer->query_count == 0 &&
        ev_now(dialer->loop) - dialer->made > FRESH_SECONDS)
        ld_dialer_close_names(dialer);
    if (!dialer->hosts && !open_channels(dialer)) {
        ld_dial_note(d, LD_DNS, "%s: there is no resolver", d->host);
        return LD_DNS;
    }
    ares_getaddrinfo(dialer->hosts, d->host, NULL, &any, on_hosts, d);
    if (has_address(d))
        return LD_OK;
    if (dialer->query_count + LD_DIAL_FAMILIES > QUERIES_MAX) {
        ld_dial_note(d, LD_LIMIT, "%s: too many questions to DNS are open",
                     d->host);
        return LD_LIMIT;
    }
    if (make_queries(d)) {
        ld_dial_note(d, LD_NOMEM, "%s: out of memory", d->host);
        return LD_NOMEM;
    }
    ask(d);
    return LD_OK;
}
