// MIND, Microsoft's news data, as released (tabs, no header):
//
//   behaviors.tsv   impression, user, time ("11/12/2019 2:14:46 PM"), history ("N1 N2"),
//                   impressions ("N3-0 N4-1")
//   news.tsv        id, category, subcategory, title, abstract, link, entities, entities
//
// An event is a click: an impression that ends in "-1", at the impression's time [Z2]. The history
// column has an order but no times; with history=before its clicks are put at the last second
// before the first day of the impressions (the submission's setting: train on the history, test on
// the days behind it). origin.history_end holds that moment.
#include <limits>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/text.h"
#include "kindling/data/readers/formats.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

namespace {

struct Options {
  CommonOptions common;
  std::string history = "ignore";

  template <class Visitor>
  void fields(Visitor& field) {
    field("history", history, one_of({"ignore", "before"}),
          "the history column: not used, or put before the impressions [Z2]");
    common.fields(field);
  }
};

class Clicks {
 public:
  Clicks(const Options& options, DatasetBuilder& builder, ImportReport& report)
      : options_(options), builder_(builder), report_(report) {}

  void read(const std::string& path) {
    for (TableReader rows(path, "\t", false); rows.next();) {
      read_row(rows, options_.common, report_, [&] { add(rows); });
    }
  }

  // The clicks of the history column, now that the first day is known; the moment they got.
  std::int64_t add_histories() {
    constexpr std::int64_t kDay = 86400;
    const std::int64_t moment = first_ / kDay * kDay - 1;
    for (const auto& [user, items] : histories_) {
      for (const ItemId item : items) builder_.add(user, item, moment);
    }
    return moment;
  }

 private:
  void add(const TableReader& rows) {
    rows.require(5);
    const auto fields = rows.fields();
    const std::int64_t time = require_time(fields[2]);
    const UserId user = builder_.user(fields[1]);
    if (options_.history == "before" && !histories_.contains(user)) {
      auto& items = histories_[user];
      for (const std::string_view id : split(fields[3], ' ')) {
        if (!id.empty()) items.push_back(builder_.item(id));
      }
    }
    first_ = std::min(first_, time);
    for (const std::string_view shown : split(fields[4], ' ')) {
      if (shown.empty()) continue;
      if (shown.ends_with("-0")) {
        ++report_.left_out["shown, not clicked"];
      } else if (shown.ends_with("-1")) {
        builder_.add(user, builder_.item(shown.substr(0, shown.size() - 2)), time);
      } else {
        throw Error(Kind::kBadInput, "impression " + quote(shown) + " has no label", {},
                    "expected N123-0 or N123-1; the published test file has no labels");
      }
    }
  }

  const Options& options_;
  DatasetBuilder& builder_;
  ImportReport& report_;
  std::map<UserId, std::vector<ItemId>> histories_;
  std::int64_t first_ = std::numeric_limits<std::int64_t>::max();
};

void read_news(const std::string& path, const Options& options, DatasetBuilder& builder,
               ImportReport& report) {
  for (TableReader rows(path, "\t", false); rows.next();) {
    read_row(rows, options.common, report, [&] {
      rows.require(8);
      const auto fields = rows.fields();
      for (std::size_t c = 1; c <= 4; ++c) check_utf8(fields[c], "text");
      RawItem raw;
      raw.categories = {std::string(fields[1]), std::string(fields[2])};
      raw.title = fields[3];
      raw.description = fields[4];
      builder.set_item(builder.item(fields[0]), make_item(raw, options.common.text));
    });
  }
}

}  // namespace

std::vector<OptionInfo> describe_mind() { return describe_options(Options{}); }

Dataset read_mind(const std::vector<std::string>& paths, const ReaderValues& values,
                  ImportReport& report) {
  const auto options = options_from<Options>(values);
  if (paths.empty()) throw Error(Kind::kBadOption, "the mind format takes one or more folders");
  DatasetBuilder builder(true);
  Clicks clicks(options, builder, report);
  std::vector<std::string> news;
  for (const auto& folder : paths) {
    const auto behaviors = file_in(folder, {"behaviors.tsv", "behaviors.tsv.gz"});
    if (!behaviors) {
      throw Error(Kind::kNotFound, "no folder with a behaviors.tsv", folder,
                  "give the folders of MINDlarge_train, MINDlarge_dev, …");
    }
    clicks.read(*behaviors);
    if (const auto file = file_in(folder, {"news.tsv", "news.tsv.gz"})) news.push_back(*file);
  }
  if (builder.event_count() == 0) throw Error(Kind::kBadInput, "holds no clicks", paths[0]);
  std::optional<std::int64_t> history_end;
  if (options.history == "before") history_end = clicks.add_histories();
  for (const auto& path : news) read_news(path, options, builder, report);
  if (news.empty()) report.notes.emplace_back("no news.tsv: news have no text");
  Dataset data = std::move(builder).build(stem_of(paths[0]));
  data.origin = origin_of("mind", paths, options);
  if (history_end) data.origin["history_end"] = *history_end;
  return data;
}

}  // namespace kindling
