// MovieLens in its three forms, told apart by the files of the folder:
//
//   100K            u.data (user item rating time, tabs), u.item ("|", Latin-1), u.genre
//   1M, 10M         ratings.dat, movies.dat ("::"; titles of 1M are Latin-1)
//   20M and later   ratings.csv, movies.csv, optionally tags.csv, genome-scores.csv,
//   genome-tags.csv
//
// Genres are the categories. User tags and genome tags can join the text or the categories.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "kindling/base/text.h"
#include "kindling/data/readers/formats.h"
#include "kindling/data/readers/rows.h"

namespace kindling {

namespace {

struct Options {
  CommonOptions common;
  std::string tags = "none";
  std::int64_t tags_per_movie = 10;
  std::string genome = "none";
  double genome_relevance = 0.8;

  template <class Visitor>
  void fields(Visitor& field) {
    field("tags", tags, one_of({"none", "description", "categories"}),
          "where users' tags (tags.csv, tags.dat) go");
    field("tags_per_movie", tags_per_movie, kPositive,
          "the most frequent tags of a movie are used");
    field("genome", genome, one_of({"none", "description", "categories"}),
          "where genome tags go (as categories they are the scenarios of s2Meta)");
    field("genome_relevance", genome_relevance, kUnit,
          "a movie has a genome tag when its relevance is greater");
    common.fields(field);
  }
};

struct Edition {
  const char* name;
  const char* ratings;
  const char* movies;
  const char* tags;
  const char* separator;
  bool header;
};

constexpr std::array kEditions = {
    Edition{"100K", "u.data", "u.item", "", "\t", false},
    Edition{"dat", "ratings.dat", "movies.dat", "tags.dat", "::", false},
    Edition{"csv", "ratings.csv", "movies.csv", "tags.csv", ",", true},
};

using Tags = std::map<ItemId, std::vector<std::string>>;

std::string from_latin1(std::string_view text) {
  if (is_valid_utf8(text)) return std::string(text);
  std::string out;
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (code < 0x80) {
      out += byte;
    } else {
      out += static_cast<char>(0xC0U | (code >> 6U));
      out += static_cast<char>(0x80U | (code & 0x3FU));
    }
  }
  return out;
}

void skip_header(TableReader& rows, const Edition& edition) {
  if (!edition.header || rows.next()) return;
  throw Error(Kind::kBadInput, "is empty, expected a header", rows.path());
}

void read_ratings(const std::string& path, const Edition& edition, const Options& options,
                  DatasetBuilder& builder, ImportReport& report) {
  TableReader rows(path, edition.separator, edition.header);
  if (edition.header) {
    if (!rows.next()) throw Error(Kind::kBadInput, "is empty, expected a header", path);
    if (rows.line() != "userId,movieId,rating,timestamp") {
      throw Error(Kind::kBadInput, "unknown header " + quote(rows.line()), rows.place(),
                  "expected userId,movieId,rating,timestamp; for other files use the csv format");
    }
  }
  while (rows.next()) {
    read_row(rows, options.common, report, [&] {
      rows.require(4);
      const auto fields = rows.fields();
      const float rating = require_rating(fields[2]);
      const std::int64_t time = require_time(fields[3]);
      const UserId user = builder.user(fields[0]);
      const ItemId item = builder.item(fields[1]);
      if (rating < options.common.min_rating) {
        ++report.left_out["rating below min_rating"];
      } else {
        builder.add(user, item, time, rating);
      }
    });
  }
  if (builder.event_count() == 0) throw Error(Kind::kBadInput, "holds no interactions", path);
}

// Names of the 19 genre flags of u.item.
std::vector<std::string> read_genres(const std::string& folder) {
  std::vector<std::string> genres;
  if (const auto path = file_in(folder, {"u.genre"})) {
    for (TableReader rows(*path, "|", false); rows.next();) genres.emplace_back(rows.fields()[0]);
    return genres;
  }
  return {"unknown",     "Action", "Adventure", "Animation", "Children's", "Comedy",  "Crime",
          "Documentary", "Drama",  "Fantasy",   "Film-Noir", "Horror",     "Musical", "Mystery",
          "Romance",     "Sci-Fi", "Thriller",  "War",       "Western"};
}

RawItem movie_of(const TableReader& rows, const Edition& edition,
                 const std::vector<std::string>& genres) {
  const auto fields = rows.fields();
  RawItem raw;
  if (!genres.empty()) {  // 100K: id | title | date | video date | link | 19 flags
    constexpr std::size_t kFlags = 5;
    rows.require(kFlags + genres.size());
    for (std::size_t g = 0; g < genres.size(); ++g) {
      if (fields[kFlags + g] == "1" && genres[g] != "unknown") raw.categories.push_back(genres[g]);
    }
  } else {
    rows.require(3);
    if (fields[2] != "(no genres listed)") {
      for (const std::string_view genre : split(fields[2], '|')) raw.categories.emplace_back(genre);
    }
  }
  if (edition.header) check_utf8(fields[1], "title");
  raw.title = from_latin1(fields[1]);
  return raw;
}

// The most frequent tags of each known movie; equal counts by name.
Tags read_tags(const std::string& path, const Edition& edition, const Options& options,
               const DatasetBuilder& builder, ImportReport& report) {
  std::map<ItemId, std::map<std::string, int>> counts;
  TableReader rows(path, edition.separator, edition.header);
  skip_header(rows, edition);
  while (rows.next()) {
    read_row(rows, options.common, report, [&] {
      rows.require(4);
      const auto item = builder.item_ids().find(rows.fields()[1]);
      if (item) ++counts[*item][clean_text(from_latin1(rows.fields()[2]))];
    });
  }
  Tags tags;
  for (const auto& [item, by_name] : counts) {
    std::vector<std::pair<int, std::string>> order;
    for (const auto& [name, count] : by_name) order.emplace_back(-count, name);
    std::sort(order.begin(), order.end());
    order.resize(std::min(order.size(), static_cast<std::size_t>(options.tags_per_movie)));
    for (auto& [count, name] : order) tags[item].push_back(std::move(name));
  }
  return tags;
}

Tags read_genome(const std::string& folder, const Options& options, const DatasetBuilder& builder,
                 ImportReport& report) {
  const auto scores = file_in(folder, {"genome-scores.csv"});
  const auto names_file = file_in(folder, {"genome-tags.csv"});
  if (!scores || !names_file) {
    throw Error(Kind::kNotFound, "the folder has no genome-scores.csv and genome-tags.csv", folder,
                "the genome comes with MovieLens 20M and 25M; else leave --genome none");
  }
  const Edition& csv = kEditions[2];
  std::unordered_map<std::string, std::string> names;
  TableReader tag_rows(*names_file, ",", true);
  skip_header(tag_rows, csv);
  while (tag_rows.next()) {
    read_row(tag_rows, options.common, report, [&] {
      tag_rows.require(2);
      names[std::string(tag_rows.fields()[0])] = tag_rows.fields()[1];
    });
  }
  Tags tags;
  TableReader rows(*scores, ",", true);
  skip_header(rows, csv);
  while (rows.next()) {
    read_row(rows, options.common, report, [&] {
      rows.require(3);
      const auto fields = rows.fields();
      const auto relevance = to_double(fields[2]);
      if (!relevance) {
        throw Error(Kind::kBadInput, "expected a relevance (a number), found " + quote(fields[2]));
      }
      const auto name = names.find(std::string(fields[1]));
      if (name == names.end()) {
        throw Error(Kind::kBadInput, "tag " + quote(fields[1]) + " is not in genome-tags.csv");
      }
      const auto item = builder.item_ids().find(fields[0]);
      if (item && *relevance > options.genome_relevance) tags[*item].push_back(name->second);
    });
  }
  return tags;
}

void add_tags(const Tags& tags, const std::string& where, ItemId item, RawItem& raw) {
  const auto found = tags.find(item);
  if (found == tags.end()) return;
  if (where == "categories") {
    raw.categories.insert(raw.categories.end(), found->second.begin(), found->second.end());
  } else {
    if (!raw.description.empty()) raw.description += ", ";
    raw.description += join(found->second, ", ");
  }
}

}  // namespace

