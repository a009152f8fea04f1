/* log.h -- one line per event: time, level, event, key=value fields.
 *
 * Borrows the sink.  A line is written whole, in one call of at most 4096
 * bytes, so that the lines of all processes stay whole in one pipe or file.
 * It never holds a newline: those inside values become " | ".
 */
#ifndef LD_LOG_H
#define LD_LOG_H

#include "ld.h"

enum ld_level { LD_DEBUG, LD_INFO, LD_WARN, LD_FAULT, LD_SILENT };

/* LINE ends in a newline and has LEN bytes. */
typedef void (*ld_log_fn)(void *ctx, enum ld_level level, const char *line,
                          size_t len);

struct ld_log {
    enum ld_level level; /* lines below it are dropped */
    ld_log_fn write;     /* NULL: standard error */
    void *ctx;
    unsigned worker; /* the first field of each line; 0: none */
};

/* Log EVENT (a word or short phrase) and printf-style FIELDS such as
 * "peer=%s".  Lines over 4 KB are cut. */
__attribute__((format(printf, 4, 5))) void ld_log(const struct ld_log *log,
                                                  enum ld_level level,
                                                  const char *event,
                                                  const char *fields, ...);

/* The level called NAME, or -1. */
int ld_log_level(const char *name);

#endif
