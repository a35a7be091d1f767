// Which values of a table are marked, ★ best and ≈ not told apart from it, and what is said of it.
//
//   if (mark_of(table, row, "ndcg@20") == Mark::kBest) html += "★";
//   table.note = marks_note(table);   // also which rows and columns were not compared
//
// A best needs a second row, and a metric of which larger or smaller values are better. ≈ needs a
// paired comparison (ReportRow::p_values), which needs the ranks of both rows.
#pragma once

#include <string>

#include "kindling/eval/report.h"
#include "kindling/eval/report_metrics.h"

namespace kindling {

enum class Mark { kNone, kBest, kNotApart };

// Columns that are slices have the direction of their metric.
MetricDirection column_direction(const ReportTable& table, const std::string& column);
Mark mark_of(const ReportTable& table, const ReportRow& row, const std::string& column);
// Empty where nothing is marked.
std::string marks_note(const ReportTable& table);

}  // namespace kindling
