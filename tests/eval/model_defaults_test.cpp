// Finished cells are found by the options that were given: a default that changes unnoticed would
// make old numbers pass for new ones.
#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kindling/base/hash.h"
#include "kindling/eval/experiment_cells.h"
#include "kindling/models/few_shot.h"
#include "kindling/models/registry.h"

namespace kindling {
namespace {

// Model -> revision and the first digits of a hash of its defaults.
const std::map<std::string, std::string>& known() {
  static const std::map<std::string, std::string> kKnown = {
      {"random", "1 e3b0c442"},       {"pop", "1 e3b0c442"},
      {"recency", "1 1b192402"},      {"itemknn", "1 d1631f73"},
      {"embknn", "1 442d6e19"},       {"gru4rec", "2 e3256afe"},
      {"gru4rec_meta", "1 20c00f86"}, {"tcn", "2 e3256afe"},
      {"tcn_meta", "1 20c00f86"},     {"hrnn", "2 e3256afe"},
      {"hrnn_meta", "1 20c00f86"},    {"gru4rec_official", "2 dcba3ef7"},
      {"bprmf", "1 9516ad64"},        {"cmf", "1 9516ad64"},
      {"mfem", "1 78d3f8dc"},         {"cngan", "1 358cfc35"},
      {"doml", "1 c83daa6e"},         {"autoem", "1 bdfcbf1d"},
      {"sasrec", "1 d71c7806"},       {"bert4rec", "1 42054293"},
      {"zesrec", "1 782e6392"},       {"seqrec", "1 86b7936e"},
      {"autorec", "1 86b7936e"},      {"recguru", "1 86b7936e"},
      {"itempop", "1 e3b0c442"},      {"neumf", "2 706ed63f"},
      {"cdcf", "2 0859558a"},         {"libmf", "2 ca2869d8"},
      {"emcdr", "2 609d24b4"},        {"conet", "1 0c317726"},
      {"s2meta", "1 2174edf0"},
  };
  return kKnown;
}

void expect_known(const std::string& model, const std::vector<OptionInfo>& options) {
  std::string text;
  for (const OptionInfo& option : options) {
    text += fmt::format("{}={}\n", option.name, option.value.dump());
  }
  const std::string found = fmt::format("{} {}", revision_of(model), sha256(text).substr(0, 8));
  const auto place = known().find(model);
  ASSERT_TRUE(place != known().end()) << "add {\"" << model << "\", \"" << found << "\"}";
  EXPECT_EQ(place->second, found)
      << model << ": if its numbers change, raise its revision in experiment_cells.cpp; then put "
      << "the new line here";
}

TEST(ModelDefaults, ChangeTheRevision) {
  for (const ModelInfo& info : all_models()) expect_known(info.name, info.describe());
  for (const FewShotInfo& info : few_shot_models()) expect_known(info.name, info.describe());
}

}  // namespace
}  // namespace kindling
