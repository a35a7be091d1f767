#include "kindling/eval/report_adaptation.h"

#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "kindling/base/json.h"
#include "kindling/eval/learning_plots.h"

namespace kindling {

namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20U;

ReportSweep sweep_of(const Json& plot, const std::string& place) {
  ReportSweep sweep{.title = json_get<std::string>(plot, "title", place),
                    .x_title = json_get<std::string>(plot, "x", place),
                    .y_title = json_get<std::string>(plot, "y", place),
                    .lines = {}};
  for (const Json& line : plot["lines"]) {
    SweepLine added{.label = json_get<std::string>(line, "label", place), .points = {}};
    for (const auto& point : json_get<std::vector<std::vector<double>>>(line, "points", place)) {
      added.points.push_back({.x = point.at(0), .mean = point.at(1), .sd = 0.0});
    }
    sweep.lines.push_back(std::move(added));
  }
  return sweep;
}

}  // namespace

std::optional<RunReport> read_adaptation(const std::string& directory) {
  const std::string path = (std::filesystem::path(directory) / "adaptation.json").string();
  if (!std::filesystem::exists(path)) return std::nullopt;
  const Json document = read_json(path, kMaxFileBytes);
  const auto learning = json_get<Json>(document, "adaptation", path);
  const auto scenario = json_get<std::string>(document, "scenario", path);
  RunReport report;
  report.title =
      fmt::format("{} adapted to {}", json_get<std::string>(document, "model", path), scenario);
  const auto count = [&](const char* member) {
    return std::to_string(json_get<std::uint64_t>(document, member, path));
  };
  report.facts = {{"interactions", count("support")}, {"candidates", count("candidates")}};
  const Json plots = learning_plots(learning, path);
  report.facts.emplace_back("steps", std::to_string(learning["steps"].size()));
  for (const Json& plot : plots) report.sweeps.push_back(sweep_of(plot, path));
  return report;
}

}  // namespace kindling
