/* fuzz_plan.c -- reads the input as a plan, the config that a child hands to
 * the supervisor, and looks at all that it says.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "plan.h"
#include "seat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
    if (!truth)
        abort();
}

static void look_at(const struct ld_plan_listener *l)
{
    require(l->family == AF_INET || l->family == AF_INET6 ||
            l->family == AF_UNIX);
    require(l->host && l->path && l->text && l->handler);
    require(l->backlog >= 0 && l->mode <= 0777);
    require(strlen(l->text) < SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size > 0 ? size : 1);
    struct ld_plan *plan;

    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    plan = ld_plan_read(text, size);
    if (!plan)
        return 0;
    require(plan->workers <= LD_WORKERS_MAX);
    require(plan->drain >= 0 && plan->heartbeat >= 0);
    for (uint32_t i = 0; i < plan->listener_count; i++)
        look_at(&plan->listeners[i]);
    for (uint32_t i = 0; i < plan->file_count; i++)
        require(plan->files[i] != NULL);
    ld_plan_free(plan);
    return 0;
}
