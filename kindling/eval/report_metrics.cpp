#include "kindling/eval/report_metrics.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/text.h"

namespace kindling {

namespace {

struct MetricName {
  std::string_view name;  // in front of @K
  const char* title;
  MetricDirection direction;
};

// THE table of metrics: one line each.
constexpr MetricName kNames[] = {
    {"ndcg", "NDCG", MetricDirection::kLarger},
    {"recall", "Recall", MetricDirection::kLarger},
    {"hr", "HR", MetricDirection::kLarger},
    {"hit", "HR", MetricDirection::kLarger},
    {"mrr", "MRR", MetricDirection::kLarger},
    {"auc", "AUC", MetricDirection::kLarger},
    {"below_itempop", "Scenarios below ItemPop", MetricDirection::kSmaller},
    {"below_unadapted", "Scenarios below unadapted", MetricDirection::kSmaller},
    {"adapt_seconds", "Seconds to adapt", MetricDirection::kSmaller},
    {"steps", "Steps", MetricDirection::kNone},
    {"right", "Share of users right", MetricDirection::kLarger},
    {"users", "Users", MetricDirection::kNone},
};

// What may stand in front of a name, and what is said of it behind the title.
struct MetricPrefix {
  std::string_view prefix;
  const char* aside;
};

constexpr MetricPrefix kPrefixes[] = {
    {"macro_", "macro"},
    {"full:", "all items"},
    {"uniform:", "uniform candidates"},
    {"popularity:", "popular candidates"},
    {"warm:", "warm items"},
    {"validation_", "validation"},
};

struct ParsedMetric {
  const MetricName* known = nullptr;  // null: not in the table
  std::string_view cutoff;            // "@20"
  std::vector<std::string> asides;
};

// "macro_recall@20/4" is "recall" with the cut-off "@20", "macro" and "step 4".
ParsedMetric parse_metric_name(std::string_view metric) {
  ParsedMetric parsed;
  for (const MetricPrefix& one : kPrefixes) {
    if (!metric.starts_with(one.prefix)) continue;
    metric.remove_prefix(one.prefix.size());
    parsed.asides.emplace_back(one.aside);
  }
  if (const auto slash = metric.find('/'); slash != std::string_view::npos) {
    parsed.asides.push_back(fmt::format("step {}", metric.substr(slash + 1)));
    metric = metric.substr(0, slash);
  }
  const std::size_t at = std::min(metric.find('@'), metric.size());
  parsed.cutoff = metric.substr(at);
  for (const MetricName& one : kNames) {
    if (metric.substr(0, at) == one.name) parsed.known = &one;
  }
  return parsed;
}

}  // namespace

std::string metric_title(const std::string& metric) {
  const ParsedMetric parsed = parse_metric_name(metric);
  if (parsed.known == nullptr) {
    std::string title = metric;
    if (!title.empty()) {
      title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
    }
    return title;
  }
  std::string title = fmt::format("{}{}", parsed.known->title, parsed.cutoff);
  if (parsed.asides.empty()) return title;
  return fmt::format("{} ({})", title, join(parsed.asides, ", "));
}

MetricDirection metric_direction(const std::string& metric) {
  const ParsedMetric parsed = parse_metric_name(metric);
  return parsed.known != nullptr ? parsed.known->direction : MetricDirection::kNone;
}

bool is_better(MetricDirection direction, double a, double b) {
  if (direction == MetricDirection::kNone) return false;
  return direction == MetricDirection::kLarger ? a > b : a < b;
}

bool is_better(const std::string& metric, double a, double b) {
  return is_better(metric_direction(metric), a, b);
}

}  // namespace kindling
