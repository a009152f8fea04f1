/* test_bind_host.c -- a gateway in a host does what core/linedancer.h says: it
 * serves in each of the three ways, reloads, talks, and leaves nothing behind.
 */
#include <ev.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_host.h"

#define UPPER                                                                 \
    "{ initial = 'line', timeouts = { 5 }, states = { line = function(conn) " \
    "local line = conn:read_line() if not line then return end "              \
    "require('linedancer').publish('lines', line) "                           \
    "conn:write(line:upper(), '\\n') return 'line' end } }"

#define LISTENER                                                 \
    "{ initial = 'wait', timeouts = { 20 }, "                    \
    "on_message = function(conn, _, text, topic) "               \
    "conn:write(topic, '=', text, '\\n') end, "                  \
    "states = { wait = function(conn) conn:subscribe('news/#') " \
    "conn:write('+\\n') if conn:read_line() then return 'wait' end end } }"

static void end_loop(void *ctx, struct ld_gateway *g)
{
    (void)g;
    ++*(int *)ctx;
}

/* In a thread of its own: clients are served, and after stop and join nothing
 * is left, neither a descriptor nor a thread. */
static void test_started(void **state)
{
    struct host_log log = {.size = 0};
    int before = host_descriptors(), stopped = 0, port, fd;
    struct ld_gateway *g = host_gateway(NULL, &log);

    (void)state;
    port = host_load(g, UPPER);
    assert_int_equal(ld_gateway_set_stopped(g, end_loop, &stopped), 0);
    assert_int_equal(ld_gateway_start(g), 0);
    fd = host_connect(port);
    assert_true(host_asks(fd, "hello\n", "HELLO\n"));
    assert_int_equal(ld_gateway_join(g, 0), LD_ERR_TIMEOUT);
    assert_int_equal(ld_gateway_stop(g), 0);
    assert_true(host_ended(fd));
    assert_int_equal(ld_gateway_join(g, -1), 0);
    assert_int_equal(ld_gateway_join(g, 0), 0);
    assert_int_equal(stopped, 1);
    assert_int_equal(ld_gateway_free(g), 0);
    close(fd);
    assert_int_equal(host_descriptors(), before);
    assert_non_null(strstr(log.text, "stopped"));
}

static void *ask_twice(void *arg)
{
    int fd = host_connect(*(int *)arg);
    bool good = host_asks(fd, "a\n", "A\n") && host_asks(fd, "b\n", "B\n");

    close(fd);
    return good ? arg : NULL;
}

struct client {
    struct ld_gateway *gateway;
    int port;
    bool good;
};

static void *ask_and_stop(void *arg)
{
    struct client *c = arg;

    c->good = ask_twice(&c->port) != NULL;
    return ld_gateway_stop(c->gateway) == 0 ? c : NULL;
}

/* In the host's thread, until another one stops it. */
static void test_run(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct client c = {g, host_load(g, UPPER), false};
    pthread_t thread;
    void *stopped;

    (void)state;
    pthread_create(&thread, NULL, ask_and_stop, &c);
    assert_int_equal(ld_gateway_run(g), 0);
    pthread_join(thread, &stopped);
    assert_ptr_equal(stopped, &c);
    assert_true(c.good);
    assert_int_equal(ld_gateway_run(g), LD_ERR_STOPPED);
    assert_int_equal(ld_gateway_free(g), 0);
}

/* On the host's loop, two of them: the loop ends by itself once both have
 * stopped, as nothing of them is left on it. */
static void test_attached(void **state)
{
    struct ev_loop *loop = ev_loop_new(0);
    int before = host_descriptors(), stopped = 0;
    struct client clients[2];
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct ld_gateway *g = host_gateway(loop, NULL);

        clients[i] = (struct client){g, host_load(g, UPPER), false};
        ld_gateway_set_stopped(g, end_loop, &stopped);
        assert_int_equal(ld_gateway_attach(g, loop), 0);
        pthread_create(&threads[i], NULL, ask_and_stop, &clients[i]);
    }
    assert_false(ev_run(loop, 0));
    assert_int_equal(stopped, 2);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_true(clients[i].good);
        assert_int_equal(ld_gateway_free(clients[i].gateway), 0);
    }
    assert_true(host_descriptors() <= before + 1); /* the loop's own event */
    ev_loop_destroy(loop);
}

