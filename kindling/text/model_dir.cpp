#include "kindling/text/model_dir.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/json.h"

namespace kindling {

namespace fs = std::filesystem;

namespace {

std::string file_in(const std::string& directory, const std::string& name) {
  return (fs::path(directory) / name).string();
}

Json read_object(const std::string& path) {
  Json object = read_json(path);
  if (!object.is_object()) throw Error(Kind::kBadInput, "is not a JSON object", path);
  return object;
}

std::size_t read_size(const Json& config, const char* key, std::uint64_t limit,
                      const std::string& path) {
  const auto value = json_get<std::uint64_t>(config, key, path);
  if (value == 0 || value > limit) {
    throw Error(Kind::kBadInput, fmt::format("{} is {}, expected 1 to {}", key, value, limit),
                path);
  }
  return value;
}

kernels::Activation read_activation(const Json& config, const std::string& path) {
  const auto name = json_get_or<std::string>(config, "hidden_act", "gelu", path);
  if (name == "gelu") return kernels::Activation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return kernels::Activation::kGeluTanh;
  if (name == "relu") return kernels::Activation::kRelu;
  throw Error(Kind::kUnsupported, "hidden_act " + quote(name) + " is not supported", path);
}

BertConfig read_config(const std::string& path) {
  const Json config = read_object(path);
  const auto type = json_get_or<std::string>(config, "model_type", "", path);
  if (type != "bert") {
    throw Error(Kind::kUnsupported, "model_type " + quote(type) + " is not supported", path,
                "Kindling computes models of type \"bert\" (BERT, MiniLM, BGE, E5, GTE, …)");
  }
  const auto positions =
      json_get_or<std::string>(config, "position_embedding_type", "absolute", path);
  if (positions != "absolute") {
    throw Error(Kind::kUnsupported, "position_embedding_type " + quote(positions), path);
  }
  // Far above any real model, low enough that no product of two overflows.
  constexpr std::uint64_t kMaxWidth = 1U << 16U;
  constexpr std::uint64_t kMaxVocabulary = 1U << 22U;
  constexpr std::uint64_t kMaxLayers = 1024;
  BertConfig bert;
  bert.vocabulary = read_size(config, "vocab_size", kMaxVocabulary, path);
  bert.width = read_size(config, "hidden_size", kMaxWidth, path);
  bert.layers = read_size(config, "num_hidden_layers", kMaxLayers, path);
  bert.heads = read_size(config, "num_attention_heads", kMaxWidth, path);
  bert.inner = read_size(config, "intermediate_size", kMaxWidth * 4, path);
  bert.positions = read_size(config, "max_position_embeddings", kMaxVocabulary, path);
  bert.types = read_size(config, "type_vocab_size", kMaxWidth, path);
  bert.epsilon = json_get_or<double>(config, "layer_norm_eps", bert.epsilon, path);
  bert.activation = read_activation(config, path);
  if (bert.width % bert.heads != 0) {
    throw Error(Kind::kBadInput,
                fmt::format("hidden_size {} is not a multiple of num_attention_heads {}",
                            bert.width, bert.heads),
                path);
  }
  if (!(bert.epsilon >= 0 && bert.epsilon < 1)) {
    throw Error(Kind::kBadInput, fmt::format("layer_norm_eps is {}", bert.epsilon), path);
  }
  return bert;
}

std::vector<Pooling> read_pooling(const std::string& path, const BertConfig& bert) {
  constexpr std::array<std::pair<const char*, Pooling>, 6> kModes = {
      {{"pooling_mode_cls_token", Pooling::kCls},
       {"pooling_mode_max_tokens", Pooling::kMax},
       {"pooling_mode_mean_tokens", Pooling::kMean},
       {"pooling_mode_mean_sqrt_len_tokens", Pooling::kMeanSqrtLength},
       {"pooling_mode_weightedmean_tokens", Pooling::kWeightedMean},
       {"pooling_mode_lasttoken", Pooling::kLastToken}}};
  const Json config = read_object(path);
  const auto width =
      json_get_or<std::uint64_t>(config, "word_embedding_dimension", bert.width, path);
  if (width != bert.width) {
    throw Error(Kind::kBadInput,
                fmt::format("word_embedding_dimension is {}, hidden_size of config.json is {}",
                            width, bert.width),
                path);
  }
  std::vector<Pooling> pooling;
  for (const auto& [key, value] : config.items()) {
    if (!key.starts_with("pooling_mode_")) continue;
    const auto known = std::find_if(kModes.begin(), kModes.end(),
                                    [&name = key](const auto& mode) { return name == mode.first; });
    if (!json_get<bool>(config, key, path)) continue;
    if (known == kModes.end()) {
      throw Error(Kind::kUnsupported, quote(key) + " is not supported", path);
    }
    pooling.push_back(known->second);
  }
  if (pooling.empty()) throw Error(Kind::kUnsupported, "no pooling mode is switched on", path);
  std::sort(pooling.begin(), pooling.end());  // the order in which sentence-transformers joins them
  return pooling;
}

void read_modules(const std::string& path, ModelDir& model) {
  const Json modules = read_json(path);
  if (!modules.is_array()) throw Error(Kind::kBadInput, "is not a list of modules", path);
  for (const Json& module : modules) {
    const auto type = json_get<std::string>(module, "type", path);
    const auto folder = json_get_or<std::string>(module, "path", "", path);
    if (type.ends_with(".Transformer")) {
      if (!folder.empty()) {
        throw Error(Kind::kUnsupported, "the Transformer stands in a folder of its own", path);
      }
    } else if (type.ends_with(".Pooling")) {
      model.pooling =
          read_pooling(file_in(path_inside(model.directory, folder), "config.json"), model.bert);
    } else if (type.ends_with(".Normalize")) {
      model.normalize = true;
    } else {
      throw Error(Kind::kUnsupported, "module " + quote(type) + " is not supported", path);
    }
  }
}

void read_prompt(const std::string& path, std::string& prompt) {
  const Json config = read_object(path);
  if (!config.contains("default_prompt_name") || config.at("default_prompt_name").is_null()) return;
  const auto name = json_get<std::string>(config, "default_prompt_name", path);
  const Json prompts = config.contains("prompts") ? config.at("prompts") : Json::object();
  prompt = json_get<std::string>(prompts, name, path);
}

std::vector<Pooling> chosen_pooling(const ModelDir& model, const std::string& option) {
  if (option == "cls") return {Pooling::kCls};
  if (option == "mean") return {Pooling::kMean};
  if (option == "max") return {Pooling::kMax};
  return model.pooling.empty() ? std::vector<Pooling>{Pooling::kCls} : model.pooling;
}

}  // namespace

ModelDir read_model_dir(const std::string& directory, const EncoderOptions& options) {
  ModelDir model;
  model.directory = directory;
  fs::path last = fs::path(directory).lexically_normal();
  if (!last.has_filename()) last = last.parent_path();
  model.name = last.filename().string();
  model.bert = read_config(file_in(directory, "config.json"));
  model.max_tokens = model.bert.positions;

  const std::string modules = file_in(directory, "modules.json");
  if (fs::exists(modules)) read_modules(modules, model);
  model.pooling = chosen_pooling(model, options.pooling);

  const std::string sentence = file_in(directory, "sentence_bert_config.json");
  if (fs::exists(sentence)) {
    const Json config = read_object(sentence);
    if (config.contains("max_seq_length") && !config.at("max_seq_length").is_null()) {
      model.max_tokens = std::min(
          model.max_tokens, read_size(config, "max_seq_length", model.bert.positions, sentence));
    }
    model.lower_case = json_get_or<bool>(config, "do_lower_case", false, sentence);
  }
  const std::string prompts = file_in(directory, "config_sentence_transformers.json");
  if (fs::exists(prompts)) read_prompt(prompts, model.prompt);
  if (!options.prompt.empty()) model.prompt = options.prompt;

  constexpr std::size_t kMinTokens = 3;  // begin, one piece, end
  if (model.max_tokens < kMinTokens) {
    throw Error(Kind::kBadInput, fmt::format("the model reads only {} tokens", model.max_tokens),
                directory);
  }
  if (options.max_tokens != 0) {
    const auto wanted = static_cast<std::size_t>(options.max_tokens);
    if (wanted < kMinTokens || wanted > model.bert.positions) {
      throw Error(
          Kind::kBadOption,
          fmt::format("max_tokens is {}, this model reads 3 to {}", wanted, model.bert.positions),
          "max_tokens");
    }
    model.max_tokens = wanted;
  }
  return model;
}

}  // namespace kindling
