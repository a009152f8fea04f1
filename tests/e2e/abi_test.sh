#!/bin/bash
# A program that was built with the header of an earlier version, and linked
# with its library, runs on this one; and this one exports what its map says.
# Its header is good for C++, too.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Each directory of tests/abi has the header of a version and a host for it.  Of
# its library nothing is needed but the names.
for version in tests/abi/*/; do
    header=$version/linedancer.h
    soname=liblinedancer.so.$(basename "$version" | cut -d. -f1)
    grep -o 'ld_[a-z_]*(' "$header" | tr -d '(' | sort -u |
        sed 's/.*/void &(void); void &(void) {}/' >"$dir/names.c"
    cc -shared -fPIC -Wl,-soname,"$soname" -o "$dir/liblinedancer.so" \
        "$dir/names.c"
    cc -Wall -Werror -I "$version" -o "$dir/host" "$version/host.c" \
        -L "$dir" -llinedancer
    rm "$dir/liblinedancer.so"
    LD_LIBRARY_PATH=$BUILD "$dir/host" | grep -x done
    echo "a host of $(basename "$version") runs"
done

grep -o 'ld_[a-z_]*' cmake/linedancer.map | sort >"$dir/meant"
nm -D --defined-only "$BUILD/liblinedancer.so" |
    sed -n 's/.* T \(ld_[a-z_]*\)@.*/\1/p' | sort >"$dir/there"
diff "$dir/meant" "$dir/there"
grep -o 'ld_[a-z_]*(' core/linedancer.h | tr -d '(' | sort -u >"$dir/declared"
diff "$dir/meant" "$dir/declared"

cat >"$dir/host.cc" <<'END'
#include <linedancer.h>
int main()
{
    struct ld_gateway_stats stats = LD_STATS;
    struct ld_item item = LD_NUMBER(2);
    return ld_gateway_stats(nullptr, &stats) == item.kind;
}
END
c++ -std=c++20 -Wall -Wextra -Werror -I core -fsyntax-only "$dir/host.cc"
