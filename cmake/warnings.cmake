# Strict warnings, as errors, for our own code only: third-party headers are system headers.
add_library(kindling_warnings INTERFACE)
target_compile_options(kindling_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast
  -Wextra-semi -Wcast-align -Wunused -Wimplicit-fallthrough)
# Clang (fuzz preset) says that it did not follow an unroll or simd request: a matter of speed only.
target_compile_options(kindling_warnings INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
if(KINDLING_WERROR)
  target_compile_options(kindling_warnings INTERFACE -Werror)
endif()
