# What makes a mistake in C harder to exploit, as far as the compiler has it:
#
#   ld_hardening   for all that is compiled: canaries, probes of the stack,
#                  checks of where calls land, and tables of addresses that are
#                  resolved and made read-only at the start
#   ld_fortified   besides that, checks of buffers' sizes in the C library;
#                  for optimized builds, and not beside sanitizers, which
#                  replace the same functions
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckLinkerFlag)
include(CheckPIESupported)

option(LD_HARDEN "Harden what is built" ON)
add_library(ld_hardening INTERFACE)
add_library(ld_fortified INTERFACE)
if(NOT LD_HARDEN)
    return()
endif()

check_pie_supported(LANGUAGES C)
foreach(flag -fstack-protector-strong -fstack-clash-protection
        -fcf-protection)
    string(MAKE_C_IDENTIFIER "LD_HAS${flag}" has)
    check_c_compiler_flag("${flag};-Werror" ${has})
    if(${has})
        target_compile_options(ld_hardening INTERFACE ${flag})
    endif()
endforeach()
foreach(flag -z,relro -z,now -z,noexecstack)
    string(MAKE_C_IDENTIFIER "LD_HAS${flag}" has)
    check_linker_flag(C "-Wl,${flag}" ${has})
    if(${has})
        target_link_options(ld_hardening INTERFACE "LINKER:${flag}")
    endif()
endforeach()

# The C library warns of a level that it, or the compiler, does not know.
set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_c_source_compiles("#include <string.h>
    int main(void) { return 0; }" LD_HAS_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
set(level 2)
if(LD_HAS_FORTIFY_3)
    set(level 3)
endif()
target_compile_options(ld_fortified INTERFACE
    $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE>
    $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-D_FORTIFY_SOURCE=${level}>)
