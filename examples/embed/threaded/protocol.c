/* protocol.c -- see protocol.h. */
#include "protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOGIN, REQUEST }; /* the states, by index */
enum { WATCH = 1, GET, LEAVE };
enum { READING = 1, NONE, GOODBYE };
enum { VERSION = 1, REFUSED = 1 };

/* A client that has logged in. */
struct client {
    unsigned long sent;
};

/* It takes as long whatever TOKEN is, so that it cannot be found bit by bit. */
static int is_token(const char *known, const unsigned char *token, size_t size)
{
    size_t length = strlen(known);
    unsigned char differs = length != size;

    for (size_t i = 0; i < size; i++)
        differs |= token[i] ^ (unsigned char)known[length ? i % length : 0];
    return !differs;
}

static int login(struct ld_session *s, const struct ld_frame *f)
{
    struct meter *m = ld_session_ctx(s);
    size_t size;
    const void *token = ld_frame_bytes(f, 1, &size);
    struct ld_item status = LD_INTEGER(0);
    struct client *c;

    if (ld_frame_integer(f, 0) != VERSION || !is_token(m->token, token, size)) {
        status = LD_INTEGER(REFUSED);
        ld_session_pack(s, "B", &status, 1);
        return ld_session_fail(s, "not let in");
    }
    c = calloc(1, sizeof(*c));
    if (!c)
        return ld_session_fail(s, "out of memory");
    ld_session_set_data(s, c);
    m->clients++;
    ld_session_pack(s, "B", &status, 1);
    return REQUEST;
}

static void send_reading(struct ld_session *s, const char *name, double value)
{
    const struct ld_item items[] = {
        LD_INTEGER(READING), LD_BYTES(name, strlen(name)), LD_NUMBER(value)};
    struct client *c = ld_session_data(s);

    ld_session_pack(s, ">B s1 d", items, 3);
    c->sent++;
}

static void send_text(struct ld_session *s, int kind, const char *text)
{
    const struct ld_item items[] = {LD_INTEGER(kind),
                                    LD_BYTES(text, strlen(text))};

    ld_session_pack(s, "B s1", items, 2);
}

static int watch(struct ld_session *s, const char *name)
{
    char topic[NAME_MAX_BYTES + 16];

    snprintf(topic, sizeof(topic), "reading/%s", name);
    return ld_session_subscribe(s, topic) ? ld_session_fail(s, ld_error_text())
                                          : REQUEST;
}

static int get(struct ld_session *s, const char *name)
{
    const struct meter *m = ld_session_ctx(s);
    const struct reading *r = readings_find(&m->readings, name);

    if (r)
        send_reading(s, r->name, r->value);
    else
        send_text(s, NONE, name);
    return REQUEST;
}

static int request(struct ld_session *s, const struct ld_frame *f)
{
    size_t size;
    const char *bytes = ld_frame_bytes(f, 1, &size);
    char name[NAME_MAX_BYTES + 1];

    snprintf(name, sizeof(name), "%.*s", (int)size, bytes);
    switch (ld_frame_integer(f, 0)) {
    case WATCH: return watch(s, name);
    case GET: return get(s, name);
    case LEAVE: return LD_STATE_END;
    default: return ld_session_fail(s, "no such request");
    }
}

/* Only clients that have logged in subscribe, and so they have data. */
static int on_message(struct ld_session *s, const char *topic,
                      const void *message, size_t size)
{
    char text[32];

    snprintf(text, sizeof(text), "%.*s", (int)size, (const char *)message);
    send_reading(s, strchr(topic, '/') + 1, strtod(text, NULL));
    return LD_STATE_STAY;
}

static int on_error(struct ld_session *s, const char *code, const char *text)
{
    (void)text;
    if (ld_session_data(s))
        send_text(s, GOODBYE, code);
    return LD_STATE_END;
}

static void on_close(struct ld_session *s)
{
    struct meter *m = ld_session_ctx(s);
    struct client *c = ld_session_data(s);

    m->clients -= c != NULL;
    free(c);
}

int protocol_add(struct ld_gateway *g, struct meter *meter)
{
    static const struct ld_state states[] = {
        [LOGIN] = {.name = "login",
                   .format = "'MTR' B s1{64}",
                   .total = 5,
                   .run = login},
        [REQUEST] = {.name = "request",
                     .format = "B s1{32}",
                     .idle = 600,
                     .run = request}};
    const struct ld_handler handler = {
        LD_HANDLER,          .states = states,         .state_count = 2,
        .ctx = meter,        .on_message = on_message, .on_error = on_error,
        .on_close = on_close};

    return ld_gateway_add_handler(g, "meter", &handler);
}
