#include "kindling/text/encoder.h"

#include <filesystem>
#include <vector>

#include "kindling/base/error.h"
#include "kindling/text/bert.h"
#include "kindling/text/hashing.h"
#include "kindling/text/lsa.h"
#include "kindling/text/model_dir.h"

namespace kindling {

bool needs_no_weights(const std::string& encoder) { return encoder == "lsa" || encoder == "hash"; }

std::vector<OptionInfo> options_of_encoder(const std::string& encoder) {
  std::vector<OptionInfo> options = describe_options(EncoderOptions{});
  std::erase_if(options, [&](const OptionInfo& option) {
    const bool of_words = option.name == "dim" || option.name == "seed";
    return of_words != needs_no_weights(encoder) || (option.name == "seed" && encoder == "hash");
  });
  return options;
}

std::unique_ptr<TextEncoder> make_encoder(const std::string& what, const EncoderOptions& options,
                                          std::span<const std::string> corpus) {
  const auto dim = static_cast<std::size_t>(options.dim);
  if (what == "hash") return std::make_unique<HashingEncoder>(dim);
  if (what == "lsa") {
    return std::make_unique<LsaEncoder>(corpus, dim, static_cast<std::uint64_t>(options.seed));
  }
  if (!std::filesystem::is_directory(what)) {
    throw Error(Kind::kNotFound, "no encoder or model directory " + quote(what), "--encoder",
                "use lsa, hash, or a directory with config.json and model.safetensors");
  }
  return std::make_unique<BertEncoder>(read_model_dir(what, options));
}

}  // namespace kindling
