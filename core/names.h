/* names.h -- who holds which name: a table from names to ids.
 *
 * Owns copies of both.  Names and ids are bytes; an id starts with its
 * worker's prefix, "SLOT.INCARNATION.".  Knows nothing of processes.
 */
#ifndef LD_NAMES_H
#define LD_NAMES_H

#include "ld.h"

enum {
    LD_NAME_MAX = 255,     /* bytes of a name, and of an id */
    LD_NAMES_MAX = 1 << 20 /* names at a time */
};

struct ld_names; /* opaque; see names.c */

struct ld_text {
    const char *p;
    size_t len;
};

/* NULL with errno set. */
struct ld_names *ld_names_new(void);
void ld_names_free(struct ld_names *n);

/* Give NAME to ID: LD_OK, or LD_BUSY when another id holds it and TAKE is
 * false, LD_LIMIT when there are too many names or one is empty or too long,
 * LD_NOMEM.  PREVIOUS, if not NULL, becomes the id that held NAME before or
 * holds it still, at most LD_NAME_MAX bytes and a zero, "" for none. */
enum ld_status ld_names_register(struct ld_names *n, struct ld_text name,
                                 struct ld_text id, int take, char *previous);

/* Free NAME if ID holds it; returns whether it did. */
int ld_names_release(struct ld_names *n, struct ld_text name,
                     struct ld_text id);

/* The id that holds NAME, valid until the table changes; NULL for none. */
const char *ld_names_find(const struct ld_names *n, struct ld_text name);

uint32_t ld_names_count(const struct ld_names *n);

/* Free every name whose id starts with PREFIX, calling EACH (may be NULL) for
 * it first.  EACH must not change the table. */
typedef void (*ld_names_fn)(void *ctx, struct ld_text name, struct ld_text id);
void ld_names_drop(struct ld_names *n, const char *prefix, ld_names_fn each,
                   void *ctx);

/* Call EACH for every name.  EACH must not change the table. */
void ld_names_each(const struct ld_names *n, ld_names_fn each, void *ctx);

#endif
