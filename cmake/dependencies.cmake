# Third-party libraries, all from the system; nothing is downloaded here.
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)
find_package(GTest REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenMP)
include(GoogleTest)

# BLAS: the OpenMP build of OpenBLAS, so that it shares the thread pool of everything else.
find_library(KINDLING_OPENBLAS NAMES openblas REQUIRED
             PATHS /usr/lib/x86_64-linux-gnu/openblas-openmp /usr/lib/aarch64-linux-gnu/openblas-openmp)
find_path(KINDLING_OPENBLAS_INCLUDE cblas.h REQUIRED
          PATHS /usr/include/x86_64-linux-gnu/openblas-openmp /usr/include/aarch64-linux-gnu/openblas-openmp)
add_library(kindling_blas INTERFACE)
target_link_libraries(kindling_blas INTERFACE ${KINDLING_OPENBLAS})
target_include_directories(kindling_blas SYSTEM INTERFACE ${KINDLING_OPENBLAS_INCLUDE})

if(KINDLING_TORCH)
  # Debian's package, or the LibTorch inside a newer PyTorch: -DCMAKE_PREFIX_PATH=$(python -c 'import torch; print(torch.utils.cmake_prefix_path)')
  find_package(Torch REQUIRED)
  add_library(kindling_torch INTERFACE)
  target_link_libraries(kindling_torch INTERFACE ${TORCH_LIBRARIES})
  target_include_directories(kindling_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  message(STATUS "LibTorch ${Torch_VERSION}")
endif()
