/* chunks_by_hand.c -- reads the chunks of RTMP in a file, as plain C does.
 *
 *   chunks_by_hand FILE SEGMENT CHUNK
 *
 * The file comes in segments of SEGMENT bytes, in chunks of CHUNK bytes.
 * Prints nanoseconds a message, of the best of several walks, and how many
 * messages and bytes of body a walk is.
 */
#define _GNU_SOURCE
#include "rtmp_chunks.h"

#include <stdio.h>
#include <time.h>

enum { WALKS = 200, FILE_MAX = 1 << 24 };

struct count {
    uint64_t messages, bytes, sum;
};

static void take(void *context, const struct rtmp_message *m)
{
    struct count *c = context;

    c->messages++;
    c->bytes += m->size;
    c->sum += m->body[m->size - 1];
}

static double seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static struct rtmp_reader r;
    static uint8_t text[FILE_MAX];
    struct count count;
    FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    size_t size, segment, at;
    double took, from, best = 1e9;
    unsigned i;

    if (!file || (segment = (size_t)atol(argv[2])) == 0) {
        fprintf(stderr, "usage: chunks_by_hand FILE SEGMENT CHUNK\n");
        return 2;
    }
    size = fread(text, 1, sizeof(text), file);
    fclose(file);
    rtmp_reader_init(&r, UINT32_MAX, take, &count);
    r.chunk = (uint32_t)atol(argv[3]);
    for (i = 0; i < WALKS; i++) {
        const char *wrong = NULL;

        memset(&count, 0, sizeof(count));
        from = seconds();
        for (at = 0; at < size && !wrong; at += segment)
            wrong = rtmp_read(&r, text + at,
                              size - at < segment ? size - at : segment);
        took = seconds() - from;
        if (wrong || count.messages == 0) {
            fprintf(stderr, "chunks_by_hand: %s\n", wrong ? wrong : "nothing");
            return 1;
        }
        best = took < best ? took : best;
    }
    printf("%.3f %llu %llu\n", best / (double)count.messages * 1e9,
           (unsigned long long)count.messages, (unsigned long long)count.bytes);
    return count.sum == 0;
}
