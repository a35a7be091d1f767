// The JSON files of an encoder directory. The first byte says which file the rest stands for; the
// others are valid.
#include <array>

#include "fuzz/reader_fuzz.h"
#include "kindling/text/model_dir.h"
#include "kindling/text/wordpiece.h"

namespace {

struct Part {
  const char* name;
  const char* valid;
};

constexpr std::array<Part, 6> kParts = {{
    {"config.json",
     R"({"model_type":"bert","vocab_size":6,"hidden_size":4,"num_hidden_layers":1,
         "num_attention_heads":2,"intermediate_size":8,"max_position_embeddings":8,
         "type_vocab_size":2})"},
    {"modules.json",
     R"([{"path":"","type":"x.Transformer"},{"path":"1_Pooling","type":"x.Pooling"}])"},
    {"1_Pooling/config.json", R"({"pooling_mode_mean_tokens":true})"},
    {"sentence_bert_config.json", R"({"max_seq_length":8})"},
    {"tokenizer.json",
     R"({"pre_tokenizer":{"type":"BertPreTokenizer"},"model":{"type":"WordPiece",
         "vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"a":3}}})"},
    {"model.safetensors.index.json", R"({"weight_map":{"a":"missing.safetensors"}})"},
}};

void attempt(const auto& action) {
  try {
    action();
  } catch (const kindling::Error& error) {
    kindling::fuzz::expect_users_mistake(error);
  }
}

}  // namespace

namespace kindling {

// C linkage holds inside of a namespace too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::filesystem::create_directory(fuzz::folder() + "/1_Pooling");
  for (const Part& part : kParts) fuzz::write(part.name, part.valid);
  fuzz::write(kParts[data[0] % kParts.size()].name,
              {reinterpret_cast<const char*>(data) + 1, size - 1});
  attempt([] { read_model_dir(fuzz::folder(), {}); });
  attempt([] { read_wordpiece(fuzz::folder()).encode("a b\xC3\xA9", 8); });
  attempt([] { WeightFiles(fuzz::folder()).take("a", {1}); });
  return 0;
}

}  // namespace kindling
