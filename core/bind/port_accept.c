/* port_accept.c -- counts what listeners accept, and gives it to handlers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"

static const double TELL_PERIOD = 1; /* seconds between lines of the log */

static void remember_peer(struct ld_conn *c, const struct sockaddr_storage *sa)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;

    if (sa->ss_family != AF_INET)
        return;
    c->peer_host = v4->sin_addr.s_addr;
    c->peer_port = v4->sin_port;
}

bool ld_port_is_full(const struct ld_port *port)
{
    return port->open >= port->max ||
           (!port->exempt && port->vm->accepted >= port->vm->max_accepted);
}

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer);

void ld_port_heed(struct ld_port *port)
{
    for (uint32_t i = 0; port->listeners && i < port->count; i++) {
        if (!port->listeners[i])
            continue;
        if (port->watched[i] && !port->paused && !port->held)
            ld_listener_start(port->listeners[i], on_accept, port);
        else
            ld_listener_pause(port->listeners[i]);
    }
}

/* It may go to and fro with each client: not every time is told. */
static void tell_full(struct ld_port *port)
{
    struct ld_vm *vm = port->vm;
    bool own = port->open >= port->max;

    vm->times_full++;
    if (vm->pool->now < vm->fullness_told + TELL_PERIOD)
        return;
    vm->fullness_told = vm->pool->now;
    ld_log(vm->log, LD_WARN, "accepting paused",
           "port=%u limit=%s connections=%u", port->index,
           own ? "max_connections" : "connections",
           own ? port->open : vm->accepted);
}

bool ld_port_look(struct ld_port *port)
{
    bool full = ld_port_is_full(port);

    if (port->paused == full)
        return false;
    port->paused = full;
    if (full)
        tell_full(port);
    return true;
}

void ld_port_heed_limits(struct ld_vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++)
        if (ld_port_look(vm->ports[i]))
            ld_port_heed(vm->ports[i]);
}

/* The trial's share is spread evenly. */
static struct ld_machine *choose_machine(struct ld_port *port)
{
    if (!port->trial)
        return port->machine;
    port->credit += port->share;
    if (port->credit < 1000)
        return port->machine;
    port->credit -= 1000;
    return port->trial;
}

static void count_in(struct ld_port *port)
{
    port->open++;
    port->vm->accepted += !port->exempt;
    ld_port_heed_limits(port->vm);
}

static void count_out(struct ld_port *port)
{
    port->open--;
    port->vm->accepted -= !port->exempt;
    if (!port->vm->stopping)
        ld_port_heed_limits(port->vm);
}

/* C is from where its proxy says. */
static bool set_origin(struct ld_conn *c, struct ld_origin *origin)
{
    struct ld_extra *x = ld_conn_extra(c);

    if (!x)
        return false;
    x->origin = origin;
    if (origin->source.ss_family == AF_UNSPEC)
        return true;
    c->peer_port = 0;
    remember_peer(c, &origin->source);
    return true;
}

/* Takes over WHO's origin and tag, the source. */
static void begin(struct ld_port *port, struct ld_link *link,
                  const struct ld_visitor *who)
{
    struct ld_machine *machine = choose_machine(port);
    struct ld_conn *c = ld_vm_connect(port->vm, *link, machine);

    if (!c) {
        free(who->origin);
        ld_sources_leave(who->tag);
        link->transport->close(link, true);
        ld_log(port->vm->log, LD_FAULT, "connection refused", "error=\"%s\"",
               strerror(errno));
        count_out(port);
        return;
    }
    machine->made++;
    c->listener = port->index;
    remember_peer(c, &who->peer);
    if (who->origin && !set_origin(c, who->origin))
        free(who->origin);
    if (who->tag && ld_conn_meter(c, who->tag))
        ld_sources_leave(who->tag);
    ld_log(port->vm->log, LD_DEBUG, "connection opened", "conn=%u.%u open=%u",
           c->slot, c->generation, port->vm->pool->open);
    ld_conn_begin(c);
}

static const char *host_of(const struct sockaddr_storage *peer,
                           char text[INET6_ADDRSTRLEN])
{
    const void *host =
        peer->ss_family == AF_INET
            ? (const void *)&((const struct sockaddr_in *)peer)->sin_addr
            : &((const struct sockaddr_in6 *)peer)->sin6_addr;

    if (peer->ss_family != AF_INET && peer->ss_family != AF_INET6)
        return "unix:";
    return inet_ntop(peer->ss_family, host, text, INET6_ADDRSTRLEN);
}

