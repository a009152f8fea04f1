/* supervisor_verdict.c -- a version about which somebody has yet to say whether
 * it is good.
 *
 * On trial, some of the clients that come have it, and without a verdict nobody
 * will.  To be confirmed, all have it, and without a verdict what was before
 * comes back, as one more reload.
 */
#include <stdio.h>

#include "supervisor_parts.h"

static const double TRIAL_SPARE = 10; /* seconds after its end */

void ld_supervisor_try(struct ld_supervisor *s)
{
    struct ld_reload *r = &s->reload;
    uint8_t m[3] = {LD_CONTROL_TRIAL};

    ld_control_put(m + 1, r->wish.share, 2);
    for (uint32_t i = 0; i < s->slots; i++)
        ld_supervisor_send(s, &s->workers[i], m, sizeof(m));
    s->last_version = r->version;
    r->phase = LD_RELOAD_TRYING;
    r->deadline = ld_supervisor_now() + r->wish.seconds + TRIAL_SPARE;
    ld_log(&s->log, LD_INFO, "trial", "version=%u share=%g%% seconds=%u",
           r->version, r->wish.share / 10.0, r->wish.seconds);
    ld_supervisor_reload_answer(s, r->version, "trial");
    r->wish.slot = 0;
}

void ld_supervisor_await_confirmation(struct ld_supervisor *s,
                                      const struct ld_wish *w,
                                      struct ld_plan *former)
{
    s->reload.phase = LD_RELOAD_CONFIRMING;
    s->reload.next = former;
    s->reload.deadline = ld_supervisor_now() + w->seconds;
    ld_log(&s->log, LD_INFO, "to be confirmed", "version=%u seconds=%u",
           s->version, w->seconds);
}

static void end_trial(struct ld_supervisor *s, bool good, const char *why)
{
    if (good) {
        ld_supervisor_reload_commit(s);
        return;
    }
    ld_supervisor_reload_answer(s, s->version, "");
    s->reload.wish.slot = 0;
    ld_supervisor_reload_refuse(s, why);
}

static void confirm(struct ld_supervisor *s)
{
    ld_log(&s->log, LD_INFO, "confirmed", "version=%u", s->version);
    ld_supervisor_reload_answer(s, s->version, "");
    ld_supervisor_reload_forget(s);
}

static void revert(struct ld_supervisor *s, const char *why)
{
    ld_log(&s->log, LD_WARN, "reverting", "version=%u why=\"%s\"", s->version,
           why);
    s->reload.back = true;
    ld_supervisor_reload_await_workers(s);
}

void ld_supervisor_judge(struct ld_supervisor *s, const struct ld_wish *w,
                         bool good, const char *why)
{
    enum ld_reload_phase phase = s->reload.phase;

    if (phase != LD_RELOAD_TRYING && phase != LD_RELOAD_CONFIRMING) {
        ld_supervisor_reload_answer_at_once(
            s, w, "there is no trial, and nothing to confirm");
        return;
    }
    s->reload.wish = *w;
    if (phase == LD_RELOAD_TRYING)
        end_trial(s, good, why);
    else if (good)
        confirm(s);
    else
        revert(s, why);
}

void ld_supervisor_judge_late(struct ld_supervisor *s)
{
    if (s->reload.phase == LD_RELOAD_TRYING)
        ld_supervisor_reload_refuse(
            s, s->phase == LD_SERVING ? "nobody said what came of the trial"
                                      : "the gateway is stopping");
    else if (s->phase == LD_SERVING)
        revert(s, "nobody confirmed it in time");
    else
        ld_supervisor_reload_forget(s);
}
