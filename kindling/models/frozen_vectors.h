// Vectors of a world's users and items, learnt once and then left alone.
//
//   FrozenOptions options;                          // BPR-MF as in s2Meta's set-up
//   const FrozenVectors vectors = cached_frozen_vectors(set, options, "scenarios/beauty");
//
// Learnt from the world's interactions only, which S4 allows: the source's, and those of
// target-only users. Users and items without any get a zero row.
//   bpr        matrix factorisation by Bayesian personalised ranking, Adagrad [S4]
//   als        implicit alternating least squares [S4]
//   universal  from a trained model of text vectors (ZESRec): an item's vector from its text, a
//              user's from the source history; beyond the paper: items and users never seen
//              before have one
// The lengths of learnt vectors differ by orders of magnitude (and hold an item's popularity);
// `length` makes them equal, `popularity` says outright what the lengths then no longer tell.
// Source: Rendle et al. 2009; Hu, Koren, Volinsky 2008; specs/s2meta.md 2.4.
// Errors: Error{kBadInput} for a world without interactions, Error{kBadOption} for universal
// vectors without a model, Error{kUnsupported} for a model without vectors.
#pragma once

#include <cstdint>
#include <string>

#include "kindling/base/options.h"
#include "kindling/models/few_shot.h"

namespace kindling {

struct FrozenOptions {
  std::string method = "bpr";
  std::int64_t dim = 128;
  std::int64_t epochs = 30;
  double learning_rate = 0.05;
  double l2 = 1e-5;
  double deviation = 0.01;
  std::string negatives = "side";
  std::int64_t sweeps = 15;
  double confidence = 10.0;
  double als_l2 = 1.0;
  std::string model;
  std::string text_vectors;
  double length = 0.0;
  bool popularity = false;
  std::int64_t vector_seed = 1;

  template <class Visitor>
  void fields(Visitor& field) {
    field("method", method, one_of({"bpr", "als", "universal"}), "how vectors are learnt [S4]");
    field("dim", dim, between(1, 4096), "width (paper: 128 Amazon, 64 MovieLens)");
    field("epochs", epochs, kPositive, "bpr: passes over the interactions [S4]");
    field("learning_rate", learning_rate, kPositive, "bpr: Adagrad step size [S4]");
    field("l2", l2, kNotNegative, "bpr: weight of the squared length [S4]");
    field("deviation", deviation, kPositive, "bpr and als: vectors start as N(0, deviation²) [S4]");
    field(
        "negatives", negatives, one_of({"side", "all"}),
        "bpr: the negative is any item of the positive's side (source or scenarios), or any [S4]");
    field("sweeps", sweeps, kPositive, "als: times that users and items are solved [S4]");
    field("confidence", confidence, kNotNegative, "als: extra weight of an interaction [S4]");
    field("als_l2", als_l2, kPositive, "als: weight of the squared length [S4]");
    field("model", model, kAny, "universal: directory of a trained model of text vectors");
    field("text_vectors", text_vectors, kAny,
          "universal: item vectors of the world, a name under DIR/world/vectors; empty: the only");
    field("length", length, kNotNegative,
          "scale every vector to this length; 0: as learnt (paper) [S4]");
    field(
        "popularity", popularity, kAny,
        "one coordinate more, as a factorisation with item biases has: ln(1 + interactions) of an "
        "item, standardised; 1 for a user [S4]");
    field("vector_seed", vector_seed, kNotNegative, "seed of start and negatives");
  }
};

// `directory`: the scenario directory, where universal vectors find the world's text vectors.
FrozenVectors make_frozen_vectors(const ScenarioSet& set, const FrozenOptions& options,
                                  const std::string& directory = {});

// Vectors by the recipe of universal ones for the users and items of another dataset directory,
// which holds their text vectors (`text_vectors`: their name; empty: the only ones): new users and
// items have one too. Popularity is that of `world`. `model`: where the model of text vectors is
// now; empty: where it was. Errors: Error{kBadOption} for a recipe of other vectors, or when the
// model is not the one that made them.
FrozenVectors universal_vectors(const Dataset& world, const std::string& directory,
                                const Json& recipe, const std::string& model = {},
                                const std::string& text_vectors = {});

// The same as make_frozen_vectors through <directory>/vectors/<key>.safetensors; the key is a hash
// of the scenarios' fingerprint and the options (and the model's files). A damaged file is made
// again.
FrozenVectors cached_frozen_vectors(const ScenarioSet& set, const FrozenOptions& options,
                                    const std::string& directory);

}  // namespace kindling
