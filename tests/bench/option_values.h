/* option_values.h -- values of a load generator's command line.
 *
 * A wrong value prints what is wrong and exits 2.
 */
#ifndef BENCH_OPTION_VALUES_H
#define BENCH_OPTION_VALUES_H

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { OPTION_PIDS_MAX = 64 };

/* Processes whose CPU time is asked for. */
struct option_pids {
    unsigned count;
    pid_t pid[OPTION_PIDS_MAX];
};

static _Noreturn void option_usage(const char *what, const char *value)
{
    fprintf(stderr, "%s: %s: %s (--help lists the options)\n",
            program_invocation_short_name, what, value);
    exit(2);
}

static inline double option_number(const char *name, const char *text,
                                   double min, double max)
{
    char *end;
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (errno || end == text || *end || !(value >= min && value <= max)) {
        fprintf(stderr, "%s: --%s wants a number from %g to %g, not '%s'\n",
                program_invocation_short_name, name, min, max, text);
        exit(2);
    }
    return value;
}

/* Add the numbers of TEXT, parted by commas, which are cut apart. */
static inline void option_pids(struct option_pids *pids, char *text)
{
    char *item, *rest = NULL;

    for (item = strtok_r(text, ",", &rest); item;
         item = strtok_r(NULL, ",", &rest)) {
        if (pids->count == OPTION_PIDS_MAX)
            option_usage("too many processes, from", item);
        pids->pid[pids->count++] =
            (pid_t)option_number("pid", item, 1, 1 << 22);
    }
}

/* Give TAKE the name and value of each option of KNOWN that is on the command
 * line; one whose VAL is 'h' prints HELP and exits, any other is 'o'. */
static inline void
option_parse(int argc, char **argv, const struct option *known,
             const char *help,
             void (*take)(void *to, const char *name, char *value), void *to)
{
    int which = 0, c;

    while ((c = getopt_long(argc, argv, "", known, &which)) != -1) {
        if (c == 'h') {
            fputs(help, stdout);
            exit(0);
        }
        if (c != 'o')
            option_usage("cannot start", "wrong option");
        take(to, known[which].name, optarg);
    }
    if (optind < argc)
        option_usage("unexpected argument", argv[optind]);
}

#endif
