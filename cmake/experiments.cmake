# experiments/*.json become a part of the program.
file(GLOB plans CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/experiments/*.json)
set(embedded ${CMAKE_BINARY_DIR}/generated/embedded_plans.cpp)
add_custom_command(OUTPUT ${embedded}
  COMMAND ${CMAKE_COMMAND} -DOUT=${embedded} -DFOLDER=${PROJECT_SOURCE_DIR}/experiments
          -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${plans} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  COMMENT "experiments/*.json -> embedded_plans.cpp")
target_sources(kindling_eval PRIVATE ${embedded})
