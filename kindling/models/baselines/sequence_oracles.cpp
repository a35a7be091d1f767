// GRU4Rec, TCN and HRNN, and their -Meta versions: the in-domain oracles of the ZESRec paper.
//
// Source: Ding et al., Zero-Shot Recommender Systems, section 4 (specs/baselines.md A).
// Differs: the step size is chosen by validation loss [Z23]: of the plain ones among 0.01, 0.1 and
//          1, the paper's 1 alone does not train; of the -Meta ones between 0.03 and the paper's
//          0.1, which alone leaves them under-trained.
//
// The networks G, T and H of ZESRec with width 128, fitted on the target's own past by the softmax
// over all items. The plain ones have a free vector an item, shared by input and output; -Meta
// takes W x + b of the texts instead, which is ZESRec `vanilla` in the target.
//
//   item table [J, D] | texts -> W x + b  ->  f_seq over the history  ->  u;  score = u · v
//
// Not Hidasi's GRU4Rec: that one is gru4rec_official.
#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/models/registry.h"
#include "kindling/models/zesrec/point_model.h"

namespace kindling::sequence_oracles {

namespace {

constexpr std::int64_t kWidth = 128;

// Options of ZESRec that make no sense here: offsets, variational parts, and what the name decides.
constexpr std::string_view kHidden[] = {
    "variant",   "network", "lambda_v", "offset_init", "offsets",        "bound",        "lambda_u",
    "inference", "samples", "noise",    "residual",    "residual_decay", "learning_rate"};
// The same for a model without texts.
constexpr std::string_view kTextOnly[] = {"activation", "input_scale", "whiten_exponent",
                                          "unit_rows", "item_init"};

struct OracleOptions {
  zesrec::Options net;
  std::string learning_rates;

  template <class Visitor>
  void fields(Visitor& field) {
    const auto hidden = [this](std::string_view name) {
      const auto is = [name](std::string_view one) { return one == name; };
      return std::any_of(std::begin(kHidden), std::end(kHidden), is) ||
             (net.item_table && std::any_of(std::begin(kTextOnly), std::end(kTextOnly), is));
    };
    auto kept = [&](const char* name, auto& value, const Allowed& allowed,
                    const char* description) {
      if (!hidden(name)) field(name, value, allowed, description);
    };
    net.fields(kept);
    field("untrained_items", net.untrained_items, one_of({"learn", "keep"}),
          "items that training has no event of: learnt as never the next one (learn), or outside "
          "the training loss (keep), where the vector of an item table stays as it starts");
    field("learning_rates", learning_rates, kAny,
          "step sizes, separated by commas; the best validation loss decides [Z23]");
  }
};

OracleOptions defaults(const char* network, bool item_table) {
  OracleOptions options;
  options.net.dim = kWidth;
  options.net.variant = "vanilla";
  options.net.network = network;
  options.net.item_table = item_table;
  // Figure 2's specification (section 9): an item without a training event keeps its vector.
  if (item_table) options.net.untrained_items = "keep";
  options.learning_rates = item_table ? "0.01,0.1,1" : "0.03,0.1";
  return options;
}

std::unique_ptr<Recommender> make_oracle(const char* name, OracleOptions options,
                                         const OptionValues& values) {
  for (const auto& [option, value] : values) set_option(options, option, value);
  for (const std::string_view part : split(options.learning_rates, ',')) {
    const auto rate = to_double(trim(part));
    if (!rate || !(*rate > 0.0)) {
      throw Error(Kind::kBadOption,
                  fmt::format("option learning_rates cannot be {}; expected numbers above 0 "
                              "separated by commas",
                              quote(options.learning_rates)));
    }
    options.net.learning_rates.push_back(*rate);
  }
  return zesrec::make_point_model(options.net, {.name = name, .in_domain = true});
}

}  // namespace

}  // namespace kindling::sequence_oracles

namespace kindling {

// One model a line: what registry.cpp declares.
#define KINDLING_ORACLE(model, network, item_table)                                               \
  namespace model {                                                                               \
  std::unique_ptr<Recommender> make(const OptionValues& values) {                                 \
    return sequence_oracles::make_oracle(#model, sequence_oracles::defaults(network, item_table), \
                                         values);                                                 \
  }                                                                                               \
  std::vector<OptionInfo> describe() {                                                            \
    return describe_options(sequence_oracles::defaults(network, item_table));                     \
  }                                                                                               \
  }
KINDLING_ORACLE(gru4rec, "gru", true)
KINDLING_ORACLE(gru4rec_meta, "gru", false)
KINDLING_ORACLE(tcn, "tcn", true)
KINDLING_ORACLE(tcn_meta, "tcn", false)
KINDLING_ORACLE(hrnn, "hrnn", true)
KINDLING_ORACLE(hrnn_meta, "hrnn", false)
#undef KINDLING_ORACLE

}  // namespace kindling
