// Amazon reviews and metadata of the 2014, 2018 and 2023 editions, plain or gzip:
//
//   reviews, JSON lines   2014, 2018: reviewerID, asin, overall, unixReviewTime
//                         2023: user_id, parent_asin, rating, timestamp (milliseconds)
//   metadata, JSON lines  asin or parent_asin, title, description, category/categories, brand/store
//                         (2014: Python dictionaries instead of JSON)
//   ratings-only CSV      2014: user,item,rating,time · 2018: item,user,rating,time, no header
//                         2023: user_id,parent_asin,rating,timestamp under a header
//
// The column orders of 2014 and 2018 differ, and a mix-up gives data without sense; the edition is
// told from the ids themselves (items have 10 characters, reviewers more).
#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/text.h"
#include "kindling/data/readers/amazon_json.h"
#include "kindling/data/readers/formats.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

namespace {

struct Options {
  CommonOptions common;
  std::string edition = "auto";
  bool verified_only = false;
  std::string after;

  template <class Visitor>
  void fields(Visitor& field) {
    field("edition", edition, one_of({"auto", "2014", "2018", "2023"}),
          "column order of a ratings-only CSV; auto: from its ids or its header");
    field("verified_only", verified_only, kAny,
          "reviews of purchases that Amazon has not verified are left out [R1]");
    field("after", after, kAny,
          "reviews up to this time are left out: a date or seconds since 1970 [R1]");
    common.fields(field);
  }
};

struct Files {
  std::vector<std::string> reviews;
  std::vector<std::string> metadata;
};

bool is_metadata(const std::string& path) {
  return std::filesystem::path(path).filename().string().starts_with("meta");
}

Files find_files(const std::vector<std::string>& paths) {
  Files files;
  const auto place = [&](const std::string& path) {
    (is_metadata(path) ? files.metadata : files.reviews).push_back(path);
  };
  for (const auto& path : paths) {
    if (!is_folder(path)) {
      place(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const std::string name = entry.path().string();
      const bool known = name.ends_with(".json") || name.ends_with(".json.gz") ||
                         name.ends_with(".jsonl") || name.ends_with(".jsonl.gz") ||
                         name.ends_with(".csv") || name.ends_with(".csv.gz");
      if (known) inside.push_back(name);
    }
    std::sort(inside.begin(), inside.end());
    std::for_each(inside.begin(), inside.end(), place);
  }
  // Two files of other names: reviews first, metadata second.
  if (files.metadata.empty() && paths.size() == 2 && files.reviews.size() == 2) {
    files.metadata.push_back(files.reviews.back());
    files.reviews.pop_back();
  }
  if (files.reviews.empty()) {
    throw Error(Kind::kNotFound, "no file of reviews", paths.empty() ? std::string() : paths[0],
                "give reviews.json(.gz) or ratings.csv; files named meta* are metadata");
  }
  return files;
}

enum class Order { kUserFirst, kItemFirst };

bool looks_like_item(std::string_view id) { return id.size() == 10; }
bool looks_like_user(std::string_view id) { return id.size() >= 11; }

// The first thousand rows vote; they must agree.
Order order_of(const std::string& path, const std::string& edition, ImportReport& report) {
  if (edition == "2018") return Order::kItemFirst;
  if (edition == "2014" || edition == "2023") return Order::kUserFirst;
  constexpr int kSample = 1000;
  int user_first = 0;
  int item_first = 0;
  TableReader rows(path, ",", true);
  for (int i = 0; i < kSample && rows.next(); ++i) {
    if (rows.fields().size() < 2) continue;
    const auto a = rows.fields()[0];
    const auto b = rows.fields()[1];
    if (looks_like_user(a) && looks_like_item(b)) ++user_first;
    if (looks_like_item(a) && looks_like_user(b)) ++item_first;
  }
  if ((user_first > 0) == (item_first > 0)) {
    throw Error(Kind::kBadInput, "cannot tell whether the user or the item comes first", path,
                "pass --edition 2014 (user,item,rating,time) or --edition 2018 "
                "(item,user,rating,time)");
  }
  report.notes.push_back(fmt::format(
      "{}: {}", path,
      item_first > 0 ? "2018 order item,user,rating,time" : "2014 order user,item,rating,time"));
  return item_first > 0 ? Order::kItemFirst : Order::kUserFirst;
}

// What decides whether a review counts, in the order of R1: rating, verified purchase, time.
class ReviewFilter {
 public:
  ReviewFilter(const Options& options, ImportReport& report)
      : min_rating_(options.common.min_rating),
        verified_only_(options.verified_only),
        report_(&report) {
    if (!options.after.empty()) after_ = require_time(options.after);
  }

  bool keeps(float rating, std::optional<bool> verified, std::int64_t time) {
    if (rating < min_rating_) return leave_out("rating below min_rating");
    if (verified_only_ && !verified) {
      throw Error(Kind::kBadInput, "does not say whether the purchase was verified", {},
                  "only reviews of 2018 and 2023 as JSON do; drop --verified-only");
    }
    if (verified_only_ && !*verified) return leave_out("purchase not verified");
    if (after_ && time <= *after_) return leave_out("not after the given time");
    return true;
  }

 private:
  bool leave_out(const char* reason) {
    ++report_->left_out[reason];
    return false;
  }

  double min_rating_;
  bool verified_only_;
  std::optional<std::int64_t> after_;
  ImportReport* report_;
};

void read_ratings(const std::string& path, const Options& options, DatasetBuilder& builder,
                  ImportReport& report) {
  TableReader rows(path, ",", true);
  if (!rows.next()) throw Error(Kind::kBadInput, "is empty, expected ratings", path);
  const bool header = rows.line().starts_with("user_id,");
  if (header && !rows.line().starts_with("user_id,parent_asin,rating,timestamp")) {
    throw Error(Kind::kBadInput, "unknown header " + quote(rows.line()), rows.place(),
                "expected user_id,parent_asin,rating,timestamp; for other files use csv");
  }
  const std::size_t width = rows.fields().size();
  const Order order = header ? Order::kUserFirst : order_of(path, options.edition, report);
  if (header) report.notes.push_back(path + ": 2023 edition");
  const std::size_t user_at = order == Order::kUserFirst ? 0 : 1;
  ReviewFilter filter(options, report);
  for (bool more = !header || rows.next(); more; more = rows.next()) {
    read_row(rows, options.common, report, [&] {
      // 2023's ready splits carry a history column behind the four.
      rows.require(header ? width : 4);
      const auto fields = rows.fields();
      const float rating = require_rating(fields[2]);
      const std::int64_t time = require_time(fields[3]);
      const UserId user = builder.user(fields[user_at]);
      const ItemId item = builder.item(fields[1 - user_at]);
      if (filter.keeps(rating, std::nullopt, time)) builder.add(user, item, time, rating);
    });
  }
}

void read_reviews(const std::string& path, const Options& options, DatasetBuilder& builder,
                  ImportReport& report) {
  AmazonJson parser;
  ReviewFilter filter(options, report);
  for (LineReader lines(path); lines.next();) {
    if (trim(lines.line()).empty()) continue;
    read_row(lines, options.common, report, [&] {
      const AmazonReview review = parser.review(lines.line());
      const UserId user = builder.user(review.user);
      const ItemId item = builder.item(review.item);
      if (filter.keeps(review.rating, review.verified, review.time)) {
        builder.add(user, item, review.time, review.rating);
      }
    });
  }
}

void read_metadata(const std::string& path, const Options& options, DatasetBuilder& builder,
                   ImportReport& report) {
  AmazonJson parser;
  for (LineReader lines(path); lines.next();) {
    if (trim(lines.line()).empty()) continue;
    read_row(lines, options.common, report, [&] {
      std::string id;
      const RawItem raw = parser.item(lines.line(), id);
      // Metadata cover a whole category; items that nobody reviewed are counted, not kept.
      const auto item = builder.item_ids().find(id);
      if (item) {
        builder.set_item(*item, make_item(raw, options.common.text));
      } else {
        ++report.left_out["metadata of an item without reviews"];
      }
    });
  }
}

}  // namespace

std::vector<OptionInfo> describe_amazon() { return describe_options(Options{}); }

Dataset read_amazon(const std::vector<std::string>& paths, const ReaderValues& values,
                    ImportReport& report) {
  const auto options = options_from<Options>(values);
  const Files files = find_files(paths);
  DatasetBuilder builder(true);
  for (const auto& path : files.reviews) {
    const bool csv = path.ends_with(".csv") || path.ends_with(".csv.gz");
    (csv ? read_ratings : read_reviews)(path, options, builder, report);
  }
  if (builder.event_count() == 0) {
    throw Error(Kind::kBadInput, "holds no interactions", files.reviews.front());
  }
  for (const auto& path : files.metadata) read_metadata(path, options, builder, report);
  if (files.metadata.empty()) report.notes.emplace_back("no metadata: items have no text");
  Dataset data = std::move(builder).build(stem_of(paths[0]));
  data.origin = origin_of("amazon", paths, options);
  return data;
}

}  // namespace kindling
