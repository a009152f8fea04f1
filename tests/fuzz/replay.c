/* replay.c -- runs a fuzz target once over each file that is named: a driver
 * that needs no fuzzing library.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole of FILE, in memory of exactly its size.  NULL on an error. */
static uint8_t *read_all(FILE *file, size_t *size)
{
    long end;
    uint8_t *data;

    if (fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0)
        return NULL;
    rewind(file);
    *size = (size_t)end;
    data = malloc(*size > 0 ? *size : 1);
    if (data && fread(data, 1, *size, file) != *size) {
        free(data);
        return NULL;
    }
    return data;
}

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0;

    if (file) {
        data = read_all(file, &size);
        fclose(file);
    }
    if (!data) {
        perror(path);
        return 1;
    }
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;
    int i;

    for (i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    return failed;
}
