/* supervisor_reload.c -- a plan for a gateway that runs.
 *
 *   a child evaluates the config --> the workers prepare --> all of them switch
 *
 * Whatever goes wrong before the last step leaves all as it was.  A worker
 * that dies is replaced by one with the plan that holds then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "notify.h"
#include "supervisor_parts.h"

enum {
    PLAN_MAX = 256 << 20, /* bytes of a plan, and of what is said of one */
    WORDS_MAX = 65536,
    TEXT_MAX = LD_CONTROL_MAX - 16,
    PIECE = LD_CONTROL_MAX - 1,
    NICE = 10 /* of the child: clients come first */
};

/* Seconds for the child to evaluate the config, and for the workers to be ready
 * and to prepare: time for some heartbeats. */
static double patience(const struct ld_supervisor *s)
{
    double seconds = 3 * s->plan->heartbeat;

    return seconds > 1 ? seconds : 1;
}

void ld_supervisor_reload_answer(struct ld_supervisor *s, uint32_t version,
                                 const char *text)
{
    struct ld_reload *r = &s->reload;
    size_t len = strnlen(text, TEXT_MAX);
    uint8_t m[LD_CONTROL_MAX] = {LD_CONTROL_RELOADED};

    if (r->wish.slot == 0)
        return;
    ld_control_put(m + 1, r->wish.request, 4);
    ld_control_put(m + 5, version, 4);
    ld_control_put(m + 9, len, 2);
    memcpy(m + 11, text, len);
    ld_supervisor_send(s, &s->workers[r->wish.slot - 1], m, 11 + len);
}

/* What can be said to one who asks while another reload is under way. */
void ld_supervisor_reload_answer_at_once(struct ld_supervisor *s,
                                         const struct ld_wish *w,
                                         const char *text)
{
    struct ld_reload under_way = s->reload;

    s->reload.wish = *w;
    ld_supervisor_reload_answer(s, 0, text);
    s->reload = under_way;
    ld_log(&s->log, LD_WARN, "reload refused", "why=\"%s\"", text);
}

void ld_supervisor_reload_forget(struct ld_supervisor *s)
{
    struct ld_reload *r = &s->reload;

    if (r->out >= 0)
        close(r->out);
    if (r->err >= 0)
        close(r->err);
    free(r->text.p);
    free(r->words.p);
    ld_plan_free(r->next);
    free(r->sockets);
    if (r->is_told)
        ld_notify("READY=1");
    ld_supervisor_reload_init(s);
}

void ld_supervisor_reload_init(struct ld_supervisor *s)
{
    s->reload = (struct ld_reload){.out = -1, .err = -1};
}

/* All is as it was. */
void ld_supervisor_reload_refuse(struct ld_supervisor *s, const char *why)
{
    static const uint8_t abort = LD_CONTROL_ABORT;

    ld_log(&s->log, LD_FAULT, "reload refused", "why=\"%s\"", why);
    ld_supervisor_reload_answer(s, 0, why);
    if (s->reload.phase >= LD_RELOAD_PREPARING)
        for (uint32_t i = 0; i < s->slots; i++)
            ld_supervisor_send(s, &s->workers[i], &abort, 1);
    if (s->reload.child > 0)
        kill(s->reload.child, SIGKILL);
    ld_supervisor_close_unused(s, s->reload.next, s->reload.sockets);
    ld_supervisor_reload_forget(s);
}

static void run_child(struct ld_supervisor *s, const int out[2],
                      const int err[2])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != s->pid)
        _exit(1);
    dup2(err[1], STDERR_FILENO);
    setpriority(PRIO_PROCESS, 0, NICE);
    ld_supervisor_leave(s);
    exit(s->ops->plan(s->ctx, out[1], s->plan));
}

/* Trials are ours alone: they may last. */
static void tell_reloading(struct ld_supervisor *s)
{
    char text[64];

    s->reload.is_told =
        s->told_ready && s->reload.wish.how == LD_RELOAD_FOR_GOOD;
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%.0f",
             ld_supervisor_now() * 1e6);
    if (s->reload.is_told)
        ld_notify(text);
}

/* Why there can be no reload now, or NULL. */
static const char *what_hinders(const struct ld_supervisor *s)
{
    if (s->phase != LD_SERVING)
        return "the gateway is stopping";
    if (s->heir)
        return "an upgrade is under way";
    if (s->reload.phase == LD_RELOAD_CONFIRMING)
        return "the version that serves is to be confirmed or reverted first";
    return s->reload.phase ? "another reload is under way" : NULL;
}

