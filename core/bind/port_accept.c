/* port_accept.c -- counts what listeners accept, and gives it to handlers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "port.h"

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

void ld_port_heed_limits(struct ld_vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        struct ld_port *port = vm->ports[i];

        if (port->paused == ld_port_is_full(port))
            continue;
        port->paused = !port->paused;
        ld_port_heed(port);
    }
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

static void begin(struct ld_port *port, struct ld_link *link,
                  const struct sockaddr_storage *peer)
{
    struct ld_machine *machine = choose_machine(port);
    struct ld_conn *c = ld_vm_connect(port->vm, *link, machine);

    if (!c) {
        link->transport->close(link, true);
        ld_log(port->vm->log, LD_FAULT, "connection refused", "error=\"%s\"",
               strerror(errno));
        count_out(port);
        return;
    }
    machine->made++;
    c->listener = port->index;
    remember_peer(c, peer);
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

static void on_handshake(void *ctx, enum ld_status st, struct ld_link *link,
                         const struct sockaddr_storage *peer, const char *why)
{
    struct ld_port *port = ctx;
    char host[INET6_ADDRSTRLEN];

    if (st == LD_OK) {
        begin(port, link, peer);
        return;
    }
    ld_log(port->vm->log, LD_INFO, "handshake failed",
           "peer=%s code=%s error=\"%s\"", host_of(peer, host),
           ld_strstatus(st), why);
    count_out(port);
}

static void on_accept(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    struct ld_port *port = ctx;
    struct ld_link link = {.transport = &ld_sock, .fd = fd};

    count_in(port);
    if (!port->tls) {
        begin(port, &link, peer);
    } else if (ld_handshake_begin(&port->vm->handshakes, port->vm->worker->loop,
                                  port->tls, fd, peer, port->patience,
                                  on_handshake, port)) {
        ld_sock.close(&link, true);
        count_out(port);
    }
}

void ld_gateway_conn_closed(struct ld_vm *vm, const struct ld_conn *c)
{
    if (c->listener == 0)
        return;
    count_out(vm->ports[c->listener - 1]);
}
