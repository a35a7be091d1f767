# cmake -DOUT=FILE -DFOLDER=DIR -P embed.cmake: every FOLDER/*.json as a text in OUT, for
# kindling::embedded_plans(). Run by the build when one of them changes.
file(GLOB plans ${FOLDER}/*.json)
list(SORT plans)
set(code "// Made by cmake/embed.cmake from experiments/*.json.\n#include \"kindling/eval/experiment_cells.h\"\n\n")
string(APPEND code "namespace kindling {\n\nnamespace {\n\nconstexpr EmbeddedPlan kPlans[] = {\n")
foreach(plan ${plans})
  get_filename_component(name ${plan} NAME_WE)
  file(READ ${plan} text)
  string(APPEND code "    {\"${name}\", R\"json(${text})json\"},\n")
endforeach()
string(APPEND code "};\n\n}  // namespace\n\nstd::span<const EmbeddedPlan> embedded_plans() { return kPlans; }\n\n}  // namespace kindling\n")
file(WRITE ${OUT} "${code}")
