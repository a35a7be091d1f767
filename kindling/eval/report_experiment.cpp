// What `kindling experiment` wrote -> a report: a table for each pair and encoder, curves over the
// sweep, analyses, learning curves and cases.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/json.h"
#include "kindling/base/text.h"
#include "kindling/eval/report.h"
#include "kindling/eval/report_marks.h"

namespace kindling {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxBytes = std::size_t{64} << 20U;
constexpr double kNoValue = -1.0;

RowKind kind_of(const std::string& role) {
  if (role == "ours") return RowKind::kOurs;
  return role == "oracle" ? RowKind::kOracle : RowKind::kBaseline;
}

Json read_document(const std::string& file) {
  try {
    return read_json(file, kMaxBytes);
  } catch (const Error& error) {
    if (!error.hint().empty()) throw;
    throw Error(
        error.kind(), error.message(), file,
        "remove it, or put it elsewhere; `kindling experiment` writes an experiment's anew");
  }
}

// The documents of experiments directly in the directory, by name of the file; or the one file.
std::vector<std::pair<std::string, Json>> documents_in(const std::string& directory) {
  std::vector<std::pair<std::string, Json>> found;
  std::vector<fs::path> files;
  if (fs::is_regular_file(directory)) files.emplace_back(directory);
  for (const auto& entry :
       files.empty() ? fs::directory_iterator(directory) : fs::directory_iterator()) {
    if (entry.is_regular_file() && entry.path().extension() == ".json") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    Json document = read_document(file.string());
    if (document.is_object() && document.contains("kindling_experiment")) {
      found.emplace_back(file.string(), std::move(document));
    }
  }
  return found;
}

// What is read of one experiment.
struct Source {
  const Json& document;
  const std::string& place;
  bool several = false;  // experiments on the page: headings name theirs

