/* log.c -- see log.h. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 4096,
    TAIL_MAX = 32 /* a worker's number, a space and the newline */
};

static const char *const names[] = {"debug", "info", "warn", "error", "silent"};

int ld_log_level(const char *name)
{
    for (int i = 0; i <= LD_SILENT; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static size_t stamp(char *line, size_t size, enum ld_level level)
{
    struct timespec now;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(line + n, size - n, ".%03ldZ %-5s ",
                                now.tv_nsec / 1000000, names[level]);
}

/* Newlines become " | ", other control bytes "?", so that one event stays one
 * line.  Returns the new length, at most SIZE. */
static size_t flatten(char *out, size_t size, const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 3 <= size; i++) {
        unsigned char ch = (unsigned char)text[i];

        if (ch == '\n') {
            memcpy(out + n, " | ", 3);
            n += 3;
            while (i + 1 < len && (text[i + 1] == '\t' || text[i + 1] == ' '))
                i++;
        } else {
            out[n++] = ch == '\t' ? ' ' : ch < 32 || ch == 127 ? '?' : (char)ch;
        }
    }
    return n;
}

static void to_stderr(const char *line, size_t len)
{
    ssize_t done = write(STDERR_FILENO, line, len);

    (void)done; /* there is nowhere left to report to */
}

void ld_log(const struct ld_log *log, enum ld_level level, const char *event,
            const char *fields, ...)
{
    char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
    va_list args;
    size_t n;
    int len;

    if (level < log->level)
        return;
    va_start(args, fields);
    len = vsnprintf(text, sizeof(text), fields, args);
    va_end(args);
    if (len < 0)
        len = 0;
    if ((size_t)len >= sizeof(text))
        len = (int)sizeof(text) - 1;
    n = stamp(line, sizeof(line), level);
    n += flatten(line + n, sizeof(line) - n - TAIL_MAX, event, strlen(event));
    if (log->worker)
        n += (size_t)snprintf(line + n, sizeof(line) - n, " worker=%u",
                              log->worker);
    if (len > 0)
        line[n++] = ' ';
    n += flatten(line + n, sizeof(line) - n - 1, text, (size_t)len);
    line[n++] = '\n';
    if (log->write)
        log->write(log->ctx, level, line, n);
    else
        to_stderr(line, n);
}
