/* test_bind_misuse.c -- a host that does what it should not is told so, by a
 * value, and neither it nor the gateway comes to harm.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_host.h"

static void nothing(void *ctx, struct ld_gateway *g)
{
    (void)ctx;
    (void)g;
}

static void hear_nothing(void *ctx, const char *topic, const void *p, size_t n)
{
    (void)ctx;
    (void)topic;
    (void)p;
    (void)n;
}

static int open_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

#define REFUSED(code, call)                   \
    do {                                      \
        assert_int_equal(call, code);         \
        assert_true(strlen(ld_error_text())); \
    } while (0)

/* All that takes a gateway says so when it is given none. */
static void test_no_gateway(void **state)
{
    struct ld_gateway_stats stats = LD_STATS;
    struct ld_handler h = {LD_HANDLER, .state_count = 1};
    uint32_t id;

    (void)state;
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_load_file(NULL, "x"));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_load_string(NULL, "x", NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_run(NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_attach(NULL, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_start(NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_join(NULL, 0));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_stop(NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_reload(NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_post(NULL, nothing, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_call(NULL, nothing, NULL, 0));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_publish(NULL, "a", "b", 1));
    REFUSED(LD_ERR_ARGUMENT,
            ld_gateway_subscribe(NULL, "a", hear_nothing, NULL, &id));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_unsubscribe(NULL, 1));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_stats(NULL, &stats));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_set_log(NULL, NULL, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_set_stopped(NULL, NULL, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_set_watchdog(NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_preload(NULL, "a", open_nothing));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_add_script(NULL, "a", ""));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_set_value(NULL, "a", ""));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_add_handler(NULL, "a", &h));
    REFUSED(-LD_ERR_ARGUMENT, ld_gateway_port(NULL, "a"));
    assert_null(ld_gateway_loop(NULL));
    assert_null(ld_gateway_lua(NULL));
    assert_int_equal(ld_gateway_free(NULL), 0);
    assert_int_equal(ld_gateway_command(NULL, 0, NULL), 1);
}

/* And what takes more than that. */
static void test_nulls(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct ld_gateway_stats unset = {.size = 0};
    uint32_t id;

    (void)state;
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_load_file(g, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_load_string(g, NULL, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_attach(g, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_post(g, NULL, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_call(g, NULL, NULL, 0));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_publish(g, NULL, "b", 1));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_publish(g, "a", NULL, 1));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_publish(g, "a/#", "b", 1));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_publish(g, "a", "b", 1UL << 40));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_subscribe(g, NULL, NULL, NULL, &id));
    REFUSED(LD_ERR_ARGUMENT,
            ld_gateway_subscribe(g, "a#", hear_nothing, NULL, &id));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_unsubscribe(g, 12));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_stats(g, NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_stats(g, &unset));
    unset.size = SIZE_MAX;
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_stats(g, &unset));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_preload(g, NULL, open_nothing));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_preload(g, "a", NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_preload(g, "ffi", open_nothing));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_add_script(g, "", "return 1"));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_add_script(g, "a", NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_set_value(g, "a", NULL));
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_set_value(g, NULL, "a"));
    REFUSED(-LD_ERR_ARGUMENT, ld_gateway_port(g, NULL));
    assert_int_equal(ld_gateway_publish(g, "a", NULL, 0), 0);
    assert_int_equal(ld_gateway_command(g, 1, NULL), 1);
    assert_int_equal(ld_gateway_free(g), 0);
}

/* Errors that Lua raises as tables have their text. */
static void test_table_errors(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    char topic[2000];

    (void)state;
    memset(topic, 'a', sizeof(topic));
    topic[sizeof(topic) - 1] = 0;
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_publish(g, topic, "b", 1));
    assert_non_null(strstr(ld_error_text(), "at most 1024 bytes"));
    assert_int_equal(ld_gateway_free(g), 0);
}