void ld_supervisor_reload(struct ld_supervisor *s, const struct ld_wish *w)
{
    struct ld_reload *r = &s->reload;
    const char *why_not = what_hinders(s);
    int out[2] = {-1, -1}, err[2] = {-1, -1};

    if (why_not) {
        ld_supervisor_reload_answer_at_once(s, w, why_not);
        return;
    }
    r->wish = *w;
    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0)
        r->child = fork();
    else
        r->child = -1;
    if (r->child == 0)
        run_child(s, out, err);
    r->out = out[0];
    r->err = err[0];
    if (out[1] >= 0)
        close(out[1]);
    if (err[1] >= 0)
        close(err[1]);
    if (r->child < 0) {
        ld_supervisor_reload_refuse(s, strerror(errno));
        return;
    }
    fcntl(r->out, F_SETFL, O_NONBLOCK);
    fcntl(r->err, F_SETFL, O_NONBLOCK);
    r->phase = LD_RELOAD_PLANNING;
    r->deadline = ld_supervisor_now() + patience(s);
    tell_reloading(s);
    ld_log(&s->log, LD_DEBUG, "reload", "pid=%d", (int)r->child);
}

/* Whatever FD has, to the end of T; closed at its end. */
static void take_from(int *fd, struct ld_text_of *t, size_t max)
{
    for (;;) {
        size_t cap = t->size + 65536;
        char *grown = *fd < 0 || t->size >= max ? NULL : realloc(t->p, cap);
        ssize_t n;

        if (!grown)
            return;
        t->p = grown;
        n = read(*fd, t->p + t->size, cap - t->size - 1);
        if (n < 0)
            return;
        t->size += (size_t)n;
        t->p[t->size] = 0;
        if (n > 0)
            continue;
        close(*fd);
        *fd = -1;
    }
}

void ld_supervisor_reload_read(struct ld_supervisor *s)
{
    take_from(&s->reload.out, &s->reload.text, PLAN_MAX);
    take_from(&s->reload.err, &s->reload.words, WORDS_MAX);
}

static void send_plan(struct ld_supervisor *s, struct ld_process *w)
{
    const struct ld_plan *p = s->reload.next;
    uint8_t m[LD_CONTROL_MAX] = {LD_CONTROL_PLAN};

    for (size_t at = 0; at < p->size; at += PIECE) {
        size_t n = p->size - at < PIECE ? p->size - at : PIECE;

        memcpy(m + 1, p->text + at, n);
        ld_supervisor_send(s, w, m, 1 + n);
    }
}

/* However much it is, it does not count against the limit of the queue. */
static void send_all(struct ld_supervisor *s, struct ld_process *w,
                     uint32_t version)
{
    uint8_t m[6] = {LD_CONTROL_PREPARE};
    size_t limit = w->outbox.limit;

    w->outbox.limit = SIZE_MAX / 2;
    send_plan(s, w);
    if (version > 0)
        ld_supervisor_send_sockets(s, w);
    ld_control_put(m + 1, version, 4);
    m[5] = s->reload.back;
    ld_supervisor_send(s, w, m, sizeof(m));
    w->outbox.limit = limit + w->outbox.kept;
}

/* The one who asked looks at the plan, and says what it would change. */
static void show(struct ld_supervisor *s)
{
    if (s->reload.wish.slot)
        send_all(s, &s->workers[s->reload.wish.slot - 1], 0);
    ld_supervisor_reload_answer(s, s->version, "");
    ld_supervisor_reload_forget(s);
}

bool ld_supervisor_are_ready(const struct ld_supervisor *s)
{
    for (uint32_t i = 0; i < s->slots; i++)
        if (s->workers[i].state != LD_WORKER_READY)
            return false;
    return true;
}

static void prepare(struct ld_supervisor *s)
{
    struct ld_reload *r = &s->reload;
    char why[512] = "out of memory";

    if (!ld_supervisor_find_sockets(s, why, sizeof(why))) {
        ld_supervisor_reload_refuse(s, why);
        return;
    }
    r->phase = LD_RELOAD_PREPARING;
    r->version = s->last_version + 1;
    r->deadline = ld_supervisor_now() + patience(s);
    for (uint32_t i = 0; i < s->slots; i++) {
        s->workers[i].prepared = false;
        send_all(s, &s->workers[i], r->version);
    }
}

void ld_supervisor_reload_await_workers(struct ld_supervisor *s)
{
    s->reload.phase = LD_RELOAD_WAITING;
    s->reload.deadline = ld_supervisor_now() + patience(s);
    ld_supervisor_reload_tick(s, 0);
}

/* What the child said, without what a line of the log begins with. */
static const char *last_words(struct ld_reload *r, int status)
{
    char *text = r->words.p;
    static const char *const prefixes[] = {" error ", "linedancer: "};

    while (r->words.size > 0 && text[r->words.size - 1] == '\n')
        text[--r->words.size] = 0;
    if (!text || !*text)
        return WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
                                   : "the config was not evaluated";
    for (size_t i = 0; i < 2; i++) {
        char *at = strstr(text, prefixes[i]);

        if (at && at - text < 32)
            text = at + strlen(prefixes[i]);
    }
    return text;
}

