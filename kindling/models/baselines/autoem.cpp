// AutoEM: MFEM with the states of a sequence model, position by position, in place of a user's
// vector.
//
// Source: Li et al., RecGURU, WSDM 2022, and the script in its code's history (specs/baselines.md
//         C); the map is that of Man et al., IJCAI 2017.
// Differs: the base is AutoRec, as the paper says, not the code's SAS path; pads do not exist;
//          gradients are zero between steps of the map [B15]. The state at a position is what
//          AutoRec answers to the events up to it, so it has not seen what comes next: the code
//          reads one user vector from the whole sequence. The best state is that of the best
//          validation HR@10 [R14].
//
//   1 AutoRec in each domain, then frozen        p_t(u, n), p_s(u, n): state after n events; q_t
//   2 map(p_t) -> p_s on shared users            positions aligned from the last one backwards;
//                                                80 % train, 20 % pick the epoch
//   3 merge([p_t ; p_s or map(p_t)]) · q_t       loss (12): mean over the positions of a batch of
//                                                shared users + mean over one of the others'
#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/models/baselines/autoem_stages.h"
#include "kindling/models/recguru/options.h"
#include "kindling/models/recguru/steps.h"
#include "kindling/models/registry.h"
#include "kindling/models/vectors.h"
#include "kindling/nn/tensors.h"

namespace kindling::autoem {

namespace {

struct Options {
  recguru::Options base;
  StageOptions stages;

  template <class Visitor>
  void fields(Visitor& field) {
    base.fields(field);
    stages.fields(field);
  }
};

class AutoEm : public VectorRecommender {
 public:
  AutoEm(Options options, OptionValues base)
      : options_(std::move(options)), base_options_(std::move(base)) {
    base_ = make_base(base_options_);
  }

  void fit(const TrainTask& task, FitContext& context) override {
    require_both(task);
    nn::use_base_threads();
    const Dataset& target = *task.target_train->data;
    const Dataset& source = *task.source->data;
    const std::vector<SharedUser> shared = require_shared_users(target, source, "autoem");
    const TestItems leaked = recguru::leaked_items(options_.base.negatives_exclude, task);
    fit_base(*base_, *task.target_train, leaked.target, "target", context);
    const auto other = make_base(source_options(base_->details()));
    context.require_time("autoem");
    FitContext alone;
    fit_other(*other, *task.source, leaked.source, context, alone);
    context.require_time("autoem");
    const auto kept = static_cast<std::size_t>(options_.base.max_length - 1);  // [eos] is one more
    const States here = states_of(*base_, target, kept);
    const States there = states_of(*other, source, kept);
    const Rng rng = Rng(context.seed).fork("autoem");
    make_nets(rng.fork("weights"));
    learn_map(options_.stages, here, there, shared, rng.fork("map"), *map_);
    remember_last(target, there, shared);
    const recguru::DomainData data(target, leaked.target);
    const MergeTask merge{data,
                          here,
                          positions_of(target, here, there, shared, *map_),
                          nn::copy_matrix(base_->item_vectors({&target, nullptr})),
                          shared,
                          options_.base.finetune_negatives,
                          options_.base.finetune_loss};
    std::function<double()> ask;
    if (context.validate) ask = [&] { return context.validate(*this); };
    const auto hits = learn_merge(options_.stages, merge, rng.fork("merge"), context, ask, *merge_);
    if (hits) record(context, *hits);
    freeze();
  }

  Matrix score(const Domain& domain, std::span<const Query> queries,
               std::span<const ItemId> candidates) const override {
    return score_by_vectors(*this, domain, queries, candidates);
  }

  Matrix item_vectors(const Domain& domain) const override { return base_->item_vectors(domain); }

