/* load_clock.h -- clocks of the server and of the load, and how to give up.
 *
 * A process CPU-time clock counts nanoseconds of all threads and can be read
 * for any process; it lags by at most a scheduler tick.
 */
#ifndef BENCH_LOAD_CLOCK_H
#define BENCH_LOAD_CLOCK_H

#include "option_values.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the counters said at one end of the measured time. */
struct mark {
    uint64_t time;
    uint64_t messages;
    double server_cpu;
    double own_cpu;
};

static _Noreturn void die(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static _Noreturn void die(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static inline uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    if (clock_gettime(id, &ts) < 0)
        die("clock %d: %s", (int)id, strerror(errno));
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static inline uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Seconds of CPU that the server's processes have used, all threads. */
static inline double server_cpu(const struct option_pids *pids)
{
    clockid_t id;
    double sum = 0;
    unsigned i;
    int err;

    for (i = 0; i < pids->count; i++) {
        err = clock_getcpuclockid(pids->pid[i], &id);
        if (err)
            die("server process %d: %s", (int)pids->pid[i], strerror(err));
        sum += (double)clock_ns(id) / 1e9;
    }
    return sum;
}

static inline struct mark take_mark(uint64_t messages,
                                    const struct option_pids *pids)
{
    return (struct mark){.time = now_ns(),
                         .messages = messages,
                         .server_cpu = server_cpu(pids),
                         .own_cpu =
                             (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9};
}

#endif
