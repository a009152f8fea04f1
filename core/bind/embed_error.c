/* embed_error.c -- what a host is told of what went wrong, and whether it may
 * call at all.
 */
#include "gateway_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* As errno is: each thread's own, as a gateway may not even be there. */
static _Thread_local char error_text[1024];

LD_PUBLIC const char *ld_error_text(void)
{
    return error_text;
}

LD_PUBLIC const char *ld_version(void)
{
    return LD_VERSION;
}

int ld_refuse(int code, const char *text, ...)
{
    va_list args;

    va_start(args, text);
    vsnprintf(error_text, sizeof(error_text), text, args);
    va_end(args);
    return code;
}

int ld_embed_check(const struct ld_gateway *g)
{
    if (!g)
        return ld_refuse(LD_ERR_ARGUMENT, "there is no gateway: it is NULL");
    if (g->pid != 0 && g->pid != getpid())
        return ld_refuse(LD_ERR_FORKED,
                         "the gateway is that of process %ld, which has "
                         "forked this one",
                         (long)g->pid);
    if (g->stage == LD_STAGE_STOPPED)
        return ld_refuse(LD_ERR_STOPPED, "the gateway has stopped");
    return 0;
}

bool ld_embed_is_here(struct ld_gateway *g)
{
    bool here;

    pthread_mutex_lock(&g->lock);
    here = pthread_equal(g->owner, pthread_self());
    pthread_mutex_unlock(&g->lock);
    return here;
}

int ld_embed_own(struct ld_gateway *g)
{
    int code = ld_embed_check(g);

    if (code)
        return code;
    return ld_embed_is_here(g)
               ? 0
               : ld_refuse(LD_ERR_THREAD,
                           "the gateway is in another thread: "
                           "ld_gateway_call() has this done there");
}

bool ld_embed_is_busy(struct ld_gateway *g)
{
    lua_Debug ar;

    return g->deep > 0 || (g->vm && g->vm->depth > 0) ||
           (g->mode != LD_MODE_COMMAND && g->L && lua_getstack(g->L, 0, &ar));
}

int ld_embed_free(struct ld_gateway *g)
{
    int code = ld_embed_own(g);

    if (code || !ld_embed_is_busy(g))
        return code;
    return ld_refuse(LD_ERR_BUSY, "the gateway waits for this very callback: "
                                  "ld_gateway_post() has this done later");
}

int ld_embed_desk(enum ld_status st)
{
    switch (st) {
    case LD_OK: return 0;
    case LD_LIMIT:
        return ld_refuse(LD_ERR_FULL, "%d calls wait for the gateway already",
                         LD_DESK_MAX);
    case LD_CLOSED: return ld_refuse(LD_ERR_STOPPED, "the gateway has stopped");
    case LD_TIMEOUT:
        return ld_refuse(LD_ERR_TIMEOUT, "the gateway did not get to it in "
                                         "time: does it serve?");
    default: return ld_refuse(LD_ERR_MEMORY, "out of memory");
    }
}
