/* report.h -- what pggate says: log lines as JSON, and a summary by user.
 *
 * Everything goes to standard output, one JSON object a line.  Not to be
 * called from two threads at once, but for what its caller locks.
 */
#ifndef PGGATE_REPORT_H
#define PGGATE_REPORT_H

#include <stddef.h>

enum { REPORT_BUCKETS = 128, REPORT_USERS = 256 };

/* Durations are counted in buckets that grow by a fifth each, from 10 us. */
struct report_user {
    char name[64];
    unsigned long statements, errors;
    double rows;
    unsigned long bucket[REPORT_BUCKETS];
};

struct report {
    struct report_user user[REPORT_USERS]; /* the last one: all others */
    size_t count;
};

/* Print LINE, "TIME LEVEL WORDS... KEY=VALUE...", of SIZE bytes. */
void report_line(const char *line, size_t size);

/* A statement of NAME has taken MS milliseconds and has had ROWS rows. */
void report_count(struct report *r, const char *name, double ms, double rows,
                  int failed);

/* Print a line for each user: how many statements, and which duration half of
 * them, and 99 of 100, have not exceeded (within a fifth). */
void report_summary(const struct report *r);

#endif
