# The first cache of a tree from which Debian's packages are made.
set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "")
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(LD_TESTS OFF CACHE BOOL "")
set(LD_USER _linedancer CACHE STRING "")
set(LD_ZSH_DIR share/zsh/vendor-completions CACHE STRING "")

# Where this tree and its sources are must not be seen in what is built.
get_filename_component(source ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(CMAKE_C_FLAGS "-ffile-prefix-map=${source}=. \
-ffile-prefix-map=${CMAKE_BINARY_DIR}=." CACHE STRING "")
