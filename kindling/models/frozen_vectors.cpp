#include "kindling/models/frozen_vectors.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/base/log.h"
#include "kindling/base/parallel.h"
#include "kindling/data/safetensors.h"
#include "kindling/kernels/bpr_step.h"
#include "kindling/kernels/implicit_als.h"
#include "kindling/models/store.h"
#include "kindling/models/train_run.h"
#include "kindling/models/vectors.h"

namespace kindling::frozen {

namespace {

std::vector<UserItem> interactions_of(const Dataset& world) {
  std::vector<UserItem> pairs;
  pairs.reserve(world.event_count());
  for (UserId user = 0; user < world.user_count(); ++user) {
    for (const Event& event : world.history(user)) pairs.push_back({user, event.item});
  }
  if (pairs.empty()) throw Error(Kind::kBadInput, "the world holds no interactions", "scenarios");
  return pairs;
}

Matrix random_rows(std::size_t rows, const std::vector<bool>& seen, const FrozenOptions& options,
                   Rng rng) {
  Matrix values(rows, static_cast<std::size_t>(options.dim));
  for (std::size_t r = 0; r < rows; ++r) {
    for (float& value : values.row(r)) {
      const auto draw = static_cast<float>(options.deviation * rng.normal());
      if (seen[r]) value = draw;
    }
  }
  return values;
}

// Vectors before training: zero for what has no interaction.
FrozenVectors start_of(const ScenarioSet& set, const std::vector<UserItem>& pairs,
                       const FrozenOptions& options, const Rng& rng) {
  std::vector<bool> users(set.world.user_count(), false);
  std::vector<bool> items(set.world.item_count(), false);
  for (const auto& [user, item] : pairs) {
    users[user] = true;
    items[item] = true;
  }
  FrozenVectors vectors;
  vectors.users = random_rows(users.size(), users, options, rng.fork("users"));
  vectors.items = random_rows(items.size(), items, options, rng.fork("items"));
  return vectors;
}

// Uniform over the items of the positive's side that have interactions, never one of the user's.
class Opponents {
 public:
  Opponents(const ScenarioSet& set, const std::vector<UserItem>& pairs, bool by_side)
      : by_side_(by_side), source_items_(set.source_items), chosen_(set.world.user_count()) {
    std::vector<bool> seen(set.world.item_count(), false);
    for (const auto& [user, item] : pairs) {
      chosen_[user].push_back(item);
      seen[item] = true;
    }
    for (auto& items : chosen_) std::sort(items.begin(), items.end());
    for (ItemId item = 0; item < seen.size(); ++item) {
      if (seen[item]) pools_[side_of(item)].push_back(item);
    }
  }

  ItemId draw(UserId user, ItemId positive, Rng& rng) const {
    const auto& pool = pools_[side_of(positive)];
    const auto& own = chosen_[user];
    constexpr int kTries = 20;
    ItemId item = positive;
    for (int n = 0; n < kTries; ++n) {
      item = pool[rng.below(pool.size())];
      if (!std::binary_search(own.begin(), own.end(), item)) break;
    }
    return item;
  }

