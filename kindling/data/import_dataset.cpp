#include "kindling/data/import_dataset.h"

#include <algorithm>
#include <optional>

#include "kindling/data/transforms.h"

namespace kindling {

Imported import_dataset(const ImportRequest& request) {
  const Reader& reader = find_reader(request.format);
  TransformOptions transforms;
  ReaderValues values;
  const auto known = describe_options(transforms);
  for (const auto& [name, text] : request.options) {
    const bool transform =
        std::any_of(known.begin(), known.end(),
                    [&wanted = name](const OptionInfo& option) { return option.name == wanted; });
    if (transform) {
      set_option(transforms, name, text);
    } else {
      values.emplace_back(name, text);
    }
  }
  std::optional<Dataset> other;
  if (!request.without.empty()) other = load_dataset(request.without);
  Imported result;
  result.data =
      apply_transforms(reader.read(request.paths, values, result.report), transforms, result.steps);
  if (other) result.data = remove_overlap(result.data, *other, transforms.min_user_length);
  if (!request.name.empty()) result.data.name = request.name;
  result.data.origin["transforms"] = options_to_json(transforms);
  result.data.origin["steps"] = result.steps;
  result.data.origin["report"] = result.report.to_json();
  return result;
}

}  // namespace kindling