/* Messages go from the host to connections, from any thread, and from handlers
 * to the host. */
struct heard {
    struct ld_gateway *gateway;
    char topic[64], text[64];
};

static void hear(void *ctx, const char *topic, const void *message, size_t size)
{
    struct heard *h = ctx;

    strcpy(h->topic, topic);
    memcpy(h->text, message, size);
    h->text[size] = 0;
    ld_gateway_publish(h->gateway, "news/host", message, size);
}

static void test_messages(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct heard h = {.gateway = g};
    struct ld_gateway_stats stats = LD_STATS;
    int port = host_load(g, LISTENER), fd;
    uint32_t id = 0;

    (void)state;
    assert_int_equal(ld_gateway_subscribe(g, "to/+", hear, &h, &id), 0);
    assert_true(id > 0);
    assert_int_equal(ld_gateway_start(g), 0);
    fd = host_connect(port);
    assert_true(host_asks(fd, "", "+\n"));
    assert_int_equal(ld_gateway_publish(g, "news/a", "one", 3), 0);
    assert_true(host_asks(fd, "", "news/a=one\n"));
    assert_int_equal(ld_gateway_publish(g, "to/us", "two", 3), 0);
    assert_true(host_asks(fd, "", "news/host=two\n"));
    assert_string_equal(h.topic, "to/us");
    assert_string_equal(h.text, "two");
    assert_int_equal(ld_gateway_stats(g, &stats), 0);
    assert_int_equal(stats.opened, 1); /* a subscription is no connection */
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
}

/* Work is done in the gateway's thread, before a call returns; what was posted
 * is done even when it stops first. */
static void note_thread(void *ctx, struct ld_gateway *g)
{
    *(pthread_t *)ctx = pthread_self();
    assert_non_null(ld_gateway_lua(g));
}

static void test_work(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct ld_gateway_stats stats = LD_STATS;
    pthread_t where = pthread_self();
    int posted = 0, fd, port = host_load(g, UPPER);

    (void)state;
    ld_gateway_start(g);
    assert_null(ld_gateway_lua(g)); /* it is another thread's */
    assert_int_equal(ld_gateway_call(g, note_thread, &where, 20), 0);
    assert_false(pthread_equal(where, pthread_self()));
    fd = host_connect(port);
    assert_true(host_asks(fd, "x\n", "X\n"));
    assert_int_equal(ld_gateway_stats(g, &stats), 0);
    assert_int_equal(stats.accepted, 1);
    assert_int_equal(stats.version, 1);
    assert_true(stats.opened >= 1 && stats.lua_bytes > 0);
    ld_gateway_stop(g);
    ld_gateway_post(g, end_loop, &posted);
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(posted, 1);
}

/* A reload takes what is good, refuses what is not, and says why. */
static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_reload(void **state)
{
    char dir[] = "/tmp/ld-host-XXXXXX", config[64], handler[64];
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct ld_gateway_stats stats = LD_STATS;
    int fd, port;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(config, sizeof(config), "%s/config.lua", dir);
    snprintf(handler, sizeof(handler), "%s/it.lua", dir);
    write_file(handler, "return function(conn) conn:write('1\\n') end");
    write_file(config, host_config("'./it.lua'"));
    assert_int_equal(ld_gateway_load_file(g, config), 0);
    port = ld_gateway_port(g, "it");
    assert_int_equal(ld_gateway_start(g), 0);
    fd = host_connect(port);
    assert_true(host_asks(fd, "", "1\n"));
    close(fd);
    write_file(handler, "return function(conn) conn:write('2\\n') end");
    assert_int_equal(ld_gateway_reload(g), 0);
    write_file(handler, "return function(conn");
    assert_int_equal(ld_gateway_reload(g), LD_ERR_CONFIG);
    assert_non_null(strstr(ld_error_text(), "it.lua:1:"));
    fd = host_connect(port);
    assert_true(host_asks(fd, "", "2\n"));
    close(fd);
    ld_gateway_stats(g, &stats);
    assert_int_equal(stats.version, 2);
    assert_int_equal(ld_gateway_free(g), 0);
    unlink(handler);
    unlink(config);
    rmdir(dir);
}