void ld_supervisor_planned(struct ld_supervisor *s, int status)
{
    struct ld_reload *r = &s->reload;
    char why[128];

    ld_supervisor_reload_read(s);
    r->child = 0;
    if (status != 0 || r->text.size == 0) {
        ld_supervisor_reload_refuse(s, last_words(r, status));
        return;
    }
    r->next = ld_plan_read(r->text.p, r->text.size);
    r->text.p = NULL;
    if (!r->next) {
        ld_supervisor_reload_refuse(s, "the plan makes no sense");
    } else if (r->next->workers != s->slots) {
        snprintf(why, sizeof(why), "workers: %u instead of %u takes a restart",
                 r->next->workers, s->slots);
        ld_supervisor_reload_refuse(s, why);
    } else if (r->wish.how == LD_RELOAD_DRY) {
        show(s);
    } else {
        ld_supervisor_reload_await_workers(s);
    }
}

/* From here on the new plan holds, whatever happens. */
void ld_supervisor_reload_commit(struct ld_supervisor *s)
{
    static const uint8_t order = LD_CONTROL_COMMIT;
    struct ld_reload *r = &s->reload;
    struct ld_wish wish = r->wish;
    struct ld_plan *former = s->plan;
    int *sockets = s->sockets;

    s->plan = r->next;
    s->sockets = r->sockets;
    s->version = s->last_version = r->version;
    r->next = NULL;
    r->sockets = NULL;
    s->log.level = s->plan->level;
    ld_supervisor_watch(s);
    for (uint32_t i = 0; i < s->slots; i++)
        ld_supervisor_send(s, &s->workers[i], &order, 1);
    ld_supervisor_close_unused(s, former, sockets);
    free(sockets);
    ld_log(&s->log, LD_INFO, "reloaded", "version=%u", s->version);
    ld_supervisor_reload_answer(s, s->version, "");
    ld_supervisor_reload_forget(s);
    if (wish.how == LD_RELOAD_CONFIRM)
        ld_supervisor_await_confirmation(s, &wish, former);
    else
        ld_plan_free(former);
}

void ld_supervisor_prepared(struct ld_supervisor *s, struct ld_process *w,
                            const uint8_t *p, size_t n)
{
    char why[LD_CONTROL_MAX];
    uint32_t version = n < 8 ? 0 : ld_control_number(p + 1, 4);

    if (s->reload.phase != LD_RELOAD_PREPARING || version != s->reload.version)
        return;
    if (!p[5]) {
        snprintf(why, sizeof(why), "%.*s", (int)(n - 8), (const char *)p + 8);
        ld_supervisor_reload_refuse(s, why);
        return;
    }
    w->prepared = true;
    for (uint32_t i = 0; i < s->slots; i++)
        if (!s->workers[i].prepared)
            return;
    if (s->reload.wish.how == LD_RELOAD_TRIAL)
        ld_supervisor_try(s);
    else
        ld_supervisor_reload_commit(s);
}

void ld_supervisor_reload_lost(struct ld_supervisor *s,
                               const struct ld_process *w)
{
    char why[64];

    if (s->reload.wish.slot == w->slot)
        s->reload.wish.slot = 0; /* nobody asks any more */
    if (s->reload.phase < LD_RELOAD_PREPARING)
        return;
    snprintf(why, sizeof(why), "worker %u died %s", w->slot,
             s->reload.phase == LD_RELOAD_TRYING ? "during the trial"
                                                 : "while it prepared");
    ld_supervisor_reload_refuse(s, why);
}

static void refuse_late(struct ld_supervisor *s)
{
    char why[96];

    snprintf(why, sizeof(why), "%s within %g seconds",
             s->reload.phase == LD_RELOAD_PLANNING
                 ? "the config was not evaluated"
                 : "the workers were not ready",
             patience(s));
    ld_supervisor_reload_refuse(s, why);
}

void ld_supervisor_reload_tick(struct ld_supervisor *s, double now)
{
    struct ld_reload *r = &s->reload;

    if (!r->phase)
        return;
    if (s->phase == LD_SERVING && r->phase == LD_RELOAD_WAITING &&
        ld_supervisor_are_ready(s))
        prepare(s);
    else if (s->phase == LD_SERVING && now <= r->deadline)
        return;
    else if (r->phase == LD_RELOAD_CONFIRMING || r->phase == LD_RELOAD_TRYING)
        ld_supervisor_judge_late(s);
    else if (s->phase != LD_SERVING)
        ld_supervisor_reload_refuse(s, "the gateway is stopping");
    else
        refuse_late(s);
}
