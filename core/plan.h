/* plan.h -- a config as data: what a supervisor needs to know of it.
 *
 * The text is made by lua/linedancer/plan.lua, a sequence of strings, each as
 * "LENGTH:BYTES,".  It also holds the files that workers load, into which the
 * supervisor does not look.
 */
#ifndef LD_PLAN_H
#define LD_PLAN_H

#include <stdbool.h>

#include "confine.h"
#include "ld.h"
#include "log.h"

struct ld_plan_listener {
    int family; /* of <sys/socket.h> */
    char *host; /* numeric; "" for unix */
    char *path; /* of a unix socket, else "" */
    char *text; /* the address as messages name it */
    char *handler;
    uint16_t port;
    int backlog;
    unsigned mode; /* of a unix socket's file; 0: as the umask has it */
    bool stays;    /* while the gateway drains */
};

struct ld_plan {
    uint32_t workers; /* 0: no supervisor is wanted */
    double drain;     /* seconds */
    double heartbeat; /* seconds */
    enum ld_level level;
    uint32_t listener_count;
    struct ld_plan_listener *listeners;
    bool watch;                        /* for changes of files */
    struct ld_confinement confinement; /* of whoever runs handlers */
    uint32_t file_count;
    char **files; /* their paths */
    char *text;   /* the whole, with the files */
    size_t size;
};

/* Take over TEXT, SIZE bytes from malloc(): the plan, or NULL with errno set.
 * A plan that leaves the number of workers open gets one per processor. */
struct ld_plan *ld_plan_read(char *text, size_t size);

void ld_plan_free(struct ld_plan *p);

#endif
