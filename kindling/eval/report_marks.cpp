#include "kindling/eval/report_marks.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/text.h"

namespace kindling {

namespace {

constexpr double kSame = 1e-12;
constexpr double kNotApart = 0.05;

std::optional<double> mean_of(const ReportRow& row, const std::string& column) {
  const auto found = row.values.find(column);
  if (found == row.values.end() || found->second.empty()) return std::nullopt;
  return mean_sd(found->second).mean;
}

std::optional<double> best_of(const ReportTable& table, const std::string& column) {
  const MetricDirection direction = column_direction(table, column);
  std::optional<double> best;
  std::size_t rows = 0;
  for (const ReportRow& row : table.rows) {
    const auto mean = mean_of(row, column);
    if (!mean) continue;
    ++rows;
    if (!best || is_better(direction, *mean, *best)) best = mean;
  }
  return direction == MetricDirection::kNone || rows < 2 ? std::nullopt : best;
}

bool is_compared(const ReportTable& table, const std::string& column) {
  return std::any_of(table.rows.begin(), table.rows.end(),
                     [&](const ReportRow& row) { return row.p_values.contains(column); });
}

// Of the compared columns those where the row was left out; "" when that is all of its own.
std::optional<std::string> left_out(const ReportTable& table, const ReportRow& row,
                                    const std::vector<std::string>& compared) {
  std::vector<std::string> without;
  std::size_t with = 0;
  for (const std::string& column : compared) {
    if (!mean_of(row, column) || mark_of(table, row, column) == Mark::kBest) continue;
    if (row.p_values.contains(column)) {
      ++with;
    } else {
      without.push_back(metric_title(column));
    }
  }
  if (without.empty()) return std::nullopt;
  return with == 0 ? std::string() : fmt::format(" ({})", join(without, ", "));
}

}  // namespace

MetricDirection column_direction(const ReportTable& table, const std::string& column) {
  return metric_direction(table.slice_metric.empty() ? column : table.slice_metric);
}

Mark mark_of(const ReportTable& table, const ReportRow& row, const std::string& column) {
  const auto mean = mean_of(row, column);
  const auto best = best_of(table, column);
  if (!mean || !best) return Mark::kNone;
  if (std::abs(*mean - *best) < kSame) return Mark::kBest;
  const auto p = row.p_values.find(column);
  return p != row.p_values.end() && p->second >= kNotApart ? Mark::kNotApart : Mark::kNone;
}

std::string marks_note(const ReportTable& table) {
  std::vector<std::string> compared;
  std::vector<std::string> others;
  bool smaller = false;
  for (const std::string& column : table.metrics) {
    if (!best_of(table, column)) continue;
    smaller = smaller || column_direction(table, column) == MetricDirection::kSmaller;
    if (is_compared(table, column)) {
      compared.push_back(column);
    } else {
      others.push_back(metric_title(column));
    }
  }
  if (compared.empty() && others.empty()) return {};
  std::string note = "★ best";
  if (smaller) note += "; ↓ smaller is better";
  if (compared.empty()) return note + "; rows were not compared query by query.";
  note += fmt::format("; ≈ not told apart from it (paired bootstrap over {} and seeds, p ≥ {}).",
                      table.drawn, kNotApart);
  std::vector<std::string> rows;
  for (const ReportRow& row : table.rows) {
    if (const auto where = left_out(table, row, compared)) rows.push_back(row.label + *where);
  }
  if (!rows.empty()) note += fmt::format(" Rows not compared: {}.", join(rows, ", "));
  if (!others.empty()) note += fmt::format(" Columns not compared: {}.", join(others, ", "));
  return note;
}

}  // namespace kindling
