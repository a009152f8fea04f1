/* embed.c -- a gateway inside a host: see ../linedancer.h. */
#include "gateway_parts.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task_parts.h"
#include "watchdog.h"

static const double RELOAD = 30; /* seconds that another thread waits */

/* Whose own loop runs in this thread. */
static _Thread_local struct ld_gateway *runs;

LD_PUBLIC struct ld_gateway *
ld_gateway_new(const struct ld_gateway_options *options)
{
    static const struct ld_gateway_options defaults;
    static const struct ld_role alone;
    struct ld_gateway *g =
        ld_gateway_open(options ? options : &defaults, &alone);
    int err;

    if (!g)
        return NULL;
    g->mode = LD_MODE_RUN;
    g->pid = getpid();
    g->vm->in_host = true;
    g->desk = ld_desk_new(g->loop);
    if (g->desk)
        return g;
    err = errno;
    ld_gateway_close(g);
    errno = err;
    return NULL;
}

static void forget_listening(struct ld_gateway *g)
{
    while (g->listening) {
        struct ld_listening *l = g->listening;

        g->listening = l->next;
        free(l);
    }
}

/* Called where neither Lua nor the core is under way. */
static void end(struct ld_gateway *g)
{
    g->stage = LD_STAGE_ENDING;
    g->inside++;
    ld_desk_close(g->desk);
    if (g->vm)
        ld_vm_abort(g->vm);
    g->last = ld_embed_count(g);
    g->last.lua_bytes = g->last.accepted = 0;
    ld_gateway_dismantle(g);
    g->inside--;
    g->stage = LD_STAGE_STOPPED;
    ld_watchdog_release(g);
}

void ld_embed_finish(struct ld_gateway *g)
{
    bool in_run = g->stage == LD_STAGE_SERVING && g->mode == LD_MODE_RUN;
    struct ev_loop *loop = g->loop;

    ld_log(&g->log, LD_INFO, "stopped", "%s", "");
    end(g);
    if (g->stopped) {
        g->inside++;
        g->stopped(g->stopped_ctx, g);
        g->inside--;
    }
    if (in_run) /* else it is the host that runs the loop */
        ev_break(loop, EVBREAK_ONE);
}

static int refuse_at_end(void)
{
    return ld_refuse(LD_ERR_STOPPED, "the gateway is stopping");
}

/* Accept from now on. */
static int begin(struct ld_gateway *g, enum ld_mode mode)
{
    int code = ld_embed_free(g);

    if (code)
        return code;
    if (g->stage == LD_STAGE_NEW)
        return ld_refuse(LD_ERR_STATE, "there is nothing to serve: the gateway "
                                       "has not been loaded");
    if (g->stage == LD_STAGE_ENDING)
        return refuse_at_end();
    if (g->stage == LD_STAGE_SERVING)
        return ld_refuse(LD_ERR_STATE, "the gateway serves already");
    g->mode = mode;
    code = ld_embed_lua(g, "begin", 0, 0);
    if (!code)
        g->stage = LD_STAGE_SERVING;
    return code;
}

/* libev's own answer is to print, and to abort. */
static void on_system_error(const char *what)
{
    if (!runs) {
        perror(what);
        abort();
    }
    if (!runs->broken)
        ld_log(&runs->log, LD_FAULT, "the loop failed",
               "call=\"%s\" error=\"%s\"", what, strerror(errno));
    runs->broken = true; /* which the next event of the loop finds */
    ev_feed_event(runs->loop, &runs->drain, EV_CUSTOM);
}

/* The loop's descriptor may have been closed by the host; the loop is ours, and
 * so is the way in which it fails. */
static void run_own_loop(struct ld_gateway *g)
{
    struct ld_gateway *outer = runs;

    ev_set_syserr_cb(on_system_error);
    runs = g;
    while (g->stage == LD_STAGE_SERVING && !g->broken)
        ev_run(g->loop, 0);
    runs = outer;
}

LD_PUBLIC int ld_gateway_run(struct ld_gateway *g)
{
    int code = begin(g, LD_MODE_RUN);

    if (code)
        return code;
    g->inside++; /* what is on the host's loop may not free it */
    if (g->owns_loop)
        run_own_loop(g);
    else
        while (g->stage == LD_STAGE_SERVING)
            ev_run(g->loop, 0);
    g->inside--;
    if (!g->broken)
        return 0;
    if (g->stage != LD_STAGE_STOPPED)
        end(g);
    errno = EBADF;
    return ld_refuse(LD_ERR_SYSTEM, "the descriptor of the gateway's loop was "
                                    "closed by somebody else");
}

LD_PUBLIC int ld_gateway_attach(struct ld_gateway *g, struct ev_loop *loop)
{
    int code = ld_embed_free(g);

    if (code)
        return code;
    if (!loop)
        return ld_refuse(LD_ERR_ARGUMENT, "there is no loop: it is NULL");
    if (g->owns_loop)
        return ld_refuse(LD_ERR_STATE, "the gateway has a loop of its own: "
                                       "ld_gateway_options.loop gives it one");
    if (loop != g->loop)
        return ld_refuse(LD_ERR_STATE, "the gateway was made for another loop");
    return begin(g, LD_MODE_ATTACHED);
}

