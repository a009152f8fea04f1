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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