 private:
  std::size_t side_of(ItemId item) const { return by_side_ && item >= source_items_ ? 1 : 0; }
  bool by_side_;
  std::uint32_t source_items_;
  std::vector<std::vector<ItemId>> chosen_;
  std::vector<ItemId> pools_[2];
};

FrozenVectors learn_bpr(const ScenarioSet& set, const FrozenOptions& options, const Rng& rng) {
  auto pairs = interactions_of(set.world);
  FrozenVectors vectors = start_of(set, pairs, options, rng);
  const std::size_t dim = vectors.dim();
  const Opponents opponents(set, pairs, options.negatives == "side");
  Matrix user_sums(vectors.users.rows(), dim);
  Matrix item_sums(vectors.items.rows(), dim);
  const kernels::BprRates rates{static_cast<float>(options.learning_rate),
                                static_cast<float>(options.l2)};
  Progress progress("bpr vectors", static_cast<std::uint64_t>(options.epochs));
  for (std::int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    Rng draw = rng.fork("epoch", static_cast<std::uint64_t>(epoch));
    shuffle(std::span(pairs), draw);
    double loss = 0.0;
    for (const auto& [user, positive] : pairs) {
      const ItemId negative = opponents.draw(user, positive, draw);
      if (negative == positive) continue;  // the user has chosen everything
      loss +=
          kernels::bpr_step(rates, dim, vectors.users.row(user).data(), user_sums.row(user).data(),
                            vectors.items.row(positive).data(), item_sums.row(positive).data(),
                            vectors.items.row(negative).data(), item_sums.row(negative).data());
    }
    progress.step(1, fmt::format("loss {:.4f}", loss / static_cast<double>(pairs.size())));
  }
  return vectors;
}

// Who chose what, by row: offsets and flat ids.
struct Choices {
  std::vector<std::size_t> offsets;
  std::vector<std::uint32_t> ids;
};

Choices choices_of(std::vector<UserItem> pairs, std::size_t rows, bool by_user) {
  if (!by_user) {
    for (auto& [user, item] : pairs) std::swap(user, item);
  }
  const auto before = [](const UserItem& a, const UserItem& b) {
    return a.user != b.user ? a.user < b.user : a.item < b.item;
  };
  std::sort(pairs.begin(), pairs.end(), before);
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  Choices choices{std::vector<std::size_t>(rows + 1, 0), {}};
  for (const auto& [row, id] : pairs) {
    ++choices.offsets[row + 1];
    choices.ids.push_back(id);
  }
  for (std::size_t r = 0; r < rows; ++r) choices.offsets[r + 1] += choices.offsets[r];
  return choices;
}

void solve_rows(const Choices& choices, const Matrix& fixed, const FrozenOptions& options,
                Matrix& rows) {
  constexpr std::size_t kSteps = 3;
  constexpr std::size_t kGrain = 64;
  const std::size_t dim = rows.cols();
  std::vector<float> gram(dim * dim);
  kernels::als_gram(fixed.data(), fixed.rows(), dim, static_cast<float>(options.als_l2),
                    gram.data());
  parallel_for(rows.rows(), kGrain, [&](std::size_t begin, std::size_t end) {
    std::vector<float> scratch(3 * dim);
    for (std::size_t r = begin; r < end; ++r) {
      const std::size_t first = choices.offsets[r];
      const std::size_t count = choices.offsets[r + 1] - first;
      if (count == 0) continue;
      kernels::als_solve(gram.data(), fixed.data(), choices.ids.data() + first, count,
                         static_cast<float>(options.confidence), kSteps, dim, scratch.data(),
                         rows.row(r).data());
    }
  });
}

FrozenVectors learn_als(const ScenarioSet& set, const FrozenOptions& options, const Rng& rng) {
  const auto pairs = interactions_of(set.world);
  FrozenVectors vectors = start_of(set, pairs, options, rng);
  const Choices of_users = choices_of(pairs, vectors.users.rows(), true);
  const Choices of_items = choices_of(pairs, vectors.items.rows(), false);
  Progress progress("als vectors", static_cast<std::uint64_t>(options.sweeps));
  for (std::int64_t sweep = 0; sweep < options.sweeps; ++sweep) {
    solve_rows(of_users, vectors.items, options, vectors.users);
    solve_rows(of_items, vectors.users, options, vectors.items);
    progress.step(1);
  }
  return vectors;
}

// A user's vector comes from the source history: the scenarios' pairs stay out of it [S4].
// `directory`: the world's.
FrozenVectors take_universal(const Dataset& world, const FrozenOptions& options,
                             const std::string& directory) {
  if (options.model.empty()) {
    throw Error(Kind::kBadOption, "universal vectors come from a trained model", "model",
                "--vector-set model=MODEL_DIR, made with kindling train zesrec");
  }
  const LoadedModel loaded = load_model(options.model);
  const auto* model = dynamic_cast<const VectorRecommender*>(loaded.model.get());
  if (model == nullptr) {
    throw Error(Kind::kUnsupported,
                fmt::format("{} has no vectors of users and items", loaded.record.model),
                options.model);
  }
  const ItemVectors texts = open_item_vectors(directory, options.text_vectors, world);
  check_vectors(loaded.record, texts);
  const Domain domain{&world, &texts};
  std::vector<Query> queries(world.user_count());
  for (UserId user = 0; user < queries.size(); ++user) {
    const auto history = world.history(user);
    // Target-only users have no other history than that of the scenarios.
    queries[user].history = history;
  }
  FrozenVectors vectors;
  vectors.items = model->item_vectors(domain);
  constexpr std::size_t kBlock = 2048;
  for (std::size_t begin = 0; begin < queries.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, queries.size() - begin);
    const Matrix part = model->user_vectors(domain, std::span(queries).subspan(begin, count));
    if (begin == 0) vectors.users = Matrix(queries.size(), part.cols());
    std::copy_n(part.data(), count * part.cols(), vectors.users.row(begin).data());
  }
  return vectors;
}

void scale_rows(Matrix& vectors, double length) {
  normalise_rows(vectors);
  for (std::size_t i = 0; i < vectors.rows() * vectors.cols(); ++i) {
    vectors.data()[i] *= static_cast<float>(length);
  }
}

// Rows [rows, cols] and one value more each; a row of zeros stays one.
Matrix with_column(const Matrix& rows, const std::vector<double>& values) {
  Matrix wider(rows.rows(), rows.cols() + 1);
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    const auto from = rows.row(r);
    if (std::all_of(from.begin(), from.end(), [](float v) { return v == 0.0F; })) continue;
    std::copy(from.begin(), from.end(), wider.row(r).begin());
    wider(r, rows.cols()) = static_cast<float>(values[r]);
  }
  return wider;
}

