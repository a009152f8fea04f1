/* readings.h -- the last value of each thing that is measured.  Not locked: it
 * belongs to the gateway's thread. */
#ifndef READINGS_H
#define READINGS_H

#include <stddef.h>

enum { NAME_MAX_BYTES = 32 };

struct reading {
    char name[NAME_MAX_BYTES + 1];
    double value;
    struct reading *next;
};

struct readings {
    struct reading *first;
    size_t count;
};

/* Keep NEW, which is owned from now on, in the place of one of its name. */
void readings_put(struct readings *r, struct reading *new);

/* NULL: there is none called so. */
const struct reading *readings_find(const struct readings *r, const char *name);

void readings_free(struct readings *r);

#endif
