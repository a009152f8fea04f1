/* embed_thread.c -- a gateway in a thread of its own, for a host. */
#include "gateway_parts.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const size_t STACK = 100 << 20; /* bytes of a thread; see main.c */

static void *serve(void *arg)
{
    struct ld_gateway *g = arg;

    if (ld_gateway_run(g)) /* there is nobody else to be told */
        ld_log(&g->log, LD_FAULT, "not served", "error=\"%s\"",
               ld_error_text());
    pthread_mutex_lock(&g->lock);
    g->over = true;
    pthread_cond_broadcast(&g->ended);
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* A thread with all signals blocked, but the watchdog's. */
static int create_thread(struct ld_gateway *g)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int err;

    sigfillset(&all);
    if (g->role.watchdog)
        sigdelset(&all, SIGPROF);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&g->lock); /* it is not to look before it owns G */
    err = pthread_create(&g->thread, &attr, serve, g);
    if (!err) {
        g->owner = g->thread;
        g->started = true;
    }
    pthread_mutex_unlock(&g->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return err;
}

LD_PUBLIC int ld_gateway_start(struct ld_gateway *g)
{
    int err, code = ld_embed_free(g);

    if (code)
        return code;
    if (!g->owns_loop)
        return ld_refuse(LD_ERR_STATE, "the gateway is on the host's loop: one "
                                       "with a thread of its own has its own");
    if (g->stage != LD_STAGE_LOADED)
        return ld_refuse(LD_ERR_STATE, "%s",
                         g->stage == LD_STAGE_NEW
                             ? "there is nothing to serve: the gateway has not "
                               "been loaded"
                             : "the gateway serves already");
    err = create_thread(g);
    if (!err)
        return 0;
    errno = err;
    return ld_refuse(LD_ERR_SYSTEM, "no thread: %s", strerror(err));
}

/* True once the thread has ended. */
static bool wait_for_end(struct ld_gateway *g, double seconds)
{
    struct timespec until = ld_desk_after(seconds);

    while (!g->over) {
        if (seconds < 0)
            pthread_cond_wait(&g->ended, &g->lock);
        else if (pthread_cond_timedwait(&g->ended, &g->lock, &until))
            break;
    }
    return g->over;
}

/* Locked: others return when it has ended, too. */
static int join(struct ld_gateway *g, double seconds)
{
    if (!g->started)
        return ld_refuse(LD_ERR_STATE, "the gateway has no thread of its own");
    if (g->joined)
        return 0;
    if (pthread_equal(g->thread, pthread_self()))
        return ld_refuse(LD_ERR_BUSY, "this is the gateway's own thread");
    if (!wait_for_end(g, seconds))
        return ld_refuse(LD_ERR_TIMEOUT, "the gateway has not stopped yet");
    if (!g->joined) { /* while this one waited */
        pthread_join(g->thread, NULL);
        g->joined = true;
        g->owner = pthread_self();
    }
    return 0;
}

LD_PUBLIC int ld_gateway_join(struct ld_gateway *g, double seconds)
{
    int code;

    if (!g || g->pid != getpid())
        return ld_embed_check(g);
    pthread_mutex_lock(&g->lock);
    code = join(g, seconds);
    pthread_mutex_unlock(&g->lock);
    return code;
}
