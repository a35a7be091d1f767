#include "kindling/eval/learning_plots.h"

#include <string>

#include <fmt/format.h>

#include "kindling/base/error.h"

namespace kindling {

namespace {

// One line a name; points where the step has a number of that name.
Json line_of(const Json& steps, const std::string& name, const std::string& label) {
  Json points = Json::array();
  for (std::size_t step = 0; step < steps.size(); ++step) {
    const auto found = steps[step].find(name);
    if (found != steps[step].end() && found->is_number()) points.push_back({step, *found});
  }
  return {{"label", label}, {"points", std::move(points)}};
}

bool is_bias(const std::string& tensor) { return tensor.find("bias") != std::string::npos; }

// One line a tensor.
Json gate_lines(const Json& steps, const std::string& gates, bool biases) {
  Json by_tensor = Json::object();
  for (std::size_t step = 0; step < steps.size(); ++step) {
    const auto found = steps[step].find(gates);
    if (found == steps[step].end() || !found->is_object()) continue;
    for (const auto& [tensor, value] : found->items()) {
      if (is_bias(tensor) == biases) by_tensor[tensor].push_back({step, value});
    }
  }
  Json lines = Json::array();
  for (auto& [tensor, points] : by_tensor.items()) {
    lines.push_back({{"label", tensor}, {"points", std::move(points)}});
  }
  return lines;
}

}  // namespace

Json learning_plots(const Json& learning, const std::string& place) {
  const auto steps = json_get<Json>(learning, "steps", place);
  if (!steps.is_array()) throw Error(Kind::kBadInput, "steps is no list", place);
  for (const Json& step : steps) {
    if (!step.is_object()) throw Error(Kind::kBadInput, "a step is no object", place);
  }
  Json plots = Json::array();
  // Without a name the axis has those of its lines.
  const auto add = [&](const std::string& title, std::string y, const Json& lines) {
    Json kept = Json::array();
    std::string labels;
    for (const Json& line : lines) {
      if (line["points"].empty()) continue;
      labels += (labels.empty() ? "" : ", ") + line["label"].get<std::string>();
      kept.push_back(line);
    }
    if (kept.empty()) return;
    if (y.empty()) y = labels;
    plots.push_back({{"title", title}, {"x", "step"}, {"y", y}, {"lines", std::move(kept)}});
  };
  const auto name = json_get_or<std::string>(learning, "scenario", "", place);
  const std::string of = name.empty() ? std::string() : fmt::format(" of {}", name);
  add("Learning" + of, "",
      {line_of(steps, "loss", "training loss"),
       line_of(steps, "stop_probability", "stop probability"),
       line_of(steps, "recall@20", "recall@20")});
  for (const bool biases : {false, true}) {
    const std::string what = biases ? "biases" : "weights";
    add(fmt::format("Input gates of the {}", what), "mean input gate",
        gate_lines(steps, "input_gates", biases));
    add(fmt::format("Forget gates of the {}", what), "mean forget gate",
        gate_lines(steps, "forget_gates", biases));
  }
  return plots;
}

}  // namespace kindling
