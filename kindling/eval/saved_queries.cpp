#include "kindling/eval/saved_queries.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/text.h"

namespace kindling {

namespace {

constexpr const char* kHeader = "user\tposition\titem\trank\trank_unseen";
constexpr std::size_t kColumns = 5;
constexpr std::int64_t kMostPositions = std::int64_t{1} << 32U;

constexpr std::string_view kScenario = "scenario";
constexpr std::string_view kUser = "user";
constexpr std::size_t kNames = 2;  // columns in front of the metrics

SavedQuery parse_query(const LineReader& lines) {
  const auto parts = split(lines.line(), '\t');
  if (parts.size() == kColumns) {
    const std::int64_t position = to_int(parts[1]).value_or(-1);
    const double rank = to_double(parts[3]).value_or(0.0);
    const double unseen = to_double(parts[4]).value_or(0.0);
    if (position >= 0 && position < kMostPositions && rank >= 1.0 && unseen >= 1.0) {
      return {std::string(parts[0]),
              static_cast<std::uint32_t>(position),
              std::string(parts[2]),
              {rank, unseen}};
    }
  }
  throw Error(
      Kind::kBadInput,
      fmt::format("expected user, position, item and two ranks, found {}", quote(lines.line())),
      lines.place());
}

[[noreturn]] void refuse_heading(const std::string& path) {
  throw Error(Kind::kBadInput, "this is not a file of the users of scenarios", at_line(path, 1),
              "make one with `kindling evaluate … --scenarios DIR --per-query FILE`");
}

ScenarioUser parse_user(const LineReader& lines, std::size_t metrics) {
  const auto parts = split(lines.line(), '\t');
  ScenarioUser user;
  for (std::size_t column = kNames; column < parts.size(); ++column) {
    const double value = to_double(parts[column]).value_or(-1.0);
    if (value >= 0.0 && value <= 1.0) user.values.push_back(value);
  }
  if (parts.size() != kNames + metrics || user.values.size() != metrics) {
    throw Error(Kind::kBadInput,
                fmt::format("expected scenario, user and {} numbers from 0 to 1, found {}", metrics,
                            quote(lines.line())),
                lines.place());
  }
  user.scenario = parts[0];
  user.user = parts[1];
  return user;
}

}  // namespace

void save_queries(const Evaluation& evaluation, const Dataset& target, const std::string& path) {
  write_file(path, [&](const Sink& sink) {
    sink(fmt::format("{}\n", kHeader));
    for (const QueryResult& query : evaluation.queries) {
      sink(fmt::format("{}\t{}\t{}\t{}\t{}\n", target.user_ids().name(query.user), query.position,
                       target.item_ids().name(query.target), query.ranks.rank,
                       query.ranks.rank_unseen));
    }
  });
}

std::vector<SavedQuery> load_queries(const std::string& path) {
  LineReader lines(path);
  if (!lines.next() || lines.line() != kHeader) {
    throw Error(Kind::kBadInput, "this is not a file of per-query results", at_line(path, 1),
                "make one with `kindling evaluate … --per-query FILE`");
  }
  std::vector<SavedQuery> queries;
  while (lines.next()) queries.push_back(parse_query(lines));
  return queries;
}

std::string saved_name(std::string name) {
  for (char& letter : name) {
    if (letter == '\t' || letter == '\n' || letter == '\r') letter = ' ';
  }
  return name;
}

void save_scenario_users(const ScenarioUsers& all, const std::string& path) {
  write_file(path, [&](const Sink& sink) {
    sink(fmt::format("{}\t{}\t{}\n", kScenario, kUser, join(all.metrics, "\t")));
    for (const ScenarioUser& one : all.users) {
      sink(fmt::format("{}\t{}\t{}\n", saved_name(one.scenario), one.user,
                       fmt::join(one.values, "\t")));
    }
  });
}

ScenarioUsers load_scenario_users(const std::string& path) {
  LineReader lines(path);
  if (!lines.next()) refuse_heading(path);
  const auto heading = split(lines.line(), '\t');
  if (heading.size() <= kNames || heading[0] != kScenario || heading[1] != kUser) {
    refuse_heading(path);
  }
  ScenarioUsers all;
  all.metrics.assign(std::next(heading.begin(), kNames), heading.end());
  while (lines.next()) all.users.push_back(parse_user(lines, all.metrics.size()));
  return all;
}

}  // namespace kindling
