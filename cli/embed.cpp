// kindling embed DIR --encoder MODEL_DIR|lsa|hash: one vector for each item, from its text or from
// a file of the user's.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/base/text.h"
#include "kindling/text/embed_catalogue.h"

namespace kindling::cli {

namespace {

struct Arguments {
  std::string directory;
  std::string encoder;
  std::string vectors;
  std::string space;
  std::string name;
  std::string cache;
  std::vector<std::string> fit_on;
  std::vector<std::string> settings;
  double whiten = -1;
  std::string dtype = "f32";
};

EncoderOptions read_options(const Arguments& arguments) {
  EncoderOptions options;
  std::vector<std::string> known;
  for (const OptionInfo& option : options_of_encoder(arguments.encoder)) {
    known.push_back(option.name);
  }
  const bool no_weights = needs_no_weights(arguments.encoder);
  const bool is_there = no_weights || std::filesystem::is_directory(arguments.encoder);
  for (const auto& [name, value] : parse_settings(arguments.settings, "--set")) {
    set_option(options, name, value);
    if (!is_there || std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw Error(Kind::kBadOption,
                fmt::format("{} reads no {}", no_weights ? arguments.encoder : "a model directory",
                            quote(name)),
                "--set", fmt::format("its options are: {}", join(known, ", ")));
  }
  return options;
}

// What has no effect is refused before any work.
void check_use(const Arguments& arguments) {
  const bool fits = arguments.encoder == "lsa" || arguments.whiten >= 0;
  if (!arguments.fit_on.empty() && !fits) {
    throw Error(Kind::kBadOption, "nothing is fitted", "--fit-on",
                "lsa and --whiten are fitted on texts");
  }
  if (!arguments.cache.empty() && needs_no_weights(arguments.encoder)) {
    throw Error(Kind::kBadOption, fmt::format("{} is not cached", arguments.encoder), "--cache",
                "vectors of a model directory are");
  }
}

std::string default_name(const Arguments& arguments) {
  const std::string from = arguments.vectors.empty() ? arguments.encoder : arguments.vectors;
  std::filesystem::path path = std::filesystem::path(from).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return arguments.vectors.empty() ? path.filename().string() : path.stem().string();
}

ItemVectors make_vectors(const Arguments& arguments, const Dataset& dataset, EmbedCounts& counts) {
  const std::optional<double> whitening =
      arguments.whiten >= 0 ? std::optional(arguments.whiten) : std::nullopt;
  if (!arguments.vectors.empty()) {
    ItemVectors given = import_item_vectors(arguments.vectors, dataset, arguments.space);
    if (!whitening) return given;
    return whiten(given, Matrix(0, given.dim()), *whitening, {items_fingerprint(dataset)});
  }
  EmbedRequest request;
  request.encoder = arguments.encoder;
  request.options = read_options(arguments);
  for (const std::string& other : arguments.fit_on) request.fit_on.push_back(load_dataset(other));
  request.whitening = whitening;
  request.cache = arguments.cache;
  if (request.cache.empty()) {
    request.cache = (std::filesystem::path(arguments.directory) / "vectors" / ".cache").string();
  }
  return embed_catalogue(dataset, request, &counts);
}

void run_embed(const Arguments& arguments, const Common& common) {
  if (arguments.encoder.empty() && arguments.vectors.empty()) {
    throw Error(Kind::kBadOption, "give either --encoder or --vectors", "embed");
  }
  check_use(arguments);
  const Dataset dataset = load_dataset(arguments.directory);
  const std::string name = arguments.name.empty() ? default_name(arguments) : arguments.name;
  const std::string path = vectors_path(arguments.directory, name);
  EmbedCounts counts;
  const ItemVectors vectors = make_vectors(arguments, dataset, counts);
  save_item_vectors(vectors, dataset, path,
                    arguments.dtype == "f16" ? VectorStorage::kF16 : VectorStorage::kF32);

  const double rate =
      counts.seconds > 0 ? static_cast<double>(counts.encoded) / counts.seconds : 0.0;
  const Json summary = {{"path", path},
                        {"encoder", vectors.encoder},
                        {"fingerprint", vectors.fingerprint},
                        {"items", vectors.items()},
                        {"dim", vectors.dim()},
                        {"dtype", arguments.dtype},
                        {"texts_encoded", counts.encoded},
                        {"texts_per_second", rate},
                        {"seconds", counts.seconds},
                        {"empty_texts", counts.empty},
                        {"mean_norm", mean_norm(vectors.values)},
                        {"anisotropy", anisotropy(vectors.values)}};
  if (common.json) return print_json(summary);
  log_info("{}: {} vectors of width {}, {:.0f} texts/s, {} empty texts", path, vectors.items(),
           vectors.dim(), rate, counts.empty);
}

}  // namespace

void add_embed(CLI::App& app, Common& common) {
  CLI::App* verb = app.add_subcommand("embed", "make one vector for each item of a dataset");
  const auto arguments = std::make_shared<Arguments>();
  verb->add_option("dataset", arguments->directory, "dataset directory")->required();
  verb->add_option("--encoder", arguments->encoder, "lsa, hash or a Hugging Face model directory");
  verb->add_option("--vectors", arguments->vectors,
                   "use this matrix instead: .npy or .safetensors, a row for each item in order");
  verb->add_option("--space", arguments->space, "files of the same space hold comparable vectors");
  verb->add_option("--name", arguments->name, "name of the vectors; default: the encoder's");
  verb->add_option("--fit-on", arguments->fit_on,
                   "further datasets that lsa and --whiten are fitted on, to share a space");
  verb->add_option("--whiten", arguments->whiten, "whitening exponent; 1: full, below: partial")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--dtype", arguments->dtype,
                   "how the file keeps the values; f16 is rounded and takes half the space [Z6]")
      ->check(CLI::IsMember({"f32", "f16"}))
      ->capture_default_str();
  verb->add_option("--cache", arguments->cache, "folder of the cache; default: beside the vectors");
  verb->add_option("--set", arguments->settings,
                   "key=value; hash: dim; lsa: dim, seed; models: max_tokens, pooling, prompt");
  for (const char* of_encoders : {"--encoder", "--fit-on", "--set", "--cache"}) {
    verb->get_option("--vectors")->excludes(of_encoders);
  }
  verb->get_option("--space")->needs("--vectors");
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_embed(*arguments, common); });
}

}  // namespace kindling::cli
