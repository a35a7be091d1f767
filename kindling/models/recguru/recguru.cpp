// RecGURU: one user representation for two domains, made alike by a critic and by the users they
// share, feeds the next-item recommender of the target. AutoRec and SeqRec are its ablations:
// without the second domain, and without the user representation.
//
// Source: Li et al., "RecGURU: Adversarial Learning of Generalized User Representations for
//         Cross-Domain Recommendation", WSDM 2022, and Chain123/RecGURU. specs/recguru.md lists
//         where they differ or are silent (R1–R15); docs/decisions/README.md says which option
//         each is.
// Differs: the mask defects of the released cross-domain code are not reproduced in any profile:
//          pads do not exist here.
//
//   history of A or B -> shared encoder -> h at [eos]    (phase 1: decoders rebuild the sequence)
//   h of A and B -> critic, encoder against critic; h of common users together       (phase 2)
//   [bos] history of B, h -> recommender -> q;  score = q · item                     (phase 3)
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/models/recguru/training.h"
#include "kindling/models/registry.h"
#include "kindling/models/vectors.h"
#include "kindling/nn/tensors.h"

namespace kindling::recguru {

namespace {

constexpr std::size_t kQueriesAtOnce = 1024;

torch::Tensor start_table(std::int64_t rows, std::int64_t dim, double scale, Rng rng) {
  torch::Tensor table = torch::empty({rows, dim}, torch::kFloat32);
  float* value = table.data_ptr<float>();
  for (std::int64_t i = 0; i < table.numel(); ++i) {
    value[i] = static_cast<float>(scale * rng.normal());
  }
  return table;
}

NamedTensor named_tensor(const std::string& name, const torch::Tensor& tensor) {
  const torch::Tensor values = tensor.detach().contiguous();
  const float* first = values.data_ptr<float>();
  return {name, values.sizes().vec(), {first, first + values.numel()}};
}

class Model : public VectorRecommender {
 public:
  Model(const char* name, Variant variant, Options options)
      : name_(name), variant_(variant), options_(std::move(options)) {
    if (options_.dim % options_.heads != 0) {
      throw Error(Kind::kBadOption,
                  fmt::format("{} heads do not divide dim {}", options_.heads, options_.dim),
                  "heads");
    }
  }

  void fit(const TrainTask& task, FitContext& context) override {
    check_task(task, context);
    nn::use_base_threads();
    const Dataset* source = variant_ == Variant::kRecGuru ? task.source->data : nullptr;
    const Dataset& target = *task.target_train->data;
    const Rng root = Rng(context.seed).fork(name_);
    net_ = std::make_shared<Net>(options_, variant_, true, root.fork("net"));
    const auto make_table = [&](const Dataset& data, const char* name) {
      return start_table(static_cast<std::int64_t>(data.item_count()) + 2, options_.dim,
                         options_.embedding_scale, root.fork(name));
    };
    if (source != nullptr) tables_.of[kSource] = make_table(*source, "items_a");
    tables_.of[kTarget] = make_table(target, "items_b");
    TrainingJob job{
        name_, variant_, source, &target, leaked_items(options_.negatives_exclude, task), {}};
    if (context.validate) job.validate = [&] { return context.validate(*this); };
    details_ = train_model(job, options_, *net_, tables_, context);
    details_["items"] = target.item_count();
    details_["options"] = options_to_json(options_);
    tables_.of[kSource] = torch::Tensor();
    finish();
  }

  ModelState state() const override {
    ModelState all = {named_tensor("items", tables_.of[kTarget])};
    for (const auto& parameter : net().named_parameters()) {
      if (serves(parameter.key())) all.push_back(named_tensor(parameter.key(), parameter.value()));
    }
    return all;
  }

  void load_state(const ModelState& state, const Json& details) override {
    const auto items = json_get<std::int64_t>(details, "items", "model details");
    if (items < 1 || items > 1'000'000'000) {
      throw Error(Kind::kCorrupt, fmt::format("items is {}", items), "model details");
    }
    options_from_json(options_, json_get<Json>(details, "options", "model details"));
    nn::use_base_threads();
    net_ = std::make_shared<Net>(options_, variant_, false, Rng(0));
    nn::NamedTensors parameters;
    tables_.of[kTarget] = torch::Tensor();
    for (const NamedTensor& saved : state) {
      torch::Tensor tensor = torch::empty(saved.shape, torch::kFloat32);
      if (static_cast<std::size_t>(tensor.numel()) != saved.values.size()) {
        throw Error(Kind::kCorrupt, fmt::format("tensor {} is not of its own shape", saved.name));
      }
      std::memcpy(tensor.data_ptr<float>(), saved.values.data(),
                  saved.values.size() * sizeof(float));
      if (saved.name == "items") {
        tables_.of[kTarget] = tensor;
      } else {
        parameters.emplace_back(saved.name, tensor);
      }
    }
    nn::load_parameters(*net_, parameters);
    const std::vector<std::int64_t> wanted = {items + 2, options_.dim};
    if (!tables_.of[kTarget].defined() || tables_.of[kTarget].sizes().vec() != wanted) {
      throw Error(Kind::kCorrupt, fmt::format("tensor items of model {} is not [{}, {}]", name_,
                                              items + 2, options_.dim));
    }
    details_ = details;
    finish();
  }

