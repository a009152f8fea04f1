/* plan.c -- see plan.h. */
#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "seat.h"

enum { FILES_MAX = 1 << 20, LISTENERS_MAX = 4096, NUMBER_MAX = 32 };

/* What is left to read; P is NULL after something that is no plan. */
struct reader {
    const char *p, *end;
};

static const char *next(struct reader *r, size_t *len)
{
    const char *p = r->p;
    size_t n = 0;

    while (p && p < r->end && *p >= '0' && *p <= '9' && n < SIZE_MAX / 16)
        n = 10 * n + (size_t)(*p++ - '0');
    if (!p || p >= r->end || *p != ':' || (size_t)(r->end - p) < n + 2 ||
        p[1 + n] != ',') {
        r->p = NULL;
        *len = 0;
        return "";
    }
    r->p = p + n + 2;
    *len = n;
    return p + 1;
}

/* A copy, or NULL when memory is out. */
static char *next_text(struct reader *r)
{
    size_t len;
    const char *p = next(r, &len);

    return strndup(p, len);
}

static double next_number(struct reader *r)
{
    char text[NUMBER_MAX] = "";
    size_t len;
    const char *p = next(r, &len);
    double n;
    char *end;

    if (len == 0 || len >= sizeof(text)) {
        r->p = NULL;
        return 0;
    }
    memcpy(text, p, len);
    n = strtod(text, &end);
    if (!*end && n >= 0)
        return n;
    r->p = NULL;
    return 0;
}

/* A whole number up to MOST. */
static uint32_t next_whole(struct reader *r, uint32_t most)
{
    double n = next_number(r);

    if (n > most) {
        r->p = NULL;
        return 0;
    }
    return (uint32_t)n;
}

static uint32_t processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < LD_WORKERS_MAX ? (uint32_t)n : LD_WORKERS_MAX;
}

static uint32_t next_workers(struct reader *r)
{
    struct reader ahead = *r;
    size_t len;
    const char *p = next(&ahead, &len);

    if (len != 4 || memcmp(p, "auto", 4) != 0)
        return next_whole(r, LD_WORKERS_MAX);
    *r = ahead;
    return processors();
}

static bool read_listener(struct reader *r, struct ld_plan_listener *l)
{
    char *family = next_text(r);

    if (!family)
        return false;
    l->family = strcmp(family, "unix") == 0   ? AF_UNIX
                : strcmp(family, "ipv6") == 0 ? AF_INET6
                                              : AF_INET;
    free(family);
    l->host = next_text(r);
    l->path = next_text(r);
    l->text = next_text(r);
    l->handler = next_text(r);
    l->port = (uint16_t)next_whole(r, UINT16_MAX);
    l->backlog = (int)next_whole(r, INT32_MAX);
    l->mode = next_whole(r, 0777);
    l->stays = next_whole(r, 1);
    return l->host && l->path && l->text && l->handler;
}

/* What the supervisor has no use for, and the paths of the files. */
static enum ld_status read_files(struct reader *r, struct ld_plan *p)
{
    size_t len;
    uint32_t count;

    next(r, &len); /* the directory of the bundled handlers */
    next(r, &len); /* the secret */
    count = next_whole(r, FILES_MAX);
    if (!r->p)
        return LD_PROTOCOL;
    p->files = calloc(count + 1, sizeof(*p->files));
    if (!p->files)
        return LD_NOMEM;
    for (; p->file_count < count && r->p; p->file_count++) {
        p->files[p->file_count] = next_text(r);
        next(r, &len);
    }
    return r->p ? LD_OK : LD_PROTOCOL;
}

static bool read_confinement(struct reader *r, struct ld_confinement *c)
{
    c->user = next_text(r);
    c->uid = next_whole(r, UINT32_MAX);
    c->gid = next_whole(r, UINT32_MAX);
    c->no_new_privs = next_whole(r, 1);
    c->seccomp = next_whole(r, 1);
    return c->user;
}

/* LD_OK, LD_PROTOCOL or LD_NOMEM. */
static enum ld_status read_plan(struct reader *r, struct ld_plan *p)
{
    char *level;
    int known;

    p->workers = next_workers(r);
    p->drain = next_number(r);
    p->heartbeat = next_number(r);
    level = next_text(r);
    if (!level)
        return LD_NOMEM;
    known = ld_log_level(level);
    free(level);
    p->level = known < 0 ? LD_INFO : (enum ld_level)known;
    p->watch = next_whole(r, 1);
    if (!read_confinement(r, &p->confinement))
        return LD_NOMEM;
    p->listener_count = next_whole(r, LISTENERS_MAX);
    if (!r->p)
        return LD_PROTOCOL;
    p->listeners = calloc(p->listener_count + 1, sizeof(*p->listeners));
    if (!p->listeners)
        return LD_NOMEM;
    for (uint32_t i = 0; i < p->listener_count; i++)
        if (!read_listener(r, &p->listeners[i]))
            return LD_NOMEM;
    return r->p ? read_files(r, p) : LD_PROTOCOL;
}

struct ld_plan *ld_plan_read(char *text, size_t size)
{
    struct reader r = {text, text + size};
    struct ld_plan *p = calloc(1, sizeof(*p));
    enum ld_status st;

    if (!p) {
        free(text);
        return NULL;
    }
    p->text = text;
    p->size = size;
    st = read_plan(&r, p);
    if (!st)
        return p;
    ld_plan_free(p);
    errno = st == LD_NOMEM ? ENOMEM : EPROTO;
    return NULL;
}

void ld_plan_free(struct ld_plan *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; p->listeners && i < p->listener_count; i++) {
        free(p->listeners[i].host);
        free(p->listeners[i].path);
        free(p->listeners[i].text);
        free(p->listeners[i].handler);
    }
    for (uint32_t i = 0; i < p->file_count; i++)
        free(p->files[i]);
    free(p->files);
    free(p->listeners);
    free(p->confinement.user);
    free(p->text);
    free(p);
}
