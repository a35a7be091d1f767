// A sentence encoder as Hugging Face and sentence-transformers lay it out on disk.
//
//   const ModelDir model = read_model_dir("all-MiniLM-L6-v2", {});
//   model.bert.width;                    // 384, from config.json
//   const WeightFiles weights(model.directory);
//   weights.take("embeddings.word_embeddings.weight", {30522, 384});
//
// Files read: config.json, model.safetensors or model.safetensors.index.json with its shards,
// modules.json, 1_Pooling/config.json, sentence_bert_config.json,
// config_sentence_transformers.json; the tokenizer's are wordpiece.h's. pytorch_model.bin is a
// pickle, which may run code, and is never opened.
//
// Errors: Error{kNotFound} for what is missing, Error{kUnsupported} naming a model type, module,
//         activation or pooling that Kindling does not compute, Error{kBadInput} for files that
//         contradict each other (file, tensor, expected and found shape).
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kindling/data/safetensors.h"
#include "kindling/kernels/gelu.h"
#include "kindling/text/encoder.h"

namespace kindling {

// The numbers of config.json, each checked to be in a sensible range.
struct BertConfig {
  std::size_t vocabulary = 0;
  std::size_t width = 0;
  std::size_t layers = 0;
  std::size_t heads = 0;
  std::size_t inner = 0;  // width of the feed-forward layer
  std::size_t positions = 0;
  std::size_t types = 0;
  double epsilon = 1e-12;
  kernels::Activation activation = kernels::Activation::kGelu;
};

enum class Pooling { kCls, kMax, kMean, kMeanSqrtLength, kWeightedMean, kLastToken };

struct ModelDir {
  std::string directory;
  std::string name;  // last part of the path
  BertConfig bert;
  std::vector<Pooling> pooling;  // several stand side by side in the result
  bool normalize = false;        // divide each vector by its length
  bool lower_case = false;       // before the tokenizer, whatever that does
  std::size_t max_tokens = 0;
  std::string prompt;
};

ModelDir read_model_dir(const std::string& directory, const EncoderOptions& options);

// Tensors by name, whatever prefix and aliases the checkpoint uses and however many files it has.
class WeightFiles {
 public:
  explicit WeightFiles(const std::string& directory);

  // Finite floats of exactly that shape.
  std::vector<float> take(const std::string& name, const std::vector<std::size_t>& shape) const;
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  struct Place {
    const SafetensorsFile* file;
    const TensorInfo* tensor;
  };
  void open_single(const std::string& path);
  void open_shards(const std::string& directory, const std::string& index_path);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::vector<std::string> paths_;
  std::map<std::string, Place> tensors_;  // without prefix, aliases replaced
};

}  // namespace kindling