  Matrix user_vectors(const Domain& domain, std::span<const Query> queries) const override {
    Matrix own = base_->user_vectors(domain, queries);
    if (!merge_) return own;  // stage 1 asks for its validation
    const torch::NoGradGuard no_grad;
    const torch::Tensor target = nn::copy_matrix(own);
    torch::Tensor other = map_->forward(target);
    const bool same_users = domain.data == nullptr || domain.data->user_count() == partner_.size();
    for (std::size_t q = 0; q < queries.size() && same_users; ++q) {
      const auto user = queries[q].user;
      if (!user || *user >= partner_.size() || partner_[*user] < 0) continue;
      other[static_cast<std::int64_t>(q)].copy_(last_[partner_[*user]]);
    }
    return nn::to_matrix(merge_->forward(target, other));
  }

  ModelState state() const override {
    ModelState all;
    for (NamedTensor& tensor : base_->state()) {
      tensor.name = "base." + tensor.name;
      all.push_back(std::move(tensor));
    }
    const auto add = [&](const std::string& name, const torch::Tensor& tensor) {
      const torch::Tensor values = tensor.detach().contiguous();
      const float* first = values.data_ptr<float>();
      all.push_back({name, values.sizes().vec(), {first, first + values.numel()}});
    };
    for (const auto& parameter : map_->named_parameters()) {
      add("map." + parameter.key(), parameter.value());
    }
    for (const auto& parameter : merge_->named_parameters()) {
      add("merge." + parameter.key(), parameter.value());
    }
    add("shared.states", last_);
    Matrix marks(partner_.size(), 1);
    for (std::size_t u = 0; u < partner_.size(); ++u) marks(u, 0) = partner_[u] >= 0 ? 1.0F : 0.0F;
    all.push_back(named_tensor("shared.users", marks));
    return all;
  }

  void load_state(const ModelState& state, const Json& details) override {
    nn::use_base_threads();
    ModelState base;
    nn::NamedTensors map, merge;
    const Matrix marks = matrix_of(state, "shared.users", "autoem");
    const Matrix last = matrix_of(state, "shared.states", "autoem");
    for (const NamedTensor& saved : state) {
      const auto tensor = [&] {
        return torch::from_blob(const_cast<float*>(saved.values.data()), saved.shape).clone();
      };
      if (saved.name.starts_with("base.")) {
        base.push_back({saved.name.substr(5), saved.shape, saved.values});
      } else if (saved.name.starts_with("map.")) {
        map.emplace_back(saved.name.substr(4), tensor());
      } else if (saved.name.starts_with("merge.")) {
        merge.emplace_back(saved.name.substr(6), tensor());
      }
    }
    base_->load_state(base, details);
    make_nets(Rng(0));
    nn::load_parameters(*map_, map);
    nn::load_parameters(*merge_, merge);
    partner_.clear();
    std::int64_t shared = 0;
    for (std::size_t u = 0; u < marks.rows(); ++u) {
      partner_.push_back(marks(u, 0) > 0.0F ? shared++ : -1);
    }
    if (static_cast<std::size_t>(shared) != last.rows() ||
        static_cast<std::int64_t>(last.cols()) != options_.base.dim) {
      throw Error(Kind::kCorrupt, "the shared users of a model autoem do not fit their states");
    }
    last_ = nn::copy_matrix(last);
    freeze();
  }

  // AutoRec's, but for the validation: that is the merged model's.
  Json details() const override {
    Json all = base_->details();
    if (merged_hits_) all["validation_hr@10"] = *merged_hits_;
    return all;
  }

 private:
  static std::unique_ptr<VectorRecommender> make_base(const OptionValues& values) {
    auto made = make_model("autorec", values);
    auto* vectors = dynamic_cast<VectorRecommender*>(made.get());
    check(vectors != nullptr, "autorec has vectors");
    made.release();
    return std::unique_ptr<VectorRecommender>(vectors);
  }

  static void require_both(const TrainTask& task) {
    require_source(task, "autoem");
    require_target(task, "autoem");
  }

  // Stage 1, with a checkpoint of its own.
  static void fit_base(Recommender& base, const Domain& domain,
                       const std::vector<std::vector<ItemId>>& leaked, const std::string& name,
                       FitContext& context) {
    const std::string folder = context.checkpoint;
    if (!folder.empty()) context.checkpoint = folder + "/" + name;
    TrainTask task;
    task.target_train = domain;
    task.test_items = [&] { return TestItems{{}, leaked}; };
    base.fit(task, context);
    context.checkpoint = folder;
  }

