// One self-contained HTML page of a run: tables with the best value marked, mean ± sd over seeds,
// learning curves and bars, curves over what was varied, and users with titles.
//
//   const RunReport run = read_run("demo");
//   write_file("demo/report.html", render_html(run));
//
// A run directory is described in docs/file_formats.md: run.json is its table of contents. Without
// run.json every JSON file of `kindling evaluate` becomes a row, and every learning curve a line.
// The page has no script, no network reference and its own Content-Security-Policy; whatever comes
// from data is escaped. Plots are inline SVG made by gnuplot; text takes the page's colour, so
// light and dark both read well.
//
// Errors: Error{kNotFound} for a missing directory or file, Error{kBadInput} naming file and
// member, Error{kNotFound} with a hint when gnuplot is not installed.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kindling/eval/compare.h"

namespace kindling {

// How a row stands to the others: it decides the colour of its bar.
enum class RowKind { kOurs, kBaseline, kOracle };

struct ReportRow {
  std::string label;
  std::string note;  // may be empty
  RowKind kind = RowKind::kBaseline;
  std::map<std::string, std::vector<double>> values;  // metric -> one value a seed
  std::map<std::string, double> published = {};       // metric -> the paper's number
  std::map<std::string, double> p_values = {};        // metric -> against the best row, paired
};

struct ReportTable {
  std::string title;
  std::string note;
  std::vector<std::string> metrics;  // columns, in order
  std::vector<ReportRow> rows;
  bool bars = false;              // draw the first metric as bars below the table
  std::string slice_metric = {};  // the columns are slices, of this metric
  std::string drawn = "users";    // what the bootstrap of the p-values draws, beside seeds
};

// NaN where nothing was measured.
struct CurvePoint {
  double epoch = 0.0;
  double train_loss = 0.0;
  double validation_loss = 0.0;
  double validation_ndcg = 0.0;
  double validation_hr = std::numeric_limits<double>::quiet_NaN();  // HR@10, of two domains
};

struct ReportCurve {
  std::string label;
  std::vector<CurvePoint> points;
  std::string group = {};  // curves of one group share their plots
};

// One line of a plot over something that was varied: interactions, overlap, steps.
struct SweepPoint {
  double x = 0.0;
  double mean = 0.0;
  double sd = 0.0;
};
struct SweepLine {
  std::string label;
  std::vector<SweepPoint> points;
  std::optional<double> level = std::nullopt;  // a level line instead of points
};
struct ReportSweep {
  std::string title;
  std::string x_title;
  std::string y_title;
  std::vector<SweepLine> lines;
};

// A table of words: what an analysis found.
struct ReportWords {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

struct CaseItem {
  std::string id;
  std::string title;
};

// A user of the source who is near to a case's.
struct CaseNeighbour {
  std::string user;
  std::vector<CaseItem> history;
  std::vector<CaseItem> next;
};

struct ReportCase {
  std::string user;
  std::vector<CaseItem> history;      // oldest first
  std::vector<CaseItem> recommended;  // best first
  std::vector<CaseItem> next;         // what the user chose afterwards
  std::string place = {};             // domain and model
  std::vector<CaseNeighbour> neighbours = {};
  std::optional<double> rank = std::nullopt;  // of the next item
};

struct RunReport {
  std::string title;
  std::string summary;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<ReportTable> tables;
  std::vector<ReportSweep> sweeps;
  std::vector<ReportWords> words;
  std::vector<ReportCurve> curves;
  std::vector<ReportCase> cases;
  std::vector<std::string> commands;  // how to get the same run
};

// Also reads what `kindling experiment` wrote: every experiment in the directory goes on one page,
// or only the one whose OUT/NAME.json is passed.
RunReport read_run(const std::string& directory);
// The experiments among the JSON files directly in `directory`, or in that one file; nothing when
// there is none.
std::optional<RunReport> read_experiments(const std::string& directory);
// Several on one page: titles of tables, plots and curves begin with their run's.
RunReport join_runs(const std::vector<RunReport>& runs);
std::string render_html(const RunReport& run);

// & < > " ' as entities, invalid UTF-8 and control bytes replaced: safe as text and as attribute.
std::string escape_html(std::string_view text);

}  // namespace kindling