/* Not served: a reset tells the client at once. */
static void turn_away(struct ld_port *port, int fd)
{
    struct ld_link link = {.transport = &ld_sock, .fd = fd};

    ld_sock.close(&link, true);
    count_out(port);
}

/* May a client from SA come?  If so, *SOURCE is whose it is. */
static bool admit(struct ld_port *port, const struct sockaddr_storage *sa,
                  void **source)
{
    static const char *const names[] = {[LD_SOURCE_CONNECTIONS] =
                                            "per_source.connections",
                                        [LD_SOURCE_RATE] = "per_source.rate"};
    struct ld_vm *vm = port->vm;
    struct ld_source *found = NULL;
    enum ld_source_verdict verdict;
    char host[INET6_ADDRSTRLEN];

    *source = NULL;
    if (!vm->pool->sources || port->exempt)
        return true;
    verdict = ld_sources_enter(vm->pool->sources, sa, vm->pool->now, &found);
    *source = found;
    if (verdict == LD_SOURCE_GOOD)
        return true;
    vm->refused[verdict]++;
    if (vm->pool->now < vm->refusal_told + TELL_PERIOD)
        return false;
    vm->refusal_told = vm->pool->now;
    ld_log(vm->log, LD_WARN, "connection refused",
           "limit=%s peer=%s refused=%u", names[verdict], host_of(sa, host),
           vm->refused[verdict]);
    return false;
}

static void on_handshake(void *ctx, enum ld_status st, struct ld_link *link,
                         const struct ld_visitor *who, const char *why)
{
    struct ld_port *port = ctx;
    struct ld_visitor client = *who;
    char host[INET6_ADDRSTRLEN];

    if (st) {
        ld_log(port->vm->log, LD_INFO, "handshake failed",
               "peer=%s code=%s error=\"%s\"", host_of(&who->peer, host),
               ld_strstatus(st), why);
        ld_sources_leave(who->tag);
        port->vm->failed_handshakes++;
        count_out(port);
    } else if (who->origin && who->origin->source.ss_family != AF_UNSPEC &&
               !admit(port, &who->origin->source, &client.tag)) {
        free(who->origin);
        link->transport->close(link, true);
        count_out(port);
    } else {
        begin(port, link, &client);
    }
}

static void shake_hands(struct ld_port *port,
                        const struct ld_handshake_terms *terms, int fd,
                        const struct ld_visitor *who)
{
    if (ld_handshake_begin(&port->vm->handshakes, port->vm->worker->loop, terms,
                           fd, who, on_handshake, port) == LD_OK)
        return;
    ld_sources_leave(who->tag);
    turn_away(port, fd);
}

/* Is the client at PEER one of the proxies?  False, too, when it is none where
 * only they may come: *WELCOME. */
static bool is_proxied(struct ld_port *port,
                       const struct sockaddr_storage *peer, bool *welcome)
{
    char host[INET6_ADDRSTRLEN];
    bool is;

    *welcome = true;
    if (!port->proxies)
        return false;
    is = ld_network_has(port->proxies, port->proxy_count, peer);
    *welcome = is || port->direct;
    if (!*welcome)
        ld_log(port->vm->log, LD_INFO, "not a proxy", "peer=%s",
               host_of(peer, host));
    return is;
}

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    struct ld_port *port = ctx;
    struct ld_link link = {.transport = &ld_sock, .fd = fd};
    struct ld_visitor who = {.peer = *peer};
    struct ld_handshake_terms terms = {
        .tls = port->on_demand ? NULL : port->tls, .seconds = port->patience};
    bool welcome;

    count_in(port);
    terms.proxied = is_proxied(port, peer, &welcome);
    if (!welcome || (!terms.proxied && !admit(port, peer, &who.tag)))
        turn_away(port, fd);
    else if (terms.tls || terms.proxied)
        shake_hands(port, &terms, fd, &who);
    else
        begin(port, &link, &who);
}

void ld_gateway_conn_closed(struct ld_vm *vm, const struct ld_conn *c)
{
    if (c->listener == 0)
        return;
    count_out(vm->ports[c->listener - 1]);
}