  const Json& list(const std::string& member) const {
    static const Json none = Json::array();
    if (!document.contains(member)) return none;
    const Json& value = document[member];
    if (!value.is_array()) throw Error(Kind::kBadInput, member + " is no list", place);
    return value;
  }
  std::string text(const Json& object, const std::string& member) const {
    return json_get<std::string>(object, member, place);
  }
  std::vector<std::string> metrics() const {
    auto names = json_get<std::vector<std::string>>(document, "metrics", place);
    if (names.empty()) {
      throw Error(Kind::kCorrupt, "metrics is empty", place, "run the experiment again");
    }
    return names;
  }
  std::string heading(const std::string& what) const {
    return several ? fmt::format("{}: {}", text(document, "name"), what) : what;
  }
};

std::string pair_title(const Source& source, const std::string& name) {
  for (const Json& pair : source.list("pairs")) {
    if (source.text(pair, "name") == name) return source.text(pair, "title");
  }
  return name;
}

std::string encoder_title(const Source& source, const std::string& name) {
  for (const Json& encoder : source.list("encoders")) {
    if (source.text(encoder, "name") == name) return source.text(encoder, "title");
  }
  return name;
}

// Encoders that the cells of a pair were made with; one empty name when they read no vectors.
std::vector<std::string> encoders_of(const Source& source, const std::string& pair) {
  std::set<std::string> names;
  for (const Json& cell : source.list("cells")) {
    if (source.text(cell, "data") == pair) names.insert(source.text(cell, "encoder"));
  }
  if (names.size() > 1) names.erase("");
  return {names.begin(), names.end()};
}

void add_value(const Source& source, const Json& cell, ReportTable& table) {
  const std::string title = source.text(cell, "title");
  auto row = std::find_if(table.rows.begin(), table.rows.end(),
                          [&](const ReportRow& known) { return known.label == title; });
  if (row == table.rows.end()) {
    row = table.rows.insert(row, ReportRow{});
    row->label = title;
    row->kind = kind_of(json_get_or<std::string>(cell, "role", "baseline", source.place));
  }
  const std::string metric = source.text(cell, "metric");
  row->values[metric] = json_get<std::vector<double>>(cell, "values", source.place);
  const double published = cell.contains("published") && cell["published"].is_number()
                               ? cell["published"].get<double>()
                               : kNoValue;
  if (published != kNoValue) row->published[metric] = published;
}

void add_p_values(const Source& source, const std::string& pair, const std::string& encoder,
                  ReportTable& table) {
  for (const Json& one : source.list("comparisons")) {
    if (source.text(one, "data") != pair) continue;
    // Rows that read no vectors were compared under every encoder.
    if (!encoder.empty() && source.text(one, "encoder") != encoder) continue;
    table.drawn = json_get_or<std::string>(one, "drawn", "users", source.place);
    const std::string label = source.text(one, "model");
    for (const Json& cell : source.list("cells")) {
      if (source.text(cell, "model") != label) continue;
      for (ReportRow& row : table.rows) {
        if (row.label == source.text(cell, "title")) {
          row.p_values[source.text(one, "metric")] = json_get<double>(one, "p_value", source.place);
        }
      }
    }
  }
}

// Where only the first queries were asked [R15], says so.
std::string asked_note(const Source& source, const std::string& pair) {
  for (const Json& cell : source.list("cells")) {
    if (source.text(cell, "data") != pair || !cell.contains("queries_in_all")) continue;
    return fmt::format("The first {} of {} queries.",
                       json_get<std::int64_t>(cell, "queries", source.place),
                       json_get<std::int64_t>(cell, "queries_in_all", source.place));
  }
  return {};
}

std::string table_note(const Source& source, const Json& pair, const ReportTable& table) {
  std::vector<std::string> notes = {marks_note(table)};
  const bool published = std::any_of(table.rows.begin(), table.rows.end(),
                                     [](const ReportRow& row) { return !row.published.empty(); });
  const auto stands = json_get_or<std::string>(pair, "stands_for", "", source.place);
  if (published) {
    notes.push_back(
        stands.empty()
            ? "Below a value: the paper's, and ours minus it."
            : fmt::format("Below a value: the paper's on {}, which is other data.", stands));
  }
  notes.push_back(asked_note(source, source.text(pair, "name")));
  std::erase(notes, std::string());
  return join(notes, " ");
}

void add_tables(const Source& source, RunReport& report) {
  for (const Json& pair : source.list("pairs")) {
    const std::string name = source.text(pair, "name");
    for (const std::string& encoder : encoders_of(source, name)) {
      ReportTable table;
      table.title = source.heading(source.text(pair, "title"));
      if (!encoder.empty()) table.title += " · " + encoder_title(source, encoder);
      table.metrics = source.metrics();
      for (const Json& cell : source.list("cells")) {
        const std::string with = source.text(cell, "encoder");
        if (source.text(cell, "data") != name || cell.contains("step")) continue;
        if (with.empty() || with == encoder) add_value(source, cell, table);
      }
      if (table.rows.empty()) continue;
      add_p_values(source, name, encoder, table);
      table.note = table_note(source, pair, table);
      // A single column of shares and counts needs no bars.
      table.bars = table.metrics.front().find('@') != std::string::npos;
      report.tables.push_back(std::move(table));
    }
  }
}

SweepLine& line_of(ReportSweep& sweep, const std::string& label) {
  for (SweepLine& line : sweep.lines) {
    if (line.label == label) return line;
  }
  return sweep.lines.emplace_back(SweepLine{.label = label, .points = {}});
}

ReportSweep read_sweep(const Source& source, const Json& pair, const std::string& encoder,
                       const std::string& metric) {
  const Json& described = source.document["sweep"];
  ReportSweep sweep{.title = source.heading(source.text(pair, "title")),
                    .x_title = json_get<std::string>(described, "title", source.place),
                    .y_title = metric_title(metric),
                    .lines = {}};
  bool swept = false;
  for (const Json& cell : source.list("cells")) {
    const std::string with = source.text(cell, "encoder");
    if (source.text(cell, "data") != source.text(pair, "name") ||
        source.text(cell, "metric") != metric || (!with.empty() && with != encoder)) {
      continue;
    }
    SweepLine& line = line_of(sweep, source.text(cell, "title"));
    const auto mean = json_get<double>(cell, "mean", source.place);
    if (cell.contains("step")) {
      swept = true;
      const auto step = json_get<double>(cell, "step", source.place);
      line.points.push_back({json_get_or<double>(cell, "x", step, source.place), mean,
                             json_get<double>(cell, "sd", source.place)});
    } else {
      line.level = mean;
    }
  }
  if (!swept) sweep.lines.clear();
  for (SweepLine& line : sweep.lines) {
    std::sort(line.points.begin(), line.points.end(),
              [](const SweepPoint& a, const SweepPoint& b) { return a.x < b.x; });
  }
  return sweep;
}

void add_sweeps(const Source& source, RunReport& report) {
  if (!source.document.contains("sweep")) return;
  for (const Json& pair : source.list("pairs")) {
    for (const std::string& encoder : encoders_of(source, source.text(pair, "name"))) {
      for (const auto& metric : source.metrics()) {
        ReportSweep sweep = read_sweep(source, pair, encoder, metric);
        if (!sweep.lines.empty()) report.sweeps.push_back(std::move(sweep));
      }
    }
  }
}

// Plots that cells brought themselves: gates, the probability of stopping.
void add_plots(const Source& source, RunReport& report) {
  for (const Json& plot : source.list("plots")) {
    ReportSweep sweep{.title = source.heading(source.text(plot, "title")),
                      .x_title = source.text(plot, "x"),
                      .y_title = source.text(plot, "y"),
                      .lines = {}};
    for (const Json& line : json_get<std::vector<Json>>(plot, "lines", source.place)) {
      SweepLine& added = line_of(sweep, source.text(line, "label"));
      for (const auto& point :
           json_get<std::vector<std::vector<double>>>(line, "points", source.place)) {
        if (point.size() < 2) throw Error(Kind::kBadInput, "a point has no y", source.place);
        added.points.push_back({point[0], point[1], point.size() > 2 ? point[2] : 0.0});
      }
    }
    report.sweeps.push_back(std::move(sweep));
  }
}

double number_or_nan(const Json& object, const char* member) {
  return object.contains(member) && object[member].is_number() ? object[member].get<double>() : NAN;
}

void add_curves(const Source& source, RunReport& report) {
  for (const Json& curve : source.list("curves")) {
    ReportCurve added;
    const std::string encoder = source.text(curve, "encoder");
    added.group = source.heading(pair_title(source, source.text(curve, "data")));
    added.label = source.text(curve, "title") + (encoder.empty() ? "" : " · " + encoder);
    for (const Json& point : json_get<std::vector<Json>>(curve, "points", source.place)) {
      added.points.push_back({number_or_nan(point, "epoch"), number_or_nan(point, "train_loss"),
                              number_or_nan(point, "validation_loss"),
                              number_or_nan(point, "validation_ndcg"),
                              number_or_nan(point, "validation_hr@10")});
    }
    report.curves.push_back(std::move(added));
  }
  std::stable_sort(report.curves.begin(), report.curves.end(),
                   [](const ReportCurve& a, const ReportCurve& b) { return a.group < b.group; });
}

std::vector<CaseItem> items_of(const Source& source, const Json& one, const char* member) {
  std::vector<CaseItem> items;
  for (const Json& item : json_get_or<std::vector<Json>>(one, member, {}, source.place)) {
    items.push_back({source.text(item, "id"), source.text(item, "title")});
  }
  return items;
}

void add_cases(const Source& source, RunReport& report) {
  for (const Json& one : source.list("cases")) {
    ReportCase added;
    added.user = source.text(one, "user");
    added.place = fmt::format("{}, {}", source.text(one, "data"), source.text(one, "model"));
    added.history = items_of(source, one, "history");
    added.recommended = items_of(source, one, "recommended");
    added.next = items_of(source, one, "next");
    if (one.contains("rank")) added.rank = json_get<double>(one, "rank", source.place);
    for (const Json& near : json_get_or<std::vector<Json>>(one, "neighbours", {}, source.place)) {
      added.neighbours.push_back({source.text(near, "user"), items_of(source, near, "history"),
                                  items_of(source, near, "next")});
    }
    report.cases.push_back(std::move(added));
  }
}

void add_experiment(const Source& source, RunReport& report) {
  add_tables(source, report);
  add_sweeps(source, report);
  add_plots(source, report);
  for (const Json& analysis : source.list("analyses")) {
    report.words.push_back(
        {source.heading(source.text(analysis, "title")),
         json_get<std::vector<std::string>>(analysis, "columns", source.place),
         json_get<std::vector<std::vector<std::string>>>(analysis, "rows", source.place)});
  }
  add_curves(source, report);
  add_cases(source, report);
  const std::string name = source.text(source.document, "name");
  const auto count = [&](const char* member) {
    return json_get<std::int64_t>(source.document, member, source.place);
  };
  std::string state = fmt::format("{} of {} cells", count("finished"), count("planned"));
  const Json& missing = source.list("missing");
  if (!missing.empty())
    state += fmt::format(", {} data sets or encoders not there", missing.size());
  const Json& unranked = source.list("without_ranks");
  if (!unranked.empty()) state += fmt::format(", {} without their ranks", unranked.size());
  report.facts.emplace_back(name, state);
  const auto origin = json_get_or<std::string>(source.document, "source", "", source.place);
  if (!origin.empty()) report.facts.emplace_back("Source of " + name, origin);
  const std::string notes =
      join(json_get_or<std::vector<std::string>>(source.document, "notes", {}, source.place), " ");
  if (!source.several) {
    report.summary = notes;
  } else if (!notes.empty()) {
    report.words.push_back({name + ": remarks", {}, {{notes}}});
  }
  report.commands.push_back(fmt::format("kindling experiment {} --out DIR", name));
}

}  // namespace

std::optional<RunReport> read_experiments(const std::string& directory) {
  const auto documents = documents_in(directory);
  if (documents.empty()) return std::nullopt;
  RunReport report;
  report.title = documents.size() == 1
                     ? json_get<std::string>(documents[0].second, "title", documents[0].first)
                     : fmt::format("{} experiments", documents.size());
  for (const auto& [place, document] : documents) {
    add_experiment({document, place, documents.size() > 1}, report);
  }
  return report;
}

}  // namespace kindling
