/* test_bind_ends.c -- a gateway in a host ends once, and leaves nothing on the
 * host's loop, whoever ends it and whatever its callbacks do meanwhile.
 */
#include <ev.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_host.h"

/* Work that has itself done again is refused at the end, which comes. */
static void again(void *ctx, struct ld_gateway *g)
{
    *(int *)ctx = ld_gateway_post(g, again, ctx);
}

static void test_endless_work(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    int code = 0;

    (void)state;
    host_load(g, "'echo'");
    assert_int_equal(ld_gateway_start(g), 0);
    assert_int_equal(ld_gateway_post(g, again, &code), 0);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(code, LD_ERR_STOPPED);
}

static void count(void *ctx, struct ld_gateway *g)
{
    (void)g;
    ++*(int *)ctx;
}

/* Stopped twice from elsewhere, and freed before it served: it ends once, and
 * does not keep the host's loop. */
static void *stop_twice(void *g)
{
    return ld_gateway_stop(g) || ld_gateway_stop(g) ? NULL : g;
}

static void test_stop_waits(void **state)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct ld_gateway *g = host_gateway(loop, NULL);
    int stopped = 0;
    pthread_t thread;
    void *good;

    (void)state;
    host_load(g, "'echo'");
    ld_gateway_set_stopped(g, count, &stopped);
    pthread_create(&thread, NULL, stop_twice, g);
    pthread_join(thread, &good);
    assert_ptr_equal(good, g);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(stopped, 0); /* as it was freed */
    assert_false(ev_run(loop, EVRUN_NOWAIT));
    ev_loop_destroy(loop);
}

/* A gateway that does not serve yet is stopped in the host's own loop, which
 * goes on. */
struct ticks {
    struct ld_gateway *gateway;
    int count, code;
};

static void stop_at_first(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ticks *k = t->data;

    (void)events;
    if (++k->count == 1)
        k->code = ld_gateway_stop(k->gateway);
    else
        ev_timer_stop(loop, t);
}

static void test_loop_goes_on(void **state)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct ticks k = {.gateway = host_gateway(loop, NULL), .code = -1};
    ev_timer timer;

    (void)state;
    host_load(k.gateway, "'echo'");
    ev_timer_init(&timer, stop_at_first, 0.001, 0.001);
    timer.data = &k;
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
    assert_int_equal(k.code, 0);
    assert_int_equal(k.count, 2);
    assert_int_equal(ld_gateway_free(k.gateway), 0);
    ev_timer_stop(loop, &timer);
    ev_loop_destroy(loop);
}

/* Nobody frees a gateway under a thread that is in ld_gateway_run(): neither a
 * watcher of the host's, nor another thread, even when it has stopped. */
static void free_and_stop(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ticks *k = t->data;

    (void)loop;
    (void)events;
    k->code = ld_gateway_free(k->gateway);
    ld_gateway_stop(k->gateway);
}

static void *free_elsewhere(void *arg)
{
    struct ticks *k = arg;

    k->code = ld_gateway_free(k->gateway);
    return NULL;
}

static void test_free_under_run(void **state)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct ticks k = {.gateway = host_gateway(loop, NULL), .code = -1};
    pthread_t thread;
    ev_timer timer;

    (void)state;
    host_load(k.gateway, "'echo'");
    ev_timer_init(&timer, free_and_stop, 0.001, 0);
    timer.data = &k;
    ev_timer_start(loop, &timer);
    assert_int_equal(ld_gateway_run(k.gateway), 0);
    assert_int_equal(k.code, LD_ERR_BUSY);
    pthread_create(&thread, NULL, free_elsewhere, &k);
    pthread_join(thread, NULL);
    assert_int_equal(k.code, LD_ERR_THREAD);
    assert_int_equal(ld_gateway_free(k.gateway), 0);
    ev_loop_destroy(loop);
}

/* The command line on the host's loop ends as any gateway: what waits is done,
 * and nothing is left there. */
static int posted;

static void stop_and_post(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ticks *k = t->data;

    (void)loop;
    (void)events;
    ld_gateway_stop(k->gateway);
    k->code = ld_gateway_free(k->gateway);
    ld_gateway_post(k->gateway, count, &posted);
}

static void test_command(void **state)
{
    char path[] = "/tmp/ld-ends-XXXXXX", run[] = "run", *argv[] = {run, path};
    struct ev_loop *loop = ev_loop_new(0);
    struct ticks k = {.gateway = host_gateway(loop, NULL)};
    int stopped = 0, fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    ev_timer timer;

    (void)state;
    fputs(host_config("function() end"), f);
    fclose(f);
    ld_gateway_set_stopped(k.gateway, count, &stopped);
    ev_timer_init(&timer, stop_and_post, 0.001, 0);
    timer.data = &k;
    ev_timer_start(loop, &timer);
    assert_int_equal(ld_gateway_command(k.gateway, 2, argv), 0);
    assert_int_equal(k.code, LD_ERR_BUSY);
    assert_int_equal(posted, 1);
    assert_int_equal(stopped, 1);
    assert_int_equal(ld_gateway_stop(k.gateway), LD_ERR_STOPPED);
    assert_int_equal(ld_gateway_free(k.gateway), 0);
    assert_false(ev_run(loop, EVRUN_NOWAIT));
    ev_loop_destroy(loop);
    unlink(path);
}

