// The dataset directory: dataset.json beside arrays and string tables in little-endian binary.
// docs/file_formats.md is the reference; a change of it raises kVersion.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/hash.h"
#include "kindling/base/text.h"
#include "kindling/data/dataset.h"
#include "kindling/data/domains.h"

namespace kindling {

namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian, as written");

constexpr std::int64_t kVersion = 1;
constexpr const char* kFormat = "kindling dataset";
// user_ids, item_ids: string tables. items: a string table of title, text, brand for each item.
// categories: a string table, with category_offsets (items + 1) into it.
constexpr std::array kFiles = {"user_ids.bin",    "item_ids.bin",         "items.bin",
                               "categories.bin",  "category_offsets.bin", "event_offsets.bin",
                               "event_items.bin", "event_times.bin",      "event_values.bin"};

// --- writing -----------------------------------------------------------------------------------

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// count, count + 1 byte offsets (all u64), then the strings one behind the other.
template <class Get>
void write_strings(const std::string& path, std::size_t count, const Get& get) {
  write_file(path, [&](const Sink& sink) {
    std::vector<std::uint64_t> head{count, 0};
    head.reserve(count + 2);
    for (std::size_t i = 0; i < count; ++i) head.push_back(head.back() + get(i).size());
    sink(bytes_of(head));
    for (std::size_t i = 0; i < count; ++i) sink(get(i));
  });
}

template <class T, class Get>
void write_column(const std::string& path, std::span<const Event> events, const Get& get) {
  std::vector<T> column(events.size());
  std::transform(events.begin(), events.end(), column.begin(), get);
  write_file(path, bytes_of(column));
}

void write_items(const Dataset& data, const std::filesystem::path& folder) {
  const auto& items = data.items();
  write_strings((folder / "items.bin").string(), items.size() * 3, [&](std::size_t i) {
    const Item& item = items[i / 3];
    return std::string_view(i % 3 == 0 ? item.title : i % 3 == 1 ? item.text : item.brand);
  });
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::string_view> categories;
  for (const Item& item : items) {
    categories.insert(categories.end(), item.categories.begin(), item.categories.end());
    offsets.push_back(categories.size());
  }
  write_strings((folder / "categories.bin").string(), categories.size(),
                [&](std::size_t i) { return categories[i]; });
  write_file((folder / "category_offsets.bin").string(), bytes_of(offsets));
}

void write_all(const Dataset& data, const std::filesystem::path& folder) {
  const auto file = [&](const char* name) { return (folder / name).string(); };
  write_strings(file("user_ids.bin"), data.user_count(), [&](std::size_t i) {
    return std::string_view(data.user_ids().name(static_cast<UserId>(i)));
  });
  write_strings(file("item_ids.bin"), data.item_count(), [&](std::size_t i) {
    return std::string_view(data.item_ids().name(static_cast<ItemId>(i)));
  });
  write_items(data, folder);
  const auto offsets = data.offsets();
  write_file(file("event_offsets.bin"),
             bytes_of(std::vector<std::uint64_t>(offsets.begin(), offsets.end())));
  const auto events = data.events();
  write_column<ItemId>(file("event_items.bin"), events, [](const Event& e) { return e.item; });
  write_column<std::int64_t>(file("event_times.bin"), events,
                             [](const Event& e) { return e.time; });
  write_column<float>(file("event_values.bin"), events, [](const Event& e) { return e.value; });

  Json record = {{"format", kFormat},
                 {"version", kVersion},
                 {"name", data.name},
                 {"has_times", data.has_times},
                 {"users", data.user_count()},
                 {"items", data.item_count()},
                 {"events", data.event_count()},
                 {"fingerprint", data.fingerprint()},
                 {"origin", data.origin},
                 {"files", Json::object()}};
  for (const char* name : kFiles) {
    record["files"][name] = {{"bytes", std::filesystem::file_size(folder / name)},
                             {"sha256", sha256_file(file(name))}};
  }
  write_file(file(kDatasetMarker),
             record.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

// --- reading -----------------------------------------------------------------------------------

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error(Kind::kCorrupt, what, path,
              "the dataset is damaged or was changed by hand; import it again");
}

// A file of the directory, mapped, of the size and the SHA-256 that dataset.json says.
class Part {
 public:
  Part(const std::string& folder, const Json& files, const char* name)
      : file_(folder + "/" + name) {
    const std::string marker = folder + "/" + kDatasetMarker;
    const auto entry = json_get<Json>(files, name, marker);
    const auto bytes = json_get<std::uint64_t>(entry, "bytes", marker);
    if (bytes != file_.bytes().size()) {
      fail(path(),
           fmt::format("has {} bytes, {} says {}", file_.bytes().size(), kDatasetMarker, bytes));
    }
    if (Sha256().add(file_.bytes()).hex() != json_get<std::string>(entry, "sha256", marker)) {
      fail(path(), "SHA-256 differs from the one in " + std::string(kDatasetMarker));
    }
  }

  const std::string& path() const { return file_.path(); }

  // The file as an array of exactly `count` values.
  template <class T>
  std::span<const T> array(std::uint64_t count) const {
    const auto bytes = file_.bytes();
    if (bytes.size() % sizeof(T) != 0 || bytes.size() / sizeof(T) != count) {
      fail(path(), fmt::format("has {} bytes, expected {} values of {} bytes", bytes.size(), count,
                               sizeof(T)));
    }
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  // The strings of a table that must have `count` of them (any number when not given).
  std::vector<std::string_view> strings(std::optional<std::uint64_t> count) const {
    const auto bytes = file_.bytes();
    constexpr std::size_t kWord = sizeof(std::uint64_t);
    if (bytes.size() < 2 * kWord) fail(path(), "is too short for a string table");
    std::uint64_t found = 0;
    std::memcpy(&found, bytes.data(), kWord);
    // Divide instead of multiply: a lying count must not overflow.
    if (found > bytes.size() / kWord - 2) fail(path(), fmt::format("{} strings do not fit", found));
    if (count && found != *count) {
      fail(path(), fmt::format("has {} strings, expected {}", found, *count));
    }
    const auto* offsets = reinterpret_cast<const std::uint64_t*>(bytes.data() + kWord);
    const std::size_t head = (found + 2) * kWord;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + head,
                                bytes.size() - head);
    std::vector<std::string_view> strings;
    strings.reserve(found);
    for (std::uint64_t i = 0; i < found; ++i) {
      if (offsets[i] > offsets[i + 1] || offsets[i + 1] > text.size()) {
        fail(path(), fmt::format("string {} lies outside the file", i));
      }
      strings.push_back(text.substr(offsets[i], offsets[i + 1] - offsets[i]));
    }
    if (offsets[0] != 0 || offsets[found] != text.size()) {
      fail(path(), "holds bytes that belong to no string");
    }
    return strings;
  }

 private:
  MappedFile file_;
};

void check_offsets(const Part& part, std::span<const std::uint64_t> offsets, std::uint64_t total) {
  const bool ordered = std::is_sorted(offsets.begin(), offsets.end());
  if (!ordered || offsets.front() != 0 || offsets.back() != total) {
    fail(part.path(), fmt::format("offsets do not run from 0 to {}", total));
  }
}

void read_items(const std::string& folder, const Json& files, DatasetBuilder& builder,
                std::uint64_t count) {
  const Part ids(folder, files, "item_ids.bin");
  const Part texts(folder, files, "items.bin");
  const Part categories(folder, files, "categories.bin");
  const Part offsets_file(folder, files, "category_offsets.bin");
  const auto names = ids.strings(count);
  const auto parts = texts.strings(count * 3);
  const auto labels = categories.strings(std::nullopt);
  const auto offsets = offsets_file.array<std::uint64_t>(count + 1);
  check_offsets(offsets_file, offsets, labels.size());
  for (std::uint64_t i = 0; i < count; ++i) {
    const ItemId item = builder.item(names[i], ids.path());
    if (item != i) fail(ids.path(), fmt::format("id {} occurs twice", quote(names[i])));
    Item known{std::string(parts[3 * i]),
               std::string(parts[3 * i + 1]),
               {},
               std::string(parts[3 * i + 2])};
    for (std::uint64_t c = offsets[i]; c < offsets[i + 1]; ++c) {
      known.categories.emplace_back(labels[c]);
    }
    builder.set_item(item, std::move(known));
  }
}

void read_events(const std::string& folder, const Json& files, DatasetBuilder& builder,
                 std::uint64_t users, std::uint64_t items, std::uint64_t events) {
  const Part ids(folder, files, "user_ids.bin");
  const Part offsets_file(folder, files, "event_offsets.bin");
  const Part items_file(folder, files, "event_items.bin");
  const Part times_file(folder, files, "event_times.bin");
  const Part values_file(folder, files, "event_values.bin");
  const auto names = ids.strings(users);
  const auto offsets = offsets_file.array<std::uint64_t>(users + 1);
  const auto item = items_file.array<ItemId>(events);
  const auto time = times_file.array<std::int64_t>(events);
  const auto value = values_file.array<float>(events);
  check_offsets(offsets_file, offsets, events);
  builder.reserve(events);
  for (std::uint64_t u = 0; u < users; ++u) {
    const UserId user = builder.user(names[u], ids.path());
    if (user != u) fail(ids.path(), fmt::format("id {} occurs twice", quote(names[u])));
    for (std::uint64_t at = offsets[u]; at < offsets[u + 1]; ++at) {
      if (item[at] >= items) {
        fail(items_file.path(),
             fmt::format("event {} is of item {}, there are {}", at, item[at], items));
      }
      if (at > offsets[u] && time[at] < time[at - 1]) {
        fail(times_file.path(), fmt::format("event {} is earlier than the one before it", at));
      }
      if (!std::isfinite(value[at])) {
        fail(values_file.path(), fmt::format("the value of event {} is {}", at, value[at]));
      }
      builder.add(user, item[at], time[at], value[at]);
    }
  }
}

// A count that a uint32 id can hold, with room for count * 3 and count + 1.
std::uint64_t read_count(const Json& record, const char* key, const std::string& place) {
  const auto count = json_get<std::uint64_t>(record, key, place);
  if (count >= std::numeric_limits<std::uint32_t>::max()) {
    fail(place, fmt::format("{} is {}, more than 4 billion", key, count));
  }
  return count;
}

}  // namespace

void save_dataset(const Dataset& dataset, const std::string& directory, bool force) {
  write_directory(directory, force, kDatasetMarker,
                  [&](const std::filesystem::path& folder) { write_all(dataset, folder); });
}

void save_pair(const DomainPair& pair, const std::string& first_directory,
               const std::string& second_directory, bool force) {
  // The second is whole before the first takes its place.
  write_directory(first_directory, force, kDatasetMarker, [&](const std::filesystem::path& folder) {
    write_all(pair.first, folder);
    save_dataset(pair.second, second_directory, force);
  });
}

Dataset load_dataset(const std::string& directory) {
  const std::string marker = directory + "/" + kDatasetMarker;
  std::error_code status;
  if (!std::filesystem::exists(marker, status)) {
    throw Error(Kind::kNotFound, fmt::format("is no dataset directory (no {})", kDatasetMarker),
                directory, "make one with: kindling import FORMAT PATH... --out DIR");
  }
  const Json record = read_json(marker);
  if (json_get<std::string>(record, "format", marker) != kFormat) {
    fail(marker, "is not the description of a dataset");
  }
  const auto version = json_get<std::int64_t>(record, "version", marker);
  if (version != kVersion) {
    throw Error(Kind::kUnsupported,
                fmt::format("dataset version {}, this program reads {}", version, kVersion), marker,
                "import the data again with this version");
  }
  const auto users = read_count(record, "users", marker);
  const auto items = read_count(record, "items", marker);
  const auto events = read_count(record, "events", marker);
  const auto files = json_get<Json>(record, "files", marker);
  DatasetBuilder builder(json_get<bool>(record, "has_times", marker));
  try {
    read_items(directory, files, builder, items);
    read_events(directory, files, builder, users, items, events);
  } catch (const Error& error) {
    // Whatever is wrong inside our own file (a control character in an id, …) is damage.
    if (error.kind() != Kind::kBadInput) throw;
    fail(error.place(), error.message());
  }
  Dataset data = std::move(builder).build(json_get<std::string>(record, "name", marker));
  data.origin = json_get<Json>(record, "origin", marker);
  return data;
}

}  // namespace kindling