  Json details() const override { return details_; }

  Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const override {
    check_domain(domain);
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> parts;
    for (std::size_t begin = 0; begin < queries.size(); begin += kQueriesAtOnce) {
      parts.push_back(
          vectors_of(queries.subspan(begin, std::min(kQueriesAtOnce, queries.size() - begin))));
    }
    return nn::to_matrix(parts.empty() ? torch::empty({0, options_.dim}) : torch::cat(parts));
  }

  Matrix item_vectors(const Domain& domain) const override {
    check_domain(domain);
    return nn::to_matrix(tables_.of[kTarget].narrow(0, 0, items()));
  }

  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    return score_by_vectors(*this, domain, queries, candidates);
  }

 private:
  void check_task(const TrainTask& task, const FitContext& context) const {
    if (variant_ == Variant::kRecGuru && (!task.source || task.source->data == nullptr)) {
      throw Error(Kind::kUnsupported, fmt::format("{} needs a source domain", name_), {},
                  "pass --source, or train autorec on the target alone");
    }
    require_target(task, name_);
    if (context.device != "cpu") {
      throw Error(Kind::kBadOption,
                  fmt::format("{} trains on the CPU, device is {}", name_, quote(context.device)),
                  "--device", "leave the option out");
    }
  }

  // Parameters that recommending needs: not the decoders', nor the source's positions.
  static bool serves(const std::string& name) {
    return !name.starts_with("decoder_") && name != "positions_a";
  }

  std::int64_t items() const { return tables_.of[kTarget].size(0) - 2; }

  Net& net() const {
    if (!net_) throw Error(Kind::kInternal, fmt::format("{} is used before fit()", name_));
    return *net_;
  }

  void finish() {
    net_->eval();
    for (torch::Tensor parameter : net_->parameters()) parameter.requires_grad_(false);
    tables_.of[kTarget].requires_grad_(false);
  }

  void check_domain(const Domain& domain) const {
    net();
    require_items(domain, static_cast<std::size_t>(items()), name_);
  }

  torch::Tensor vectors_of(std::span<const Query> queries) const {
    PackedRows encoder;
    PackedRows decoder;
    // As in training [past+empty]: what comes before the answer reads the user vector of nobody.
    const bool two_vectors = net().has_encoder() && options_.finetune_user == "past+empty";
    std::vector<std::int64_t> parts;
    if (two_vectors) parts.push_back(0);
    for (const Query& query : queries) {
      for (const Event& event : query.history) {
        if (event.item < items()) continue;
        throw Error(Kind::kBadInput,
                    fmt::format("a history holds item {}, the domain has {}", event.item, items()));
      }
      if (two_vectors) push_encoder({}, items(), options_.max_length, nullptr, encoder);
      push_encoder(query.history, items(), options_.max_length, nullptr, encoder);
      push_decoder(query.history, items(), options_.max_length, true, nullptr, decoder);
      if (!two_vectors) continue;
      parts.push_back(decoder.rows() - 1);
      parts.push_back(decoder.rows());
    }
    Rng unused(0);
    const torch::Tensor& table = tables_.of[kTarget];
    const torch::Tensor h =
        net().has_encoder() ? net().user_vectors(kTarget, table, encoder, unused) : torch::Tensor();
    const torch::Tensor states = net().decode(net().recommender(), kTarget, table, decoder, h,
                                              lengths_of(encoder), unused, parts);
    std::vector<std::int64_t> last;
    for (std::size_t q = 1; q < decoder.offsets.size(); ++q) {
      last.push_back(decoder.offsets[q] - 1);
    }
    return states.index_select(0, nn::index_tensor(last, torch::kCPU));
  }

  const char* name_;
  Variant variant_;
  Options options_;
  std::shared_ptr<Net> net_;
  Tables tables_;
  Json details_ = Json::object();
};

// The profile decides what the options that are not given are.
Options options_of(const OptionValues& values, Variant variant) {
  Options chosen;
  for (const auto& [name, value] : values) {
    if (name == "profile") set_option(chosen, name, value);
  }
  Options options = profile_options(chosen.profile, variant != Variant::kRecGuru);
  for (const auto& [name, value] : values) set_option(options, name, value);
  return options;
}

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  return std::make_unique<Model>("recguru", Variant::kRecGuru,
                                 options_of(values, Variant::kRecGuru));
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::recguru

namespace kindling::autorec {

std::unique_ptr<Recommender> make(const OptionValues& values) {
  return std::make_unique<recguru::Model>("autorec", recguru::Variant::kAutoRec,
                                          recguru::options_of(values, recguru::Variant::kAutoRec));
}

std::vector<OptionInfo> describe() { return recguru::describe(); }

}  // namespace kindling::autorec

namespace kindling::seqrec {

std::unique_ptr<Recommender> make(const OptionValues& values) {
  return std::make_unique<recguru::Model>("seqrec", recguru::Variant::kSeqRec,
                                          recguru::options_of(values, recguru::Variant::kSeqRec));
}

std::vector<OptionInfo> describe() { return recguru::describe(); }

}  // namespace kindling::seqrec
