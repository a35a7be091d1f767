// Reads a run directory (docs/file_formats.md, "Run directory") into what the report shows.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/file.h"
#include "kindling/base/json.h"
#include "kindling/eval/report.h"
#include "kindling/eval/report_adaptation.h"

namespace kindling {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFiles = 10000;
constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20U;

RowKind row_kind(const std::string& name, const std::string& place) {
  if (name == "ours") return RowKind::kOurs;
  if (name == "baseline") return RowKind::kBaseline;
  if (name == "oracle") return RowKind::kOracle;
  throw Error(Kind::kBadInput, fmt::format("\"kind\" is {}", quote(name)), place,
              "it is one of ours, baseline, oracle");
}

// Adds the figures of one `kindling evaluate --json` document.
void add_result(ReportRow& row, const Json& result, const std::string& place) {
  const Json metrics = json_get<Json>(result, "metrics", place);
  if (result.contains("queries_in_all")) {  // [R15]
    const std::string part =
        fmt::format("first {} of {} queries", json_get<std::int64_t>(result, "queries", place),
                    json_get<std::int64_t>(result, "queries_in_all", place));
    // Once, not for each seed.
    if (row.note.find(part) == std::string::npos) row.note += row.note.empty() ? part : "; " + part;
  }
  if (!metrics.is_object()) throw Error(Kind::kBadInput, "\"metrics\" is not an object", place);
  for (const auto& [metric, value] : metrics.items()) {
    if (!value.is_number()) {
      throw Error(Kind::kBadInput, fmt::format("metric {} is not a number", quote(metric)), place);
    }
    row.values[metric].push_back(value.get<double>());
  }
}

// The same for one metric by slice: "history 0", "cold item", … become the columns. A slice without
// queries is not in the document and leaves a gap.
void add_slices(ReportRow& row, const Json& result, const std::string& metric,
                const std::string& place) {
  const Json slices = json_get<Json>(result, "slices", place);
  for (const auto& [slice, figures] : slices.items()) {
    const Json metrics = json_get<Json>(figures, "metrics", place);
    row.values[slice].push_back(json_get<double>(metrics, metric, place));
  }
}

ReportRow read_row(const Json& row, const std::string& directory, const std::string& slice_metric,
                   const std::string& place) {
  ReportRow result{
      .label = json_get<std::string>(row, "label", place),
      .note = json_get_or<std::string>(row, "note", "", place),
      .kind = row_kind(json_get_or<std::string>(row, "kind", "baseline", place), place),
      .values = {}};
  for (const auto& file : json_get<std::vector<std::string>>(row, "results", place)) {
    const std::string path = path_inside(directory, file);
    const Json document = read_json(path, kMaxFileBytes);
    if (slice_metric.empty()) {
      add_result(result, document, path);
    } else {
      add_slices(result, document, slice_metric, path);
    }
  }
  return result;
}

ReportTable read_table(const Json& table, const std::string& directory, const std::string& place) {
  ReportTable result{.title = json_get<std::string>(table, "title", place),
                     .note = json_get_or<std::string>(table, "note", "", place),
                     .metrics = json_get<std::vector<std::string>>(table, "metrics", place),
                     .rows = {},
                     .bars = json_get_or<bool>(table, "bars", false, place)};
  result.slice_metric = json_get_or<std::string>(table, "slice_metric", "", place);
  for (const Json& row : json_get<Json>(table, "rows", place)) {
    result.rows.push_back(read_row(row, directory, result.slice_metric, place));
  }
  return result;
}

CurvePoint read_point(Json record, const std::string& place) {
  if (record.value("validation_ndcg", Json()).is_null()) record.erase("validation_ndcg");
  // What such a model selects by is no loss.
  if (record.contains("validation_hr@10")) record.erase("validation_loss");
  return {.epoch = json_get<double>(record, "epoch", place),
          .train_loss = json_get_or<double>(record, "train_loss", NAN, place),
          .validation_loss = json_get_or<double>(record, "validation_loss", NAN, place),
          .validation_ndcg = json_get_or<double>(record, "validation_ndcg", NAN, place),
          .validation_hr = json_get_or<double>(record, "validation_hr@10", NAN, place)};
}

// A learning curve: the history of a model directory, or one JSON record a line.
ReportCurve read_curve(const std::string& label, const std::string& path) {
  ReportCurve curve{.label = label, .points = {}};
  if (fs::is_directory(path)) {
    const std::string config = path_inside(path, "config.json");
    for (const Json& record : json_get<Json>(read_json(config, kMaxFileBytes), "history", config)) {
      curve.points.push_back(read_point(record, config));
    }
    return curve;
  }
  for (LineReader lines(path); lines.next();) {
    if (lines.line().empty()) continue;
    curve.points.push_back(read_point(parse_json(lines.line(), lines.place()), lines.place()));
  }
  return curve;
}

std::vector<CaseItem> read_items(const Json& one, const std::string& member,
                                 const std::string& place) {
  std::vector<CaseItem> items;
  for (const Json& item : json_get<Json>(one, member, place)) {
    const auto id = json_get<std::string>(item, "id", place);
    items.push_back({.id = id, .title = json_get_or<std::string>(item, "title", id, place)});
  }
  return items;
}

std::vector<ReportCase> read_cases(const std::string& path) {
  std::vector<ReportCase> cases;
  for (const Json& one : json_get<Json>(read_json(path, kMaxFileBytes), "cases", path)) {
    cases.push_back({.user = json_get<std::string>(one, "user", path),
                     .history = read_items(one, "history", path),
                     .recommended = read_items(one, "recommended", path),
                     .next = read_items(one, "next", path)});
  }
  return cases;
}

RunReport read_described(const std::string& directory, const std::string& path) {
  const Json run = read_json(path, kMaxFileBytes);
  RunReport report;
  report.title = json_get<std::string>(run, "title", path);
  report.summary = json_get_or<std::string>(run, "summary", "", path);
  for (const Json& fact : json_get_or<Json>(run, "facts", Json::array(), path)) {
    report.facts.emplace_back(json_get<std::string>(fact, "name", path),
                              json_get<std::string>(fact, "value", path));
  }
  for (const Json& table : json_get_or<Json>(run, "tables", Json::array(), path)) {
    report.tables.push_back(read_table(table, directory, path));
  }
  for (const Json& curve : json_get_or<Json>(run, "curves", Json::array(), path)) {
    report.curves.push_back(
        read_curve(json_get<std::string>(curve, "label", path),
                   path_inside(directory, json_get<std::string>(curve, "history", path))));
  }
  const auto cases = json_get_or<std::string>(run, "cases", "", path);
  if (!cases.empty()) report.cases = read_cases(path_inside(directory, cases));
  report.commands = json_get_or<std::vector<std::string>>(run, "commands", {}, path);
  return report;
}

bool is_result(const Json& document) {
  return document.is_object() && document.contains("model") && document.contains("metrics") &&
         document["metrics"].is_object() && document.contains("protocol");
}

// A directory without a table of contents: every result found is shown, one row a model and target.
RunReport read_undescribed(const std::string& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const auto ending = entry.path().extension();
    if (entry.is_regular_file() && (ending == ".json" || ending == ".jsonl"))
      files.push_back(entry.path());
    if (files.size() > kMaxFiles) {
      throw Error(Kind::kBadInput, fmt::format("more than {} JSON files", kMaxFiles), directory);
    }
  }
  std::sort(files.begin(), files.end());
  RunReport report;
  report.title = "Results in " + fs::path(directory).filename().string();
  ReportTable table{.title = "Results", .note = "", .metrics = {}, .rows = {}, .bars = true};
  for (const fs::path& file : files) {
    if (file.extension() == ".jsonl") {
      report.curves.push_back(read_curve(fs::relative(file, directory).string(), file.string()));
      continue;
    }
    const Json document = read_json(file.string(), kMaxFileBytes);
    if (!is_result(document)) continue;
    const std::string label =
        fmt::format("{} on {}", json_get<std::string>(document, "model", file.string()),
                    json_get<std::string>(document, "target", file.string()));
    auto row = std::find_if(table.rows.begin(), table.rows.end(),
                            [&](const ReportRow& known) { return known.label == label; });
    if (row == table.rows.end()) {
      row = table.rows.insert(
          row, {.label = label, .note = "", .kind = RowKind::kBaseline, .values = {}});
    }
    add_result(*row, document, file.string());
    for (const auto& [metric, value] : document["metrics"].items()) {
      if (std::find(table.metrics.begin(), table.metrics.end(), metric) == table.metrics.end()) {
        table.metrics.push_back(metric);
      }
    }
  }
  if (table.rows.empty() && report.curves.empty()) {
    throw Error(Kind::kBadInput,
                "no run.json, no result of `kindling evaluate --json` and no learning curve",
                directory, "pass the directory that holds them");
  }
  if (!table.rows.empty()) report.tables.push_back(std::move(table));
  return report;
}

}  // namespace