/* What Lua prints goes to the log, all of it, and it cannot end the host. */
static void test_quiet(void **state)
{
    struct host_log log = {.size = 0};
    struct ld_gateway *g = host_gateway(NULL, &log);
    int port = host_load(g, "function(conn) print('a\\0b', 1) "
                            "os.exit(3) end");
    int fd;

    (void)state;
    ld_gateway_start(g);
    fd = host_connect(port);
    assert_true(host_ended(fd));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_non_null(strstr(log.text, "a?b 1"));
    assert_non_null(strstr(log.text, "os.exit: this gateway is part of"));
}

/* With the watchdog, a handler that computes for ever is stopped; the thread of
 * the gateway is the one that is looked at. */
static void test_watchdog(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL),
                      *other = host_gateway(NULL, NULL);
    int port, fd;

    (void)state;
    assert_int_equal(ld_gateway_set_watchdog(g), 0);
    assert_int_equal(ld_gateway_set_watchdog(g), 0);
    assert_int_equal(ld_gateway_set_watchdog(other), LD_ERR_STATE);
    port = host_load(g, "function(conn) while true do end end");
    ld_gateway_start(g);
    fd = host_connect(port);
    assert_true(host_ended(fd));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(ld_gateway_set_watchdog(other), 0);
    assert_int_equal(ld_gateway_free(other), 0);
}

/* A tick that comes when the watchdog has gone does not end the host. */
static void test_late_tick(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);

    (void)state;
    assert_int_equal(ld_gateway_set_watchdog(g), 0);
    host_load(g, "function() end");
    assert_int_equal(ld_gateway_start(g), 0);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(raise(SIGPROF), 0);
}

/* The script and the module of a host: for the config, and for each other. */
static void test_scripts(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    int fd, port;

    (void)state;
    assert_int_equal(
        ld_gateway_add_script(g, "greet", "return { word = 'hi\\n' }"), 0);
    assert_int_equal(
        ld_gateway_add_script(g, "hello",
                              "return function(conn) "
                              "conn:write(require('greet').word) end"),
        0);
    assert_int_equal(ld_gateway_add_script(g, "hello", "return {}"),
                     LD_ERR_ARGUMENT);
    assert_int_equal(ld_gateway_add_script(g, "wrong", "return {"),
                     LD_ERR_ARGUMENT);
    assert_non_null(strstr(ld_error_text(), "wrong:1:"));
    port = host_load(g, "'hello'");
    ld_gateway_start(g);
    fd = host_connect(port);
    assert_true(host_asks(fd, "", "hi\n"));
    close(fd);
    assert_int_equal(ld_gateway_reload(g), 0);
    assert_int_equal(ld_gateway_free(g), 0);
}

/* Values of the host are there for configs and handlers, as they are, and after
 * a reload. */
static void test_values(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    int fd, port;

    (void)state;
    assert_int_equal(ld_gateway_set_value(g, "word", "it's \"'\n"), 0);
    assert_int_equal(ld_gateway_add_script(g, "say",
                                           "local word = host.word "
                                           "return function(conn) "
                                           "conn:write(word) end"),
                     0);
    port = host_load(g, "host.word and 'say'");
    ld_gateway_start(g);
    assert_int_equal(ld_gateway_reload(g), 0);
    fd = host_connect(port);
    assert_true(host_asks(fd, "", "it's \"'\n"));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_started),   cmocka_unit_test(test_run),
        cmocka_unit_test(test_attached),  cmocka_unit_test(test_messages),
        cmocka_unit_test(test_work),      cmocka_unit_test(test_reload),
        cmocka_unit_test(test_quiet),     cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_late_tick), cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
