/* supervisor_watch.c -- reloads when a file that was loaded changes.
 *
 * Directories are watched, not files: editors put new files in their places.
 * What changes within a short time is one change.
 */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "supervisor_parts.h"

enum { EVENTS = 4096, DIRECTORY_MAX = 4096 };

static const double SETTLE = 0.2; /* seconds after the last change */

static const uint32_t CHANGES =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;

/* The directory of PATH into TO; false when it is too long. */
static bool directory_of(const char *path, char to[DIRECTORY_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (len >= DIRECTORY_MAX)
        return false;
    memcpy(to, path, len);
    to[len] = 0;
    if (len == 0)
        strcpy(to, slash ? "/" : ".");
    return true;
}

static void add(struct ld_supervisor *s, const char *path)
{
    char directory[DIRECTORY_MAX];

    /* The same directory twice is the same watch. */
    if (directory_of(path, directory) &&
        inotify_add_watch(s->watch.fd, directory, CHANGES | IN_ONLYDIR) < 0)
        ld_log(&s->log, LD_WARN, "cannot watch",
               "directory=\"%s\" error=\"%s\"", directory, strerror(errno));
}

void ld_supervisor_watch(struct ld_supervisor *s)
{
    if (s->watch.fd >= 0)
        close(s->watch.fd);
    s->watch = (struct ld_watch){.fd = -1};
    if (!s->plan->watch)
        return;
    s->watch.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (s->watch.fd < 0) {
        ld_log(&s->log, LD_WARN, "cannot watch", "error=\"%s\"",
               strerror(errno));
        return;
    }
    for (uint32_t i = 0; i < s->plan->file_count; i++)
        add(s, s->plan->files[i]);
}

static bool is_lua(const struct inotify_event *e)
{
    size_t len = e->len > 0 ? strlen(e->name) : 0;

    return len > 4 && strcmp(e->name + len - 4, ".lua") == 0;
}

void ld_supervisor_watch_read(struct ld_supervisor *s)
{
    _Alignas(struct inotify_event) char events[EVENTS];
    ssize_t n;

    while ((n = read(s->watch.fd, events, sizeof(events))) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e =
                (const struct inotify_event *)(void *)(events + at);

            if (is_lua(e) || (e->mask & IN_Q_OVERFLOW))
                s->watch.due = ld_supervisor_now() + SETTLE;
            at += (ssize_t)(sizeof(*e) + e->len);
        }
}

/* A change while a reload is under way is for the next one. */
void ld_supervisor_watch_tick(struct ld_supervisor *s, double now)
{
    if (s->watch.due == 0 || now < s->watch.due || s->reload.phase ||
        s->phase != LD_SERVING)
        return;
    s->watch.due = 0;
    ld_supervisor_reload(s, &(struct ld_wish){0});
}