RunReport read_run(const std::string& directory) {
  if (fs::is_regular_file(directory)) {
    if (auto experiment = read_experiments(directory)) return *std::move(experiment);
    throw Error(Kind::kBadInput, "is no result of `kindling experiment`", directory,
                "pass the directory of a run, or OUT/NAME.json of an experiment");
  }
  if (!fs::is_directory(directory)) {
    throw Error(Kind::kNotFound, "there is no such directory or file", directory);
  }
  const std::string described = path_inside(directory, "run.json");
  if (fs::exists(described)) return read_described(directory, described);
  if (auto experiments = read_experiments(directory)) return *std::move(experiments);
  if (auto adaptation = read_adaptation(directory)) return *std::move(adaptation);
  return read_undescribed(directory);
}

RunReport join_runs(const std::vector<RunReport>& runs) {
  if (runs.size() == 1) return runs.front();
  RunReport all;
  all.title = fmt::format("{} runs", runs.size());
  const auto append = [](auto& to, auto parts, const auto& mark) {
    for (auto& part : parts) {
      mark(part);
      to.push_back(std::move(part));
    }
  };
  for (const RunReport& run : runs) {
    const auto titled = [&](auto& part) {
      part.title = fmt::format("{}: {}", run.title, part.title);
    };
    const auto keep = [](const auto&) {};
    if (!run.summary.empty()) {
      all.summary +=
          fmt::format("{}{}: {}", all.summary.empty() ? "" : " ", run.title, run.summary);
    }
    append(all.facts, run.facts,
           [&](auto& fact) { fact.first = fmt::format("{}: {}", run.title, fact.first); });
    append(all.tables, run.tables, titled);
    append(all.sweeps, run.sweeps, titled);
    append(all.words, run.words, titled);
    append(all.curves, run.curves, [&](auto& curve) {
      curve.group = curve.group.empty() ? run.title : fmt::format("{}: {}", run.title, curve.group);
    });
    append(all.cases, run.cases, [&](auto& one) {
      one.place = one.place.empty() ? run.title : fmt::format("{}: {}", run.title, one.place);
    });
    append(all.commands, run.commands, keep);
  }
  return all;
}

}  // namespace kindling
