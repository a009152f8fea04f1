#!/bin/bash
# The program is built so that a mistake in C is harder to exploit: it lies
# where chance has it, has no table of addresses that can be written and no
# stack that can be executed, and notices when buffers overflow.
set -euo pipefail

program=$BUILD/linedancer
headers=$(readelf -W --file-header --program-headers --dynamic "$program")
symbols=$(readelf -W --dyn-syms "$program")

fail() { echo "the program $*"; exit 1; }

# has PATTERN COMPLAINT, of the headers; imports PATTERN COMPLAINT
has() { grep -Eq "$1" <<<"$headers" || fail "$2"; }
imports() { grep -Eq "UND $1(@|$)" <<<"$symbols" || fail "$2"; }

has '^ *Type: +DYN' "is not position-independent"
has '\(FLAGS_1\).*\bPIE\b' "is a library, not position-independent"
has '^ *GNU_RELRO ' "leaves its table of addresses writable"
has 'BIND_NOW|\(FLAGS_1\).*\bNOW\b' "resolves addresses only when they are used"
has '^ *GNU_STACK .* RW +0x' "has a stack that can be executed"
imports __stack_chk_fail "does not notice when its stack is overwritten"
imports '__[a-z]+_chk' "does not check the sizes of buffers"