std::vector<OptionInfo> describe_movielens() { return describe_options(Options{}); }

Dataset read_movielens(const std::vector<std::string>& paths, const ReaderValues& values,
                       ImportReport& report) {
  const auto options = options_from<Options>(values);
  if (paths.size() != 1 || !is_folder(paths[0])) {
    throw Error(Kind::kBadOption, "the movielens format takes one folder",
                paths.empty() ? std::string() : paths[0],
                "give the folder that holds u.data, ratings.dat or ratings.csv");
  }
  const std::string& folder = paths[0];
  const auto* const edition = std::find_if(
      kEditions.begin(), kEditions.end(),
      [&](const Edition& candidate) { return file_in(folder, {candidate.ratings}).has_value(); });
  if (edition == kEditions.end()) {
    throw Error(Kind::kNotFound, "the folder has no u.data, ratings.dat or ratings.csv", folder);
  }
  report.notes.push_back(fmt::format("MovieLens edition: {}", edition->name));
  DatasetBuilder builder(true);
  read_ratings(*file_in(folder, {edition->ratings}), *edition, options, builder, report);
  Tags tags;
  const auto tags_file = file_in(folder, {edition->tags});
  if (options.tags != "none" && tags_file) {
    tags = read_tags(*tags_file, *edition, options, builder, report);
  } else if (options.tags != "none") {
    throw Error(Kind::kNotFound, "the folder has no file of tags", folder, "leave --tags none");
  }
  Tags genome;
  if (options.genome != "none") genome = read_genome(folder, options, builder, report);
  if (const auto movies = file_in(folder, {edition->movies})) {
    const bool flags = std::string_view(edition->movies) == "u.item";
    const auto genres = flags ? read_genres(folder) : std::vector<std::string>{};
    TableReader rows(*movies, flags ? "|" : edition->separator, edition->header);
    skip_header(rows, *edition);
    while (rows.next()) {
      read_row(rows, options.common, report, [&] {
        RawItem raw = movie_of(rows, *edition, genres);
        const ItemId item = builder.item(rows.fields()[0]);
        add_tags(tags, options.tags, item, raw);
        add_tags(genome, options.genome, item, raw);
        builder.set_item(item, make_item(raw, options.common.text));
      });
    }
  } else {
    report.notes.push_back(fmt::format("no {}: movies have no titles", edition->movies));
  }
  Dataset data = std::move(builder).build(stem_of(folder));
  data.origin = origin_of("movielens", paths, options);
  return data;
}

}  // namespace kindling
