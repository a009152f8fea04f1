/* host.c -- a program of version 0.1.0: all that its header has. */
#include <stdio.h>
#include <string.h>

#include "linedancer.h"

static int lines;

static void log_line(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    lines += len > 0 && line[len - 1] == '\n';
}

int main(void)
{
    struct {
        struct ld_gateway_options options;
        char behind[64]; /* what a later library must not look at */
    } o;
    struct ld_gateway *g;
    char *version[] = {"version"}, *nonsense[] = {"nonsense"};
    char *run[] = {"run", "--listen", "127.0.0.1:7", "--handler", "nowhere"};

    memset(&o, 0xff, sizeof(o));
    o.options = (struct ld_gateway_options){.log = log_line};
    g = ld_gateway_new(&o.options);
    if (!g || !ld_gateway_loop(g))
        return 1;
    if (ld_gateway_command(g, 1, version) != 0 ||
        ld_gateway_command(g, 1, nonsense) != 2 ||
        ld_gateway_command(g, 5, run) != 1)
        return 2;
    ld_gateway_reload(g); /* it does not serve: that is logged, or not */
    ld_gateway_free(g);
    ld_gateway_free(NULL);
    g = ld_gateway_new(NULL);
    if (!g)
        return 3;
    ld_gateway_free(g);
    return puts("done") < 0;
}
