/* native.c -- a host whose handler is in C: frames go back, as in
 * handlers/framed_slices.lua.
 */
#include <stdio.h>

#include "linedancer.h"

static int on_frame(struct ld_session *s, const struct ld_frame *f)
{
    struct ld_item body;
    size_t size;
    const void *p = ld_frame_bytes(f, 0, &size);

    body = LD_BYTES(p, size);
    return ld_session_pack(s, ">s4", &body, 1) ? LD_STATE_FAIL : 0;
}

static const char config[] = "return { limits = { connections = 20000 }, "
                             "listen = { { '127.0.0.1:0', name = 'it', "
                             "handler = 'frames' } } }";

int main(void)
{
    static const struct ld_state states[] = {
        {"frame", ">&s4", 0, 60, on_frame}};
    const struct ld_handler h = {LD_HANDLER, .states = states,
                                 .state_count = 1};
    struct ld_gateway *g = ld_gateway_new(NULL);

    if (!g || ld_gateway_add_handler(g, "frames", &h) ||
        ld_gateway_load_string(g, config, "bench")) {
        fprintf(stderr, "native: %s\n", ld_error_text());
        return 1;
    }
    printf("port %d\n", ld_gateway_port(g, "it"));
    fflush(stdout);
    return ld_gateway_run(g) != 0;
}
