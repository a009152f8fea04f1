/* test_listener.c -- real sockets: what is accepted, refused and survived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "listener.h"

enum { MANY = 300 };

static const struct ld_log silent = {.level = LD_SILENT};
static struct ev_loop *loop;

struct guests {
    int fds[MANY];
    int count, wanted;
    int most;    /* accepted in one iteration of the loop */
    unsigned at; /* the iteration */
    int in_this; /* accepted in it */
    sa_family_t family;
};

static void on_guest(void *ctx, int fd, const struct sockaddr_storage *peer)
{
    struct guests *g = ctx;

    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    g->in_this = ev_iteration(loop) == g->at ? g->in_this + 1 : 1;
    g->at = ev_iteration(loop);
    g->most = g->in_this > g->most ? g->in_this : g->most;
    g->family = peer->ss_family;
    g->fds[g->count++] = fd;
    if (g->count == g->wanted)
        ev_break(loop, EVBREAK_ALL);
}

static void on_late(struct ev_loop *l, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(l, EVBREAK_ALL);
}

/* Run the loop until G has as many as it wants. */
static void serve(struct guests *g)
{
    ev_timer late;

    ev_timer_init(&late, on_late, 10, 0);
    ev_timer_start(loop, &late);
    if (g->count < g->wanted)
        ev_run(loop, 0);
    ev_timer_stop(loop, &late);
    assert_int_equal(g->count, g->wanted);
}

static void dismiss(struct guests *g)
{
    while (g->count > 0)
        close(g->fds[--g->count]);
}

static int dial(int family, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(port),
                              .sin6_addr = in6addr_loopback};
    int fd = socket(family, SOCK_STREAM, 0);

    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(family == AF_INET
                         ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
                         : connect(fd, (struct sockaddr *)&v6, sizeof(v6)),
                     0);
    return fd;
}

