/* report.c -- see report.h. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double FIRST_MS = 0.01, GROWTH = 1.2;

static void put_char(char c)
{
    unsigned char byte = (unsigned char)c;

    if (c == '"' || c == '\\')
        printf("\\%c", c);
    else if (byte < 0x20)
        printf("\\u%04x", byte);
    else
        putchar(c);
}

static void put_string(const char *text, size_t size)
{
    putchar('"');
    for (size_t i = 0; i < size; i++)
        put_char(text[i]);
    putchar('"');
}

static void put_text(const char *text)
{
    put_string(text, strlen(text));
}

/* The next word of what lies between AT and END: up to a space. */
static const char *word_end(const char *at, const char *end)
{
    while (at < end && *at != ' ')
        at++;
    return at;
}

static const char *skip_spaces(const char *at, const char *end)
{
    while (at < end && *at == ' ')
        at++;
    return at;
}

/* Print the value at AT, quoted or a word; where it ends. */
static const char *put_value(const char *at, const char *end)
{
    const char *stop;

    if (at == end || *at != '"') {
        stop = word_end(at, end);
        put_string(at, (size_t)(stop - at));
        return stop;
    }
    putchar('"');
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        put_char(*at);
    }
    putchar('"');
    return at < end ? at + 1 : end;
}

/* Where the first KEY=VALUE begins, in what lies between AT and END. */
static const char *first_field(const char *at, const char *end)
{
    while (at < end) {
        const char *stop = word_end(at, end);

        if (memchr(at, '=', (size_t)(stop - at)))
            return at;
        at = skip_spaces(stop, end);
    }
    return end;
}

static const char *put_word(const char *key, const char *at, const char *end)
{
    const char *stop = word_end(at, end);

    printf("%s", key);
    put_string(at, (size_t)(stop - at));
    return skip_spaces(stop, end);
}

void report_line(const char *line, size_t size)
{
    const char *end = line + size, *at, *fields, *stop;

    while (end > line && (end[-1] == '\n' || end[-1] == ' '))
        end--;
    flockfile(stdout);
    at = put_word("{\"time\":", line, end);
    at = put_word(",\"level\":", at, end);
    fields = first_field(at, end);
    stop = fields;
    while (stop > at && stop[-1] == ' ')
        stop--;
    printf(",\"event\":");
    put_string(at, (size_t)(stop - at));
    for (at = fields; at < end; at = skip_spaces(at, end)) {
        const char *equals = memchr(at, '=', (size_t)(end - at));

        if (!equals)
            break;
        putchar(',');
        put_string(at, (size_t)(equals - at));
        putchar(':');
        at = put_value(equals + 1, end);
    }
    puts("}");
    fflush(stdout);
    funlockfile(stdout);
}

static struct report_user *find_user(struct report *r, const char *name)
{
    struct report_user *user;

    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->user[i].name, name))
            return &r->user[i];
    if (r->count == REPORT_USERS)
        return &r->user[REPORT_USERS - 1];
    user = &r->user[r->count++];
    if (r->count == REPORT_USERS)
        name = "(others)";
    snprintf(user->name, sizeof(user->name), "%s", name);
    return user;
}

void report_count(struct report *r, const char *name, double ms, double rows,
                  int failed)
{
    struct report_user *user = find_user(r, name);
    double bucket = ms > FIRST_MS ? ceil(log(ms / FIRST_MS) / log(GROWTH)) : 0;

    user->statements++;
    user->errors += failed != 0;
    user->rows += rows;
    if (!(bucket < REPORT_BUCKETS))
        bucket = REPORT_BUCKETS - 1;
    user->bucket[(int)bucket]++;
}

/* The upper end of the bucket below which SHARE of all durations are. */
static double quantile(const struct report_user *user, double share)
{
    double sum = 0;
    int i;

    for (i = 0; i < REPORT_BUCKETS - 1; i++) {
        sum += (double)user->bucket[i];
        if (sum >= share * (double)user->statements)
            break;
    }
    return FIRST_MS * pow(GROWTH, i);
}

void report_summary(const struct report *r)
{
    flockfile(stdout);
    for (size_t i = 0; i < r->count; i++) {
        const struct report_user *user = &r->user[i];

        printf("{\"event\":\"summary\",\"user\":");
        put_text(user->name);
        printf(",\"statements\":%lu,\"errors\":%lu,\"rows\":%.0f,"
               "\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
               user->statements, user->errors, user->rows, quantile(user, 0.5),
               quantile(user, 0.99));
    }
    fflush(stdout);
    funlockfile(stdout);
}