// What an item's bias would learn from the same interactions: ln(1 + count), mean 0 and deviation 1
// over the items that have any.
void append_popularity(const Dataset& world, FrozenVectors& vectors) {
  std::vector<double> counts(world.item_count(), 0.0);
  for (const auto& [user, item] : interactions_of(world)) counts[item] += 1.0;
  double sum = 0.0;
  double squares = 0.0;
  double known = 0.0;
  for (double& count : counts) {
    if (count == 0.0) continue;
    count = std::log1p(count);
    sum += count;
    squares += count * count;
    known += 1.0;
  }
  const double mean = sum / known;
  const double deviation = std::sqrt(std::max(0.0, squares / known - mean * mean));
  const double scale = deviation > 0.0 ? 1.0 / deviation : 0.0;
  for (double& count : counts) count = count > 0.0 ? (count - mean) * scale : -mean * scale;
  vectors.users = with_column(vectors.users, std::vector<double>(vectors.users.rows(), 1.0));
  vectors.items = with_column(vectors.items, counts);
}

// What every method's vectors go through.
void finish(const Dataset& world, const FrozenOptions& options, FrozenVectors& vectors) {
  if (options.length > 0.0) {
    scale_rows(vectors.users, options.length);
    scale_rows(vectors.items, options.length);
  }
  if (options.popularity) append_popularity(world, vectors);
}

Json recipe_of(const ScenarioSet& set, const FrozenOptions& options) {
  Json recipe = {{"options", options_to_json(options)}, {"scenarios", set.fingerprint()}};
  if (!options.model.empty()) {
    recipe["model_manifest"] = sha256_file(options.model + "/manifest.json");
  }
  return recipe;
}

}  // namespace

}  // namespace kindling::frozen

namespace kindling {

FrozenVectors make_frozen_vectors(const ScenarioSet& set, const FrozenOptions& options,
                                  const std::string& directory) {
  const Rng rng = Rng(static_cast<std::uint64_t>(options.vector_seed)).fork("frozen vectors");
  FrozenVectors vectors;
  if (options.method == "bpr") {
    vectors = frozen::learn_bpr(set, options, rng);
  } else if (options.method == "als") {
    vectors = frozen::learn_als(set, options, rng);
  } else {
    vectors = frozen::take_universal(set.world, options, directory + "/world");
  }
  frozen::finish(set.world, options, vectors);
  vectors.recipe = frozen::recipe_of(set, options);
  return vectors;
}

FrozenVectors universal_vectors(const Dataset& world, const std::string& directory,
                                const Json& recipe, const std::string& model,
                                const std::string& text_vectors) {
  FrozenOptions options;
  options_from_json(options, recipe.at("options"));
  if (options.method != "universal") {
    throw Error(
        Kind::kBadOption,
        fmt::format("the model knows users and items by {} vectors, which only those of its "
                    "scenarios have",
                    options.method),
        "--world", "train it with --vectors universal");
  }
  if (!model.empty()) options.model = model;
  options.text_vectors = text_vectors;
  FrozenVectors vectors = frozen::take_universal(world, options, directory);
  if (sha256_file(options.model + "/manifest.json") != recipe.at("model_manifest")) {
    throw Error(Kind::kBadOption, "not the model that made the few-shot model's vectors",
                options.model, "name that one with --universal DIR");
  }
  frozen::finish(world, options, vectors);
  vectors.recipe = recipe;
  vectors.recipe["world"] = world.fingerprint();
  return vectors;
}

FrozenVectors cached_frozen_vectors(const ScenarioSet& set, const FrozenOptions& options,
                                    const std::string& directory) {
  const Json recipe = frozen::recipe_of(set, options);
  const std::string key = sha256(recipe.dump());
  const auto folder = std::filesystem::path(directory) / "vectors";
  const std::string path = (folder / (key.substr(0, 16) + ".safetensors")).string();
  if (std::filesystem::exists(path)) {
    try {
      const SafetensorsFile file(path);
      FrozenVectors vectors{file.matrix("users"), file.matrix("items"), recipe};
      if (file.metadata().at("key") == key && vectors.users.rows() == set.world.user_count() &&
          vectors.items.rows() == set.world.item_count() &&
          vectors.users.cols() == vectors.items.cols()) {
        return vectors;
      }
    } catch (const std::exception& error) {
      log_warning("the cached vectors are damaged and made again: {}", error.what());
    }
  }
  FrozenVectors vectors = make_frozen_vectors(set, options, directory);
  make_directories(folder);
  write_safetensors(path,
                    {tensor_view("users", vectors.users), tensor_view("items", vectors.items)},
                    {{"key", key}, {"recipe", recipe.dump()}});
  return vectors;
}

}  // namespace kindling