static int dial_unix(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

static struct ld_listener *open_v4(uint16_t port)
{
    struct ld_address at = {AF_INET, "127.0.0.1", NULL, port, 0};

    return ld_listener_open(loop, &at, 2 * MANY, &silent);
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    return loop ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ev_loop_destroy(loop);
    return 0;
}

static void guests_of_both_families_are_accepted(void **state)
{
    struct ld_address both = {AF_INET6, "::", NULL, 0, 0};
    struct ld_listener *l = ld_listener_open(loop, &both, 16, &silent);
    struct guests g = {.wanted = 2};
    int fds[2];

    (void)state;
    assert_non_null(l);
    assert_int_not_equal(ld_listener_port(l), 0);
    ld_listener_start(l, on_guest, &g);
    fds[0] = dial(AF_INET, ld_listener_port(l));
    fds[1] = dial(AF_INET6, ld_listener_port(l));
    serve(&g);
    assert_int_equal(g.family, AF_INET6);
    dismiss(&g);
    ld_listener_close(l);
    l = open_v4(0);
    ld_listener_start(l, on_guest, &g);
    g.wanted = 1;
    close(fds[0]);
    fds[0] = dial(AF_INET, ld_listener_port(l));
    serve(&g);
    assert_int_equal(g.family, AF_INET);
    dismiss(&g);
    ld_listener_close(l);
    close(fds[0]);
    close(fds[1]);
}

static void a_busy_port_is_an_error(void **state)
{
    struct ld_listener *l = open_v4(0);

    (void)state;
    assert_null(open_v4(ld_listener_port(l)));
    assert_int_equal(errno, EADDRINUSE);
    ld_listener_close(l);
    ld_listener_close(NULL);
}

static void an_address_that_is_none_is_refused(void **state)
{
    struct ld_address at = {AF_INET, "localhost", NULL, 0, 0};
    char path[200];

    (void)state;
    assert_null(ld_listener_open(loop, &at, 16, &silent));
    assert_int_equal(errno, EINVAL);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    at = (struct ld_address){AF_UNIX, NULL, path, 0, 0};
    assert_null(ld_listener_open(loop, &at, 16, &silent));
    assert_int_equal(errno, ENAMETOOLONG);
}

/* A fresh path for a socket; remove its directory in the end. */
static void unix_path(char *path, size_t len, char *dir)
{
    strcpy(dir, "/tmp/ld-listener-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, len, "%s/sock", dir);
}

static void a_dead_socket_file_is_replaced_and_a_living_one_is_not(void **s)
{
    char dir[64], path[96];
    struct ld_address at = {AF_UNIX, NULL, path, 0, 0};
    struct guests g = {.wanted = 2};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct ld_listener *l;
    int fd;

    (void)s;
    unix_path(path, sizeof(path), dir);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    close(fd); /* and leave the file */
    l = ld_listener_open(loop, &at, 16, &silent);
    assert_non_null(l);
    assert_int_equal(ld_listener_port(l), 0);
    assert_null(ld_listener_open(loop, &at, 16, &silent));
    assert_int_equal(errno, EADDRINUSE);
    ld_listener_start(l, on_guest, &g); /* the question came as a guest */
    fd = dial_unix(path);
    assert_true(fd >= 0);
    serve(&g);
    dismiss(&g);
    close(fd);
    ld_listener_close(l);
    assert_int_equal(access(path, F_OK), -1); /* it takes its file along */
    rmdir(dir);
}

static void a_living_socket_whose_queue_is_full_is_left_alone(void **state)
{
    char dir[64], path[96];
    struct ld_address at = {AF_UNIX, NULL, path, 0, 0};
    struct ld_listener *l;
    int fds[8], n = 0;

    (void)state;
    unix_path(path, sizeof(path), dir);
    l = ld_listener_open(loop, &at, 0, &silent);
    assert_non_null(l);
    fds[n++] = dial_unix(path);
    assert_null(ld_listener_open(loop, &at, 0, &silent));
    assert_int_equal(errno, EADDRINUSE);
    assert_null(ld_listener_open(loop, &at, 0, &silent));
    assert_int_equal(errno, EADDRINUSE);
    while (n > 0)
        close(fds[--n]);
    ld_listener_close(l);
    rmdir(dir);
}

static void a_file_that_is_no_socket_is_never_removed(void **state)
{
    char dir[64], path[96];
    struct ld_address at = {AF_UNIX, NULL, path, 0, 0};

    (void)state;
    unix_path(path, sizeof(path), dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_null(ld_listener_open(loop, &at, 16, &silent));
    assert_int_equal(errno, EEXIST);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    rmdir(dir);
}

static void accepting_does_not_starve_the_rest_of_the_loop(void **state)
{
    struct ld_listener *l = open_v4(0);
    struct guests g = {.wanted = MANY};
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        fds[i] = dial(AF_INET, ld_listener_port(l));
    ld_listener_start(l, on_guest, &g);
    serve(&g);
    assert_in_range(g.most, 2, 16);
    dismiss(&g);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    ld_listener_close(l);
}

static void a_guest_that_left_while_it_waited_harms_nobody(void **state)
{
    struct linger now = {.l_onoff = 1};
    struct ld_listener *l = open_v4(0);
    struct guests g = {.wanted = 2};
    int gone = dial(AF_INET, ld_listener_port(l)), stays;

    (void)state;
    setsockopt(gone, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(gone);
    stays = dial(AF_INET, ld_listener_port(l));
    ld_listener_start(l, on_guest, &g);
    serve(&g);
    dismiss(&g);
    close(stays);
    ld_listener_close(l);
}

static void a_paused_listener_lets_guests_wait(void **state)
{
    struct ld_listener *l = open_v4(0);
    struct guests g = {.wanted = 1};
    int fd = dial(AF_INET, ld_listener_port(l));

    (void)state;
    ld_listener_start(l, on_guest, &g);
    ld_listener_pause(l);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(g.count, 0);
    ld_listener_start(l, on_guest, &g);
    serve(&g);
    dismiss(&g);
    close(fd);
    ld_listener_close(l);
}

static void a_shared_port_is_joined_but_not_taken(void **state)
{
    struct ld_address at = {AF_INET, "127.0.0.1", NULL, 0, 0};
    int first = ld_listener_bind(&at, 2 * MANY, LD_PORT_SHARED), second;
    struct ld_listener *l[2];
    struct guests g = {.wanted = 40};
    int fds[40];

    (void)state;
    assert_true(first >= 0);
    at.port = ld_listener_bound(first);
    second = ld_listener_bind(&at, 2 * MANY, LD_PORT_JOINED);
    assert_true(second >= 0);
    assert_int_equal(ld_listener_bound(second), at.port);
    assert_int_equal(ld_listener_bind(&at, 16, LD_PORT_SHARED), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(ld_listener_bind(&at, 16, LD_PORT_OWN), -1);
    assert_int_equal(errno, EADDRINUSE);
    for (int i = 0; i < 40; i++)
        fds[i] = dial(AF_INET, at.port);
    l[0] = ld_listener_adopt(loop, first, &silent);
    l[1] = ld_listener_adopt(loop, second, &silent);
    ld_listener_start(l[0], on_guest, &g);
    ev_run(loop, EVRUN_NOWAIT);
    ld_listener_start(l[1], on_guest, &g); /* takes those of its own queue */
    serve(&g);
    dismiss(&g);
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    ld_listener_close(l[0]);
    ld_listener_close(l[1]);
}

/* Nothing may be opened from now on; returns what to restore. */
static struct rlimit no_descriptors(void)
{
    struct rlimit old, none;
    int next = dup(0);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = (rlim_t)next;
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return old;
}

static void without_descriptors_it_waits_without_spinning(void **state)
{
    struct ld_listener *l = open_v4(0);
    struct guests g = {.wanted = 3};
    struct rlimit old;
    ev_timer late;
    unsigned before;
    int fds[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        fds[i] = dial(AF_INET, ld_listener_port(l));
    ev_run(loop, EVRUN_NOWAIT); /* the loop opens what it needs */
    old = no_descriptors();
    ld_listener_start(l, on_guest, &g);
    before = ev_iteration(loop);
    ev_timer_init(&late, on_late, 0.35, 0);
    ev_timer_start(loop, &late);
    ev_run(loop, 0);
    assert_int_equal(g.count, 0);
    assert_in_range(ev_iteration(loop) - before, 2, 20);
    setrlimit(RLIMIT_NOFILE, &old);
    serve(&g);
    dismiss(&g);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    ld_listener_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guests_of_both_families_are_accepted),
        cmocka_unit_test(a_busy_port_is_an_error),
        cmocka_unit_test(an_address_that_is_none_is_refused),
        cmocka_unit_test(a_shared_port_is_joined_but_not_taken),
        cmocka_unit_test(
            a_dead_socket_file_is_replaced_and_a_living_one_is_not),
        cmocka_unit_test(a_living_socket_whose_queue_is_full_is_left_alone),
        cmocka_unit_test(a_file_that_is_no_socket_is_never_removed),
        cmocka_unit_test(accepting_does_not_starve_the_rest_of_the_loop),
        cmocka_unit_test(a_guest_that_left_while_it_waited_harms_nobody),
        cmocka_unit_test(a_paused_listener_lets_guests_wait),
        cmocka_unit_test(without_descriptors_it_waits_without_spinning),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
