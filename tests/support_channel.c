/* support_channel.c -- see support_channel.h. */
#include "support_channel.h"

struct ld_channel *channel_new(uint32_t bytes, uint32_t items, double merge)
{
    struct ld_channel_limits limits = {bytes, items, merge, false};
    struct ld_channel *ch = ld_channel_new(rig.pool, &limits);

    assert_non_null(ch);
    return ch;
}

static void publish(struct ld_channel *ch, const char *text, bool mark)
{
    struct ld_chain q;

    ld_chain_init(&q, &rig.pool->chunks);
    assert_int_equal(ld_chain_write(&q, text, strlen(text)), LD_OK);
    assert_int_equal(ld_channel_publish(ch, &q, mark), LD_OK);
    ld_chain_clear(&q);
}

void say(struct ld_channel *ch, const char *text)
{
    publish(ch, text, false);
}

void say_mark(struct ld_channel *ch, const char *text)
{
    publish(ch, text, true);
}

void greet(struct ld_channel *ch, const char *text)
{
    struct ld_chain q;

    ld_chain_init(&q, &rig.pool->chunks);
    assert_int_equal(ld_chain_write(&q, text, strlen(text)), LD_OK);
    assert_int_equal(ld_channel_preamble(ch, &q), LD_OK);
    ld_chain_clear(&q);
}

bool listen_only(struct peer *p, enum ld_status st)
{
    return !st && ld_conn_read(p->c, 1, LD_OPENS) == LD_AGAIN;
}

void listener_open(struct peer *p, struct ld_channel *ch, uint64_t lag,
                   enum ld_policy policy)
{
    peer_open(p, &rig, listen_only, NULL);
    assert_int_equal(ld_channel_follow(ch, p->c, lag, policy), LD_OK);
    settle();
}

void settle(void)
{
    ld_pool_settle(rig.pool);
}

void pass(double seconds)
{
    double until = rig.pool->now + seconds;

    while (ld_timers_next(&rig.pool->alarms) <= until) {
        rig.pool->now = ld_timers_next(&rig.pool->alarms);
        ld_timers_run(&rig.pool->alarms, rig.pool->now);
        settle();
    }
    rig.pool->now = until;
}
