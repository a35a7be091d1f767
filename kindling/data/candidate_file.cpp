#include "kindling/data/candidate_file.h"

#include <algorithm>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/data/safetensors.h"

namespace kindling {

namespace {

constexpr const char* kFormat = "kindling candidates";
constexpr const char* kVersion = "1";

std::string of_metadata(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? std::string() : found->second;
}

[[noreturn]] void refuse(const SafetensorsFile& file, const std::string& what) {
  throw Error(Kind::kCorrupt, what, file.path(), "draw new lists with kindling candidates");
}

void check_head(const SafetensorsFile& file, const Dataset& data) {
  if (of_metadata(file, "format") != kFormat) refuse(file, "this is no file of candidate lists");
  if (of_metadata(file, "version") != kVersion) {
    refuse(file, fmt::format("version {} is unknown", quote(of_metadata(file, "version"))));
  }
  if (of_metadata(file, "dataset") != data.fingerprint()) {
    refuse(file, "the candidate lists are of another dataset than " + quote(data.name));
  }
}

// `seen` has one mark an item, all false before and after.
void check_list(const SafetensorsFile& file, const Dataset& data, UserId user, bool released,
                std::span<const ItemId> list, std::vector<bool>& seen) {
  const auto fail = [&](ItemId item, const char* why) {
    refuse(file, fmt::format("the list of user {} holds item {}, which is {}",
                             quote(data.user_ids().name(user)), item, why));
  };
  const std::vector<ItemId> own = excluded_candidates(data, user, released);
  for (const ItemId item : list) {
    if (item >= data.item_count()) fail(item, "not in the dataset");
    if (std::binary_search(own.begin(), own.end(), item)) fail(item, "the user's own");
    if (!released && seen[item]) fail(item, "there twice");
    seen[item] = true;
  }
  for (const ItemId item : list) seen[item] = false;
}

}  // namespace

std::vector<ItemId> excluded_candidates(const Dataset& data, UserId user, bool released) {
  const auto history = data.history(user);
  std::vector<ItemId> items;
  items.reserve(history.size());
  for (std::size_t at = 0; at < history.size(); ++at) {
    if (!released || at + 2 != history.size()) items.push_back(history[at].item);
  }
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  return items;
}

void save_candidate_file(const CandidateFile& file, const Dataset& data, const std::string& path) {
  check(file.lists.size() == data.user_count() * file.negatives, "one list for each user");
  TensorView view;
  view.name = "negatives";
  view.dtype = DType::kU32;
  view.shape = {data.user_count(), file.negatives};
  view.data = std::as_bytes(std::span<const ItemId>(file.lists));
  write_safetensors(path, {view},
                    {{"format", kFormat},
                     {"version", kVersion},
                     {"draw", file.draw},
                     {"seed", fmt::format("{}", file.seed)},
                     {"released", file.released ? "yes" : "no"},
                     {"dataset", data.fingerprint()}});
}

CandidateFile load_candidate_file(const std::string& path, const Dataset& data) {
  const SafetensorsFile file(path);
  check_head(file, data);
  const TensorInfo* tensor = file.find("negatives");
  if (file.tensors().size() != 1 || tensor == nullptr || tensor->dtype != DType::kU32 ||
      tensor->shape.size() != 2 || tensor->shape[0] != data.user_count() || tensor->shape[1] == 0) {
    refuse(file, fmt::format("expected one tensor negatives, U32 [{}, n]", data.user_count()));
  }
  CandidateFile loaded;
  loaded.draw = of_metadata(file, "draw");
  const auto seed = to_int(of_metadata(file, "seed"));
  if (!seed || *seed < 0) refuse(file, "metadata seed is no number");
  loaded.seed = static_cast<std::uint64_t>(*seed);
  loaded.released = of_metadata(file, "released") == "yes";
  loaded.negatives = tensor->shape[1];
  loaded.lists.resize(tensor->elements);
  std::memcpy(loaded.lists.data(), file.bytes(*tensor).data(),
              loaded.lists.size() * sizeof(ItemId));
  std::vector<bool> seen(data.item_count(), false);
  for (UserId user = 0; user < data.user_count(); ++user) {
    if (data.history(user).empty()) continue;
    check_list(file, data, user, loaded.released,
               std::span(loaded.lists).subspan(user * loaded.negatives, loaded.negatives), seen);
  }
  return loaded;
}

}  // namespace kindling