/* Frames and sessions that are none have nothing. */
static void test_no_session(void **state)
{
    char text[8] = "x";
    size_t size = 1;

    (void)state;
    assert_int_equal(ld_frame_count(NULL), 0);
    assert_true(ld_frame_number(NULL, 0) == 0);
    assert_int_equal(ld_frame_integer(NULL, 0), 0);
    assert_null(ld_frame_bytes(NULL, 0, &size));
    assert_null(ld_frame_raw(NULL, &size));
    assert_int_equal(size, 0);
    REFUSED(LD_ERR_ARGUMENT, ld_session_write(NULL, "a", 1));
    REFUSED(LD_ERR_ARGUMENT, ld_session_pack(NULL, "B", NULL, 0));
    REFUSED(LD_ERR_ARGUMENT, ld_session_set_data(NULL, text));
    REFUSED(LD_ERR_ARGUMENT, ld_session_subscribe(NULL, "a"));
    assert_int_equal(ld_session_fail(NULL, NULL), LD_STATE_FAIL);
    assert_null(ld_session_data(NULL));
    assert_null(ld_session_ctx(NULL));
    assert_null(ld_session_gateway(NULL));
    assert_int_equal(ld_session_peer(NULL, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(ld_session_id(NULL, NULL, 0), 0);
}

/* What comes too early, or twice. */
static void test_order(void **state)
{
    struct ev_loop *loop = ev_loop_new(0), *second = ev_loop_new(0);
    struct ld_gateway *g = host_gateway(loop, NULL),
                      *own = host_gateway(NULL, NULL);

    (void)state;
    REFUSED(LD_ERR_STATE, ld_gateway_run(g));
    REFUSED(LD_ERR_STATE, ld_gateway_attach(g, loop));
    REFUSED(LD_ERR_STATE, ld_gateway_start(g));
    REFUSED(LD_ERR_STATE, ld_gateway_start(own));
    REFUSED(LD_ERR_STATE, ld_gateway_stop(g));
    REFUSED(LD_ERR_STATE, ld_gateway_reload(g));
    REFUSED(LD_ERR_STATE, ld_gateway_join(g, 0));
    REFUSED(-LD_ERR_STATE, ld_gateway_port(g, "it"));
    host_load(g, "'echo'");
    host_load(own, "'echo'");
    REFUSED(LD_ERR_STATE, ld_gateway_load_string(g, "return {}", NULL));
    REFUSED(LD_ERR_STATE, ld_gateway_load_file(g, "/dev/null"));
    REFUSED(LD_ERR_STATE, ld_gateway_preload(g, "a", open_nothing));
    REFUSED(LD_ERR_STATE, ld_gateway_set_watchdog(g));
    REFUSED(LD_ERR_STATE, ld_gateway_reload(g));
    REFUSED(LD_ERR_STATE, ld_gateway_attach(g, second)); /* two loops */
    REFUSED(LD_ERR_STATE, ld_gateway_attach(own, loop));
    REFUSED(LD_ERR_STATE, ld_gateway_start(g));
    assert_int_equal(ld_gateway_attach(g, loop), 0);
    REFUSED(LD_ERR_STATE, ld_gateway_attach(g, loop));
    REFUSED(LD_ERR_STATE, ld_gateway_run(g));
    assert_int_equal(ld_gateway_start(own), 0);
    REFUSED(LD_ERR_THREAD, ld_gateway_run(own));
    REFUSED(LD_ERR_THREAD, ld_gateway_start(own));
    REFUSED(-LD_ERR_THREAD, ld_gateway_port(own, "it"));
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(ld_gateway_free(own), 0);
    ev_loop_destroy(loop);
    ev_loop_destroy(second);
}

/* Configs that are wrong say where, and may be followed by a good one. */
static void test_configs(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    int before = host_descriptors();

    (void)state;
    REFUSED(LD_ERR_CONFIG, ld_gateway_load_file(g, "/nowhere/at.all"));
    REFUSED(LD_ERR_CONFIG, ld_gateway_load_string(g, "return {", "c"));
    assert_non_null(strstr(ld_error_text(), "c:1:"));
    REFUSED(LD_ERR_CONFIG, ld_gateway_load_string(g, "error('x')", NULL));
    REFUSED(LD_ERR_CONFIG, ld_gateway_load_string(g, "error({})", NULL));
    REFUSED(LD_ERR_CONFIG,
            ld_gateway_load_string(
                g,
                "return { workers = 2, listen = { { ':0', handler = 'echo' "
                "} } }",
                NULL));
    assert_non_null(strstr(ld_error_text(), "workers = 2"));
    REFUSED(LD_ERR_CONFIG,
            ld_gateway_load_string(
                g,
                "return { user = 'nobody', listen = { { ':0', handler = "
                "'echo' } } }",
                NULL));
    /* The second listener cannot be bound: the first is closed again. */
    REFUSED(LD_ERR_CONFIG,
            ld_gateway_load_string(
                g,
                "return { listen = { { '127.0.0.1:0', handler = 'echo' }, "
                "{ '192.0.2.1:7', handler = 'echo' } } }",
                NULL));
    assert_int_equal(host_descriptors(), before);
    host_load(g, "'echo'");
    assert_int_equal(ld_gateway_free(g), 0);
}

/* After it has stopped there is nothing but to free it. */
static void test_stopped(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct ld_gateway_stats stats = LD_STATS;
    uint32_t id;

    (void)state;
    host_load(g, "'echo'");
    assert_int_equal(ld_gateway_start(g), 0);
    assert_int_equal(ld_gateway_stop(g), 0);
    assert_int_equal(ld_gateway_join(g, -1), 0);
    REFUSED(LD_ERR_STOPPED, ld_gateway_stop(g));
    REFUSED(LD_ERR_STOPPED, ld_gateway_run(g));
    REFUSED(LD_ERR_STOPPED, ld_gateway_start(g));
    REFUSED(LD_ERR_STOPPED, ld_gateway_reload(g));
    REFUSED(LD_ERR_STOPPED, ld_gateway_post(g, nothing, NULL));
    REFUSED(LD_ERR_STOPPED, ld_gateway_call(g, nothing, NULL, 1));
    REFUSED(LD_ERR_STOPPED, ld_gateway_publish(g, "a", "b", 1));
    REFUSED(LD_ERR_STOPPED,
            ld_gateway_subscribe(g, "a", hear_nothing, NULL, &id));
    assert_int_equal(ld_gateway_stats(g, &stats), 0);
    assert_int_equal(stats.version, 1);
    REFUSED(LD_ERR_STOPPED, ld_gateway_load_string(g, "return {}", NULL));
    assert_null(ld_gateway_lua(g));
    assert_int_equal(ld_gateway_free(g), 0);
}

/* Loaded, and stopped before it served. */
static void test_stopped_early(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);

    (void)state;
    host_load(g, "'echo'");
    assert_int_equal(ld_gateway_stop(g), 0);
    REFUSED(LD_ERR_STOPPED, ld_gateway_run(g));
    assert_int_equal(ld_gateway_free(g), 0);
}

/* Callbacks that Lua waits for may neither reload nor free; what they post can
 * reload, but not free. */
struct caller {
    int reload, free, posted_reload, posted_free, from_log;
    struct ld_gateway *g;
};

static void reload_later(void *ctx, struct ld_gateway *g)
{
    struct caller *c = ctx;

    c->posted_reload = ld_gateway_reload(g);
    c->posted_free = ld_gateway_free(g);
}

static void reload_now(void *ctx, const char *topic, const void *p, size_t n)
{
    struct caller *c = ctx;

    (void)topic;
    (void)p;
    (void)n;
    c->reload = ld_gateway_reload(c->g);
    c->free = ld_gateway_free(c->g);
    ld_gateway_post(c->g, reload_later, c);
    ld_gateway_stop(c->g);
}

static void reload_from_log(void *ctx, const char *line, size_t len)
{
    struct caller *c = ctx;

    (void)line;
    (void)len;
    if (c->g)
        c->from_log = ld_gateway_reload(c->g);
}

static void test_callbacks(void **state)
{
    struct caller c = {.from_log = -1};
    struct ld_gateway *g = host_gateway(NULL, NULL);
    uint32_t id;

    (void)state;
    c.g = g;
    ld_gateway_set_log(g, reload_from_log, &c);
    host_load(g, "'echo'");
    assert_int_equal(ld_gateway_subscribe(g, "a", reload_now, &c, &id), 0);
    assert_int_equal(ld_gateway_publish(g, "a", "b", 1), 0);
    assert_int_equal(ld_gateway_run(g), 0);
    assert_int_equal(c.reload, LD_ERR_BUSY);
    assert_int_equal(c.free, LD_ERR_BUSY);
    assert_int_equal(c.from_log, LD_ERR_BUSY);
    assert_int_equal(c.posted_reload, LD_ERR_STOPPED);
    assert_int_equal(c.posted_free, LD_ERR_BUSY);
    assert_int_equal(ld_gateway_free(g), 0);
}

/* A module in C of the host's, whose functions call the host from Lua. */
static struct ld_gateway *of_module;
static int module_reload, module_free, module_publish;

static int call_host(lua_State *L)
{
    module_reload = ld_gateway_reload(of_module);
    module_free = ld_gateway_free(of_module);
    module_publish = ld_gateway_publish(of_module, "a", "b", 1);
    lua_pushliteral(L, "done\n");
    return 1;
}

static int open_module(lua_State *L)
{
    lua_pushcfunction(L, call_host);
    return 1;
}

static int open_wrongly(lua_State *L)
{
    return luaL_error(L, "no such device");
}

static void test_modules(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    int fd, port;

    (void)state;
    of_module = g;
    assert_int_equal(ld_gateway_preload(g, "host", open_module), 0);
    REFUSED(LD_ERR_ARGUMENT, ld_gateway_preload(g, "host", open_module));
    assert_int_equal(ld_gateway_preload(g, "wrong", open_wrongly), 0);
    REFUSED(LD_ERR_CONFIG, ld_gateway_load_string(g, "require 'wrong'", NULL));
    assert_non_null(strstr(ld_error_text(), "no such device"));
    port = host_load(g, "function(conn) conn:write(require 'host'()) end");
    ld_gateway_start(g);
    fd = host_connect(port);
    assert_true(host_asks(fd, "", "done\n"));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(module_reload, LD_ERR_BUSY);
    assert_int_equal(module_free, LD_ERR_BUSY);
    assert_int_equal(module_publish, 0);
}

/* A child of the host: everything is refused there, and the parent serves on;
 * when it has stopped, its port is free although the child lives. */
static int frees_once(struct ld_gateway *g)
{
    int code = ld_gateway_free(g), fd = dup(0), again = ld_gateway_free(g);

    return code == LD_ERR_FORKED && again == LD_ERR_FORKED &&
           close(fd) == 0; /* which took the place of one of its own */
}

static int child_of(struct ld_gateway *g)
{
    struct ld_gateway_stats stats = LD_STATS;

    return ld_gateway_stop(g) == LD_ERR_FORKED &&
           ld_gateway_reload(g) == LD_ERR_FORKED &&
           ld_gateway_publish(g, "a", "b", 1) == LD_ERR_FORKED &&
           ld_gateway_post(g, nothing, NULL) == LD_ERR_FORKED &&
           ld_gateway_call(g, nothing, NULL, 1) == LD_ERR_FORKED &&
           ld_gateway_stats(g, &stats) == LD_ERR_FORKED &&
           ld_gateway_join(g, 0) == LD_ERR_FORKED && frees_once(g);
}

static void test_fork(void **state)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    int port = host_load(g, "'echo'"), fd, status = -1, go[2];
    char config[256];
    pid_t child;

    (void)state;
    assert_int_equal(pipe(go), 0);
    assert_int_equal(ld_gateway_start(g), 0);
    fd = host_connect(port);
    assert_true(host_asks(fd, "a", "a"));
    child = fork();
    if (child == 0) {
        char byte;

        close(go[1]);
        close(fd);
        status = child_of(g) ? 0 : 1;
        _exit(read(go[0], &byte, 1) == 0 ? status : 2);
    }
    close(go[0]);
    assert_true(host_asks(fd, "b", "b"));
    assert_int_equal(ld_gateway_free(g), 0);
    assert_true(host_ended(fd)); /* the child does not hold it */
    close(fd);
    g = host_gateway(NULL, NULL);
    snprintf(config, sizeof(config),
             "return { listen = { { '127.0.0.1:%d', handler = 'echo' } } }",
             port);
    assert_int_equal(ld_gateway_load_string(g, config, NULL), 0);
    assert_int_equal(ld_gateway_free(g), 0);
    close(go[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A host that closes descriptors which are not its own: all of them, while the
 * gateway serves. */
static void close_from(void *ctx, struct ld_gateway *g)
{
    (void)g;
    for (int fd = *(int *)ctx; fd < 256; fd++)
        close(fd);
}

static void test_closed_descriptors(void **state)
{
    struct ld_gateway *g;
    int first = dup(0), keep, fd, port, code;

    (void)state;
    /* In a process of its own: what is closed is closed for other tests. */
    keep = fork();
    if (keep == 0) {
        g = host_gateway(NULL, NULL);
        port = host_load(g, "'echo'");
        fd = fcntl(host_connect(port), F_DUPFD, 300);
        ld_gateway_post(g, close_from, &first);
        code = ld_gateway_run(g);
        _exit(code == LD_ERR_SYSTEM && ld_gateway_free(g) == 0 && fd > 0 ? 0
                                                                         : 1);
    }
    assert_int_equal(waitpid(keep, &code, 0), keep);
    assert_int_equal(code, 0);
    close(first);
}

/* A host without descriptors gets no gateway, at whatever step they run out,
 * and goes on. */
static void test_no_descriptors(void **state)
{
    int free_fd = dup(0), code;
    struct rlimit few = {0, 0};
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        for (int i = 0; i < 8; i++) {
            struct ld_gateway *g;

            few.rlim_cur = few.rlim_max = (rlim_t)(free_fd + 8 - i);
            if (setrlimit(RLIMIT_NOFILE, &few))
                _exit(1);
            g = ld_gateway_new(NULL);
            if (!g && errno != EMFILE)
                _exit(2);
            ld_gateway_free(g);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    close(free_fd);
}

/* Only the listener's: it is logged, and the loop does not spin. */
static void test_closed_listener(void **state)
{
    struct host_log log = {.size = 0};
    struct ld_gateway *g = host_gateway(NULL, &log);
    int before = dup(0), fd, port;

    (void)state;
    close(before);
    port = host_load(g, "'echo'");
    assert_int_equal(ld_gateway_start(g), 0);
    fd = host_connect(port);
    assert_true(host_asks(fd, "a", "a"));
    close(before); /* the first that was free is what it listens on */
    assert_true(host_asks(fd, "b", "b"));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_gateway),
        cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_table_errors),
        cmocka_unit_test(test_no_session),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_stopped_early),
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_closed_descriptors),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_closed_listener),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
