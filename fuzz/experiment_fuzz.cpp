// The members of an experiment file.
#include "fuzz/reader_fuzz.h"
#include "kindling/eval/experiment_plan_check.h"

namespace kindling {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const ExperimentPlan plan =
        plan_detail::read_members({reinterpret_cast<const char*>(data), size}, "x.json");
    if (plan.name.empty() || plan.seeds < 1 || plan.metrics.empty()) std::abort();
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  return 0;
}

}  // namespace kindling