static void stop_here(void *ctx)
{
    struct ld_gateway *g = ctx;

    if (g->stage == LD_STAGE_SERVING)
        ld_gateway_drain(g);
    else if (g->stage == LD_STAGE_LOADED)
        ld_embed_finish(g);
}

LD_PUBLIC int ld_gateway_stop(struct ld_gateway *g)
{
    int code = ld_embed_check(g);

    if (code)
        return code;
    if (g->pid == 0) {
        ld_gateway_drain(g);
        return 0;
    }
    if (!ld_embed_is_here(g))
        return ld_embed_desk(ld_desk_put(g->desk, stop_here, g));
    if (g->stage == LD_STAGE_ENDING)
        return refuse_at_end();
    if (g->stage == LD_STAGE_NEW)
        return ld_refuse(LD_ERR_STATE, "the gateway does not serve");
    if (g->stage == LD_STAGE_LOADED && ld_embed_is_busy(g))
        return ld_embed_free(g);
    stop_here(g);
    return 0;
}

struct reloading {
    struct ld_gateway *g;
    int code;
    char text[1024];
};

/* As SIGHUP of the program: what comes of it is in the log. */
static int reload_command(struct ld_gateway *g)
{
    lua_State *L = g->vm->L;
    int top = lua_gettop(L), code = 0;

    if (g->vm->reload_ref == LUA_NOREF || g->vm->stopping) {
        const char *why = g->vm->stopping ? "the gateway is stopping"
                                          : "the gateway does not serve";

        ld_log(&g->log, LD_WARN, "reload refused", "why=\"%s\"", why);
        return ld_refuse(LD_ERR_STATE, "%s", why);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, g->vm->reload_ref);
    if (ld_task_call(L, 0)) {
        ld_log(&g->log, LD_FAULT, "reload failed", "error=\"%s\"",
               lua_tostring(L, -1));
        code = ld_refuse(LD_ERR_CONFIG, "%s", lua_tostring(L, -1));
    }
    lua_settop(L, top);
    return code;
}

static int reload_here(struct ld_gateway *g)
{
    int code = ld_embed_free(g);

    if (code || g->mode == LD_MODE_COMMAND)
        return code ? code : reload_command(g);
    if (g->stage == LD_STAGE_ENDING || g->vm->stopping)
        return refuse_at_end();
    if (g->stage != LD_STAGE_SERVING)
        return ld_refuse(LD_ERR_STATE, "the gateway does not serve");
    code = ld_embed_lua(g, "reload", 0, 2);
    if (code)
        return code;
    if (!lua_toboolean(g->L, -2))
        code = ld_refuse(LD_ERR_CONFIG, "%s", lua_tostring(g->L, -1));
    else
        g->version++;
    lua_pop(g->L, 2);
    return code;
}

static void reload_job(void *ctx)
{
    struct reloading *r = ctx;

    r->code = reload_here(r->g);
    snprintf(r->text, sizeof(r->text), "%s", ld_error_text());
}

LD_PUBLIC int ld_gateway_reload(struct ld_gateway *g)
{
    struct reloading r = {.g = g};
    int code = ld_embed_check(g);

    if (code)
        return code;
    if (g->pid == 0)
        return reload_command(g);
    if (ld_embed_is_here(g))
        return reload_here(g);
    code = ld_embed_desk(ld_desk_call(g->desk, reload_job, &r, RELOAD));
    return code ? code : r.code ? ld_refuse(r.code, "%s", r.text) : 0;
}

LD_PUBLIC struct ev_loop *ld_gateway_loop(struct ld_gateway *g)
{
    return g ? g->loop : NULL;
}

/* In a child of the host: the parent's descriptors stay as they are. */
static int forget(struct ld_gateway *g)
{
    if (g->vm && !g->forgotten)
        ld_gateway_forget_ports(g->vm);
    g->forgotten = true;
    return ld_refuse(LD_ERR_FORKED, "the gateway is the parent's: only what "
                                    "this process has inherited was closed");
}

/* Stop the thread that serves, and wait for it. */
static int end_thread(struct ld_gateway *g)
{
    if (pthread_equal(g->thread, pthread_self()))
        return ld_refuse(LD_ERR_BUSY, "this is the gateway's own thread: "
                                      "another one frees it");
    ld_desk_put(g->desk, stop_here, g);
    ld_desk_put(g->desk, stop_here, g);
    return ld_gateway_join(g, -1);
}

LD_PUBLIC int ld_gateway_free(struct ld_gateway *g)
{
    int code = 0;

    if (!g)
        return 0;
    if (g->pid == 0) {
        ld_gateway_close(g);
        return 0;
    }
    if (g->pid != getpid())
        return forget(g);
    if (g->started && !g->joined)
        code = end_thread(g);
    else if (!g->joined && !ld_embed_is_here(g))
        code = ld_refuse(LD_ERR_THREAD, "the gateway is another thread's, "
                                        "which frees it");
    if (!code && (g->inside > 0 || ld_embed_is_busy(g)))
        code = ld_refuse(LD_ERR_BUSY, "the gateway waits for this very "
                                      "callback");
    if (code)
        return code;
    if (g->stage != LD_STAGE_STOPPED)
        end(g);
    forget_listening(g);
    ld_native_free_all(g);
    ld_desk_free(g->desk);
    ld_gateway_close(g);
    return 0;
}