/* Whoever has looked first that a thread has ended, anyone may free. */
static void *join(void *g)
{
    return ld_gateway_join(g, -1) == 0 ? g : NULL;
}

static void test_joined_elsewhere(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    pthread_t threads[4];
    void *good;

    (void)state;
    host_load(g, "'echo'");
    assert_int_equal(ld_gateway_start(g), 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, join, g);
    assert_int_equal(ld_gateway_stop(g), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &good);
        assert_ptr_equal(good, g);
    }
    assert_int_equal(ld_gateway_free(g), 0);
}

/* A state function that runs the loop: the gateway does not end beneath it. */
static int run_loop(struct ld_session *s, const struct ld_frame *f)
{
    struct ld_gateway *g = ld_session_gateway(s);
    int *stopped = ld_session_ctx(s);

    (void)f;
    ld_gateway_stop(g);
    ld_gateway_stop(g);
    for (int i = 0; i < 20; i++)
        ev_run(ld_gateway_loop(g), EVRUN_NOWAIT);
    assert_int_equal(*stopped, 0);
    return LD_STATE_END;
}

static void test_loop_in_state(void **state)
{
    static const struct ld_state loops[] = {{"loop", "B", 0, 0, run_loop}};
    struct ev_loop *loop = ev_loop_new(0);
    struct ld_gateway *g = host_gateway(loop, NULL);
    int stopped = 0, fd;
    struct ld_handler h = {LD_HANDLER, .states = loops, .state_count = 1,
                           .ctx = &stopped};

    (void)state;
    assert_int_equal(ld_gateway_add_handler(g, "loop", &h), 0);
    ld_gateway_set_stopped(g, count, &stopped);
    fd = host_connect(host_load(g, "'loop'"));
    assert_int_equal(ld_gateway_attach(g, loop), 0);
    assert_int_equal(write(fd, "a", 1), 1);
    assert_false(ev_run(loop, 0));
    assert_int_equal(stopped, 1);
    assert_int_equal(ld_gateway_free(g), 0);
    close(fd);
    ev_loop_destroy(loop);
}

/* A log that stops the gateway at each line is not called without end. */
struct lines {
    struct ld_gateway *gateway;
    int count;
};

static void stop_at_line(void *ctx, const char *line, size_t len)
{
    struct lines *l = ctx;

    (void)line;
    (void)len;
    l->count++;
    if (l->count < 1000 && l->gateway)
        ld_gateway_stop(l->gateway);
}

static void test_stop_in_log(void **state)
{
    struct lines l = {0};
    struct ld_gateway_options o = {.log = stop_at_line, .log_ctx = &l};
    struct ld_gateway *g = ld_gateway_new(&o);

    (void)state;
    host_load(g, "'echo'");
    l.gateway = g;
    assert_int_equal(ld_gateway_start(g), 0);
    assert_int_equal(ld_gateway_stop(g), 0);
    assert_int_equal(ld_gateway_join(g, -1), 0);
    assert_true(l.count < 10);
    assert_int_equal(ld_gateway_free(g), 0);
}

/* What a connection's on_close asks for at the gateway's own end is refused. */
struct last {
    int stop, reload, run, stats;
};

static int keep(struct ld_session *s, const struct ld_frame *f)
{
    size_t n;
    const void *p = ld_frame_raw(f, &n);

    ld_session_write(s, p, n);
    return 0;
}

static void ask_all(struct ld_session *s)
{
    struct ld_gateway *g = ld_session_gateway(s);
    struct ld_gateway_stats stats = LD_STATS;
    struct last *l = ld_session_ctx(s);

    l->stop = ld_gateway_stop(g);
    l->reload = ld_gateway_reload(g);
    l->run = ld_gateway_run(g);
    l->stats = ld_gateway_stats(g, &stats);
}

static const struct ld_state byte[] = {{"byte", "B", 0, 0, keep}};

static void test_stop_in_on_close(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct last l = {0};
    struct ld_handler h = {LD_HANDLER, .states = byte, .state_count = 1,
                           .ctx = &l, .on_close = ask_all};
    int fd;

    (void)state;
    assert_int_equal(ld_gateway_add_handler(g, "byte", &h), 0);
    fd = host_connect(host_load(g, "'byte'"));
    assert_int_equal(ld_gateway_start(g), 0);
    assert_true(host_asks(fd, "a", "a"));
    assert_int_equal(ld_gateway_stop(g), 0);
    assert_int_equal(ld_gateway_stop(g), 0);
    assert_int_equal(ld_gateway_join(g, -1), 0);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(l.stop, LD_ERR_STOPPED);
    assert_int_equal(l.reload, LD_ERR_BUSY);
    assert_int_equal(l.run, LD_ERR_BUSY);
    assert_int_equal(l.stats, 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless_work),
        cmocka_unit_test(test_stop_waits),
        cmocka_unit_test(test_loop_goes_on),
        cmocka_unit_test(test_free_under_run),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_joined_elsewhere),
        cmocka_unit_test(test_loop_in_state),
        cmocka_unit_test(test_stop_in_log),
        cmocka_unit_test(test_stop_in_on_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