  // The source has no validation events here: it is trained for as long as the target's best state
  // was.
  OptionValues source_options(const Json& target) const {
    OptionValues values = base_options_;
    std::erase_if(values, [](const auto& option) {
      return option.first == "finetune_steps" || option.first == "patience";
    });
    const std::int64_t steps = target.contains("best_step")
                                   ? target["best_step"].get<std::int64_t>()
                                   : options_.base.finetune_steps;
    values.emplace_back("finetune_steps", std::to_string(steps));
    values.emplace_back("patience", "0");
    return values;
  }

  static void fit_other(Recommender& other, const Domain& domain,
                        const std::vector<std::vector<ItemId>>& leaked, const FitContext& context,
                        FitContext& alone) {
    alone.seed = Rng(context.seed).fork("autoem source").seed();
    alone.checkpoint = context.checkpoint;
    alone.resume = context.resume;
    alone.should_stop = context.should_stop;
    alone.max_seconds = context.seconds_left();
    fit_base(other, domain, leaked, "source", alone);
  }

  void make_nets(const Rng& rng) {
    Rng weights = rng;
    map_ = std::make_shared<MapNet>(options_.base.dim, weights);
    merge_ = std::make_shared<MergeNet>(options_.base.dim, weights);
  }

  void freeze() {
    for (torch::Tensor parameter : map_->parameters()) parameter.requires_grad_(false);
    for (torch::Tensor parameter : merge_->parameters()) parameter.requires_grad_(false);
  }

  // What score() needs of the source: the last state of each shared user.
  void remember_last(const Dataset& target, const States& there,
                     const std::vector<SharedUser>& shared) {
    std::vector<std::int64_t> index(target.user_count(), -1);
    for (const SharedUser& user : shared) {
      if (there.count(user.second) > 0) index[user.first] = there.offsets[user.second + 1] - 1;
    }
    partner_.assign(target.user_count(), -1);
    std::vector<std::int64_t> kept;
    for (std::size_t u = 0; u < index.size(); ++u) {
      if (index[u] < 0) continue;
      partner_[u] = static_cast<std::int64_t>(kept.size());
      kept.push_back(index[u]);
    }
    last_ = there.values.index_select(0, nn::index_tensor(kept, torch::kCPU)).clone();
  }

  // The last line of the curve is the merged model's.
  void record(FitContext& context, double hits) {
    merged_hits_ = hits;
    EpochRecord last;
    if (!context.history.empty()) last = context.history.back();
    ++last.epoch;
    last.validation_hr = hits;
    context.history = {last};
    if (context.on_epoch) context.on_epoch(last);
  }

  Options options_;
  OptionValues base_options_;  // as given: a profile decides the others
  std::unique_ptr<VectorRecommender> base_;
  std::shared_ptr<MapNet> map_;
  std::shared_ptr<MergeNet> merge_;
  std::vector<std::int64_t> partner_;  // [users] row of last_, or -1
  torch::Tensor last_;                 // [shared, D] the source's last states
  std::optional<double> merged_hits_;  // HR@10 on validation of the best merged state
};

}  // namespace

std::unique_ptr<Recommender> make(const OptionValues& values) {
  Options options;
  for (const auto& [name, value] : values) {
    if (name == "profile") set_option(options, name, value);
  }
  options.base = recguru::profile_options(options.base.profile, true);
  OptionValues base;
  const std::vector<OptionInfo> known = find_model("autorec").describe();
  for (const auto& [name, value] : values) {
    set_option(options, name, value);
    if (std::any_of(known.begin(), known.end(),
                    [&name = name](const OptionInfo& info) { return info.name == name; })) {
      base.emplace_back(name, value);
    }
  }
  return std::make_unique<AutoEm>(options, base);
}

std::vector<OptionInfo> describe() { return describe_options(Options{}); }

}  // namespace kindling::autoem
