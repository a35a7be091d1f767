// The tables of an experiment for a terminal: our value, the published one, the deviation.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "kindling/eval/experiment_results.h"
#include "kindling/eval/report_plot.h"

namespace kindling {

namespace {

constexpr double kSecondsPerHour = 3600.0;

std::string value_text(const Json& cell) {
  std::string text = fmt::format("{:.4f}", cell["mean"].get<double>());
  if (cell["seeds"].get<std::size_t>() > 1) {
    text += fmt::format(" ± {:.4f}", cell["sd"].get<double>());
  }
  if (!cell["published"].is_null()) {
    text += fmt::format("  {:.3f} ({:+.4f})", cell["published"].get<double>(),
                        cell["deviation"].get<double>());
  }
  return text;
}

std::string row_name(const Json& cell) {
  std::string name = cell["title"].get<std::string>();
  if (cell["encoder"] != "") name += fmt::format(" · {}", cell["encoder"].get<std::string>());
  if (cell.contains("step")) name += " · " + swept_text(cell["x"].get<double>());
  return name;
}

// Two steps of a sweep are two rows, also where both learnt all that there is.
struct Row {
  std::string name;
  Json step;
  std::map<std::string, std::string> values;  // by metric
};

Row& row_of(const Json& cell, std::vector<Row>& rows) {
  const std::string name = row_name(cell);
  const Json step = cell.value("step", Json(nullptr));
  for (Row& row : rows) {
    if (row.name == name && row.step == step) return row;
  }
  return rows.emplace_back(Row{name, step, {}});
}

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width > width_of(text) ? width - width_of(text) : 0, ' ');
}

using Table = std::vector<std::vector<std::string>>;

std::string aligned(const Table& table) {
  std::vector<std::size_t> widths;
  for (const auto& row : table) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], width_of(row[c]));
    }
  }
  std::string text;
  for (const auto& row : table) {
    std::string line = " ";
    for (std::size_t c = 0; c < row.size(); ++c) line += " " + padded(row[c], widths[c] + 1);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string pair_text(const Json& document, const Json& pair) {
  const auto metrics = document["metrics"].get<std::vector<std::string>>();
  std::vector<Row> rows;
  bool published = false;
  std::string part;  // of the queries, where not all were asked [R15]
  for (const Json& cell : document["cells"]) {
    if (cell["data"] != pair["name"]) continue;
    if (cell.contains("queries_in_all")) {
      part = fmt::format("   first {} of {} queries", cell["queries"].get<std::size_t>(),
                         cell["queries_in_all"].get<std::size_t>());
    }
    row_of(cell, rows).values[cell["metric"].get<std::string>()] = value_text(cell);
    published = published || !cell["published"].is_null();
  }
  if (rows.empty()) return {};
  Table table{{""}};
  for (const auto& metric : metrics) table[0].push_back(metric);
  for (const Row& row : rows) {
    table.push_back({row.name});
    for (const auto& metric : metrics) {
      const auto value = row.values.find(metric);
      table.back().push_back(value != row.values.end() ? value->second : "-");
    }
  }
  std::string head = pair["title"].get<std::string>();
  if (published) {
    head += "   ours, published (deviation)";
    if (pair["stands_for"] != "") {
      head += fmt::format("; published on {}, other data", pair["stands_for"].get<std::string>());
    }
  }
  return fmt::format("\n{}{}\n{}", head, part, aligned(table));
}

std::string again_text(const Json& again) {
  std::string text;
  for (const Json& one : again) {
    std::string verdict = "the same numbers";
    if (!one["same"].get<bool>()) {
      verdict = "OTHER NUMBERS:";
      for (const Json& what : one["differs"]) verdict += " " + what.get<std::string>();
    }
    text += fmt::format("{:<60} {}\n", one["cell"].get<std::string>(), verdict);
  }
  return text;
}

}  // namespace

std::string experiment_text(const Json& document) {
  std::string text = document["title"].get<std::string>() + "\n";
  for (const Json& pair : document["pairs"]) text += pair_text(document, pair);
  for (const Json& analysis : document["analyses"]) {
    Table table{analysis["columns"].get<std::vector<std::string>>()};
    for (const Json& row : analysis["rows"]) table.push_back(row.get<std::vector<std::string>>());
    text += fmt::format("\n{}\n{}", analysis["title"].get<std::string>(), aligned(table));
  }
  for (const Json& missing : document["missing"]) {
    text += fmt::format("\nleft out: {}", missing.get<std::string>());
  }
  text += fmt::format("\n{} of {} cells finished", document["finished"].get<std::size_t>(),
                      document["planned"].get<std::size_t>());
  text += fmt::format(" ({:.1f} hours of one core)",
                      document["cell_seconds"].get<double>() / kSecondsPerHour);
  if (!document["failed"].empty()) text += fmt::format(", {} failed", document["failed"].size());
  return text + "\n" + again_text(document.value("again", Json::array()));
}

}  // namespace kindling
