/* test_pool.c -- slots, handles, and the queue that is settled. */
#include "support_peer.h"

static bool wait(struct peer *p, enum ld_status st)
{
    return !st && ld_conn_read(p->c, 1, LD_OPENS) == LD_AGAIN;
}

static void handles_tell_all_connections_apart(void **state)
{
    enum { MANY = 3 * LD_PAGE_CONNS };
    static struct peer many[MANY];
    static int64_t old[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        peer_open(&many[i], &rig, wait, NULL);
    assert_int_equal(rig.pool->page_count, 3);
    assert_int_equal(rig.pool->open, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_ptr_equal(ld_conn_find(rig.pool, many[i].handle), many[i].c);
        old[i] = many[i].handle;
    }
    for (int i = 0; i < MANY; i += 2)
        peer_free(&many[i]);
    for (int i = 0; i < MANY; i += 2)
        peer_open(&many[i], &rig, wait, NULL);
    assert_int_equal(rig.pool->page_count, 3); /* slots are used again */
    for (int i = 0; i < MANY; i++) {
        assert_ptr_equal(ld_conn_find(rig.pool, many[i].handle), many[i].c);
        if (i % 2 == 0)
            assert_null(ld_conn_find(rig.pool, old[i]));
    }
    for (int i = 0; i < MANY; i++)
        peer_free(&many[i]);
    assert_int_equal(rig.pool->opened, MANY + MANY / 2);
    assert_int_equal(rig.pool->opened, rig.pool->closed);
}

static void
a_handle_is_exact_in_a_double_and_its_generation_never_zero(void **state)
{
    struct peer p;
    uint32_t slot;

    (void)state;
    peer_open(&p, &rig, wait, NULL);
    slot = p.c->slot;
    p.c->generation = (1U << LD_GENERATION_BITS) - 1;
    p.handle = ld_conn_handle(p.c);
    assert_true((int64_t)(double)p.handle == p.handle);
    assert_ptr_equal(ld_conn_find(rig.pool, p.handle), p.c);
    peer_free(&p);
    peer_open(&p, &rig, wait, NULL);
    assert_int_equal(p.c->slot, slot);
    assert_int_equal(p.c->generation, 1);
    peer_free(&p);
}

/* Writes to the peer that it is given, whenever it is woken. */
static bool chatter(struct peer *p, enum ld_status st)
{
    struct peer *to = p->data;

    if (to->c && p->wakes > 1)
        conn_say(to->c, "hi");
    if (st && st != LD_CLOSED)
        return false;
    return !st && ld_conn_read(p->c, 1, LD_OPENS) == LD_AGAIN;
}

static void what_a_turn_queues_while_the_pool_settles_leaves_too(void **state)
{
    struct peer a, b;

    (void)state;
    peer_open(&a, &rig, chatter, &b);
    peer_open(&b, &rig, wait, NULL);
    ld_conn_doom(a.c, LD_CLOSED, false);
    ld_pool_settle(rig.pool);
    assert_string_equal(peer_heard(&b), "hi");
    assert_int_equal(a.closes, 1);
    assert_int_equal(ld_pool_dirty(rig.pool), 0);
    peer_free(&a);
    peer_free(&b);
}

static void a_connection_is_queued_once(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p, &rig, wait, NULL);
    for (int i = 0; i < 5; i++)
        conn_say(p.c, "x");
    ld_conn_doom(p.c, LD_CLOSED, false);
    ld_conn_doom(p.c, LD_LIMIT, false); /* the first reason stands */
    assert_int_equal(ld_pool_dirty(rig.pool), 1);
    ld_pool_settle(rig.pool);
    assert_int_equal(p.last, LD_CLOSED);
    assert_string_equal(peer_heard(&p), "xxxxx");
    assert_int_equal(p.wakes, 2);
    peer_free(&p);
}

static void chains_and_parse_states_are_used_again(void **state)
{
    struct ld_chain *q = ld_pool_chain(rig.pool);

    (void)state;
    assert_int_equal(ld_chain_write(q, "x", 1), LD_OK);
    ld_pool_return_chain(rig.pool, q);
    assert_ptr_equal(ld_pool_chain(rig.pool), q);
    assert_int_equal(q->bytes, 0);
    ld_pool_return_chain(rig.pool, q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(handles_tell_all_connections_apart,
                                        rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(
            a_handle_is_exact_in_a_double_and_its_generation_never_zero,
            rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(
            what_a_turn_queues_while_the_pool_settles_leaves_too, rig_set_up,
            rig_tear_down),
        cmocka_unit_test_setup_teardown(a_connection_is_queued_once, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(chains_and_parse_states_are_used_again,
                                        rig_set_up, rig_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
