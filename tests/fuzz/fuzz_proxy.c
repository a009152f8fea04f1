/* fuzz_proxy.c -- a header of the PROXY protocol, in memory of just its size:
 * what it is must not depend on how much of it has come.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
    if (!truth)
        abort();
}

static int size_of(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n);
    int size;

    memcpy(copy, data, n);
    size = ld_proxy_size(copy, n);
    free(copy);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int whole = size > 0 ? size_of(data, size) : 0;
    const char *why = NULL;
    struct ld_origin *o;
    uint8_t *copy;

    for (size_t n = 1; n < size && n <= LD_PROXY_MAX; n++) {
        int part = size_of(data, n);

        require(whole <= 0 || part == ((int)n < whole ? 0 : whole));
        require(whole != 0 || part == 0);
    }
    if (whole <= 0)
        return 0;
    copy = malloc((size_t)whole);
    memcpy(copy, data, (size_t)whole);
    o = ld_proxy_read(copy, (size_t)whole, &why);
    require((o == NULL) == (why != NULL));
    free(o);
    free(copy);
    return 0;
}
