// What the name of a metric says: how a column of it is headed, and which of two values is better.
//
//   metric_title("macro_recall@20");       // "Recall@20 (macro)"
//   metric_direction("below_itempop");     // MetricDirection::kSmaller
//   is_better("steps", 3.0, 2.0);          // false either way round
//
// One table in report_metrics.cpp knows every metric that a cell can have: a new one gets a line.
// Another name is headed as it is, and has no direction.
#pragma once

#include <string>

namespace kindling {

enum class MetricDirection { kNone, kLarger, kSmaller };  // which values are better

std::string metric_title(const std::string& metric);
MetricDirection metric_direction(const std::string& metric);
// Whether `a` is better than `b`; without a direction no value is.
bool is_better(MetricDirection direction, double a, double b);
bool is_better(const std::string& metric, double a, double b);

}  // namespace kindling
