#include "kindling/models/registry.h"

#include <ostream>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/models/few_shot.h"

// THE table: name, traits, source. One line a model; everything else about it is in its own file,
// which defines make() and describe() in the namespace of its name.
#define KINDLING_MODELS(MODEL)                                                                    \
  MODEL(random, 0, "uniformly random scores, a fixed draw for each seed")                         \
  MODEL(pop, kTarget, "most popular items of the target's training part")                         \
  MODEL(recency, kTarget, "items by their latest events in the target's training part")           \
  MODEL(                                                                                          \
      itemknn, kTarget,                                                                           \
      "items that the same users took (Sarwar et al., Item-based Collaborative Filtering, 2001)") \
  MODEL(embknn, kText, "text-vector kNN (Emb-kNN of Ding et al., and its variants)")              \
  MODEL(gru4rec, kTarget | kOnDevice, "GRU over an item table: in-domain oracle of Ding et al.")  \
  MODEL(gru4rec_meta, kText | kTarget | kOnDevice,                                                \
        "GRU over text vectors: in-domain oracle of Ding et al.")                                 \
  MODEL(tcn, kTarget | kOnDevice, "TCN over an item table: in-domain oracle of Ding et al.")      \
  MODEL(tcn_meta, kText | kTarget | kOnDevice,                                                    \
        "TCN over text vectors: in-domain oracle of Ding et al.")                                 \
  MODEL(hrnn, kTarget | kOnDevice, "HRNN over an item table: in-domain oracle of Ding et al.")    \
  MODEL(hrnn_meta, kText | kTarget | kOnDevice,                                                   \
        "HRNN over text vectors: in-domain oracle of Ding et al.")                                \
  MODEL(gru4rec_official, kTarget,                                                                \
        "Hidasi & Karatzoglou, Recurrent Neural Networks with Top-k Gains, 2018")                 \
  MODEL(bprmf, kTarget | kValidated, "Rendle et al., BPR: Bayesian Personalized Ranking, 2009")   \
  MODEL(cmf, kSource | kTarget | kValidated,                                                      \
        "Singh & Gordon, Collective Matrix Factorization, 2008, by BPR")                          \
  MODEL(mfem, kSource | kTarget | kValidated,                                                     \
        "Man et al., Embedding and Mapping, 2017; as RecGURU compares it")                        \
  MODEL(cngan, kSource | kTarget | kValidated,                                                    \
        "Perera & Zimmermann, CnGAN, 2019; as RecGURU compares it")                               \
  MODEL(doml, kSource | kTarget | kValidated,                                                     \
        "Li & Tuzhilin, Dual Metric Learning, 2021; as RecGURU compares it")                      \
  MODEL(autoem, kSource | kTarget | kValidated,                                                   \
        "MFEM over AutoRec's states, position by position; as RecGURU compares it")               \
  MODEL(sasrec, kTarget | kValidated,                                                             \
        "Kang & McAuley, Self-Attentive Sequential Recommendation, 2018")                         \
  MODEL(bert4rec, kTarget | kValidated, "Sun et al., BERT4Rec, 2019")                             \
  MODEL(zesrec, kText | kSource | kOnDevice,                                                      \
        "Ding, Deoras, Wang, Wang, Zero-Shot Recommender Systems, 2021")                          \
  MODEL(seqrec, kTarget | kValidated, "RecGURU's recommender alone (its ablation SeqRec)")        \
  MODEL(autorec, kTarget | kValidated, "RecGURU of one domain: auto-encoder and recommender")     \
  MODEL(recguru, kSource | kTarget | kValidated,                                                  \
        "Li et al., RecGURU, Generalized User Representations, 2022")

namespace kindling {

#define KINDLING_DECLARE_MODEL(name, traits, origin)      \
  namespace name {                                        \
  std::unique_ptr<Recommender> make(const OptionValues&); \
  std::vector<OptionInfo> describe();                     \
  }
KINDLING_MODELS(KINDLING_DECLARE_MODEL)
#undef KINDLING_DECLARE_MODEL

namespace {

// What ModelInfo says of a model.
enum Trait : unsigned { kText = 1, kSource = 2, kTarget = 4, kValidated = 8, kOnDevice = 16 };

constexpr ModelInfo model_info(const char* name, const char* source, unsigned traits,
                               std::unique_ptr<Recommender> (*make)(const OptionValues&),
                               std::vector<OptionInfo> (*describe)()) {
  ModelInfo info{name, source, make, describe};
  info.needs_text = (traits & kText) != 0;
  info.needs_source = (traits & kSource) != 0;
  info.needs_target_train = (traits & kTarget) != 0;
  info.asks_validation = (traits & kValidated) != 0;
  info.on_device = (traits & kOnDevice) != 0;
  return info;
}

#define KINDLING_LIST_MODEL(name, traits, origin) \
  model_info(#name, origin, traits, &name::make, &name::describe),
constexpr ModelInfo kModels[] = {KINDLING_MODELS(KINDLING_LIST_MODEL)};
#undef KINDLING_LIST_MODEL

}  // namespace

std::span<const ModelInfo> all_models() { return kModels; }

const ModelInfo& find_model(const std::string& name) {
  std::vector<std::string> names;
  for (const ModelInfo& info : kModels) {
    if (name == info.name) return info;
    names.emplace_back(info.name);
  }
  if (is_few_shot_model(name)) {
    throw Error(Kind::kUnsupported, fmt::format("{} learns from scenarios", name), {},
                "pass --scenarios DIR (kindling scenarios makes it)");
  }
  for (const FewShotInfo& info : few_shot_models()) names.emplace_back(info.name);
  const auto near = nearest_name(name, names);
  throw Error(Kind::kNotFound, fmt::format("there is no model {}", quote(name)), {},
              near ? fmt::format("did you mean {}?", *near)
                   : fmt::format("the models are: {}", join(names, ", ")));
}

std::unique_ptr<Recommender> make_model(const std::string& name, const OptionValues& options) {
  return find_model(name).make(options);
}

OptionValues effective_options(const std::vector<OptionInfo>& known, const OptionValues& given,
                               const Json& details) {
  const Json used = details.value("options", Json::object());
  OptionValues all;
  for (const OptionInfo& option : known) {
    const bool told = used.contains(option.name);
    std::string value = options_detail::text_of(told ? used.at(option.name) : option.value);
    for (const auto& [name, text] : given) {
      if (name == option.name) value = text;
    }
    all.emplace_back(option.name, value);
  }
  return all;
}

void PrintTo(const ModelInfo& info, std::ostream* out) { *out << info.name; }

}  // namespace kindling
