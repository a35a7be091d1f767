// Files of what every query came to, of ranked queries and of the users of scenarios: the input is
// the whole file.
#include "fuzz/reader_fuzz.h"
#include "kindling/eval/saved_queries.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kindling;
  fuzz::write("queries.tsv", {reinterpret_cast<const char*>(data), size});
  const std::string path = fuzz::folder() + "/queries.tsv";
  try {
    for (const SavedQuery& query : load_queries(path)) {
      if (!(query.ranks.rank >= 1.0) || !(query.ranks.rank_unseen >= 1.0)) std::abort();
    }
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  try {
    const ScenarioUsers all = load_scenario_users(path);
    for (const ScenarioUser& one : all.users) {
      if (one.values.size() != all.metrics.size()) std::abort();
    }
  } catch (const Error& error) {
    fuzz::expect_users_mistake(error);
  }
  return 0;
}
