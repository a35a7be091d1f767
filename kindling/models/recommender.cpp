#include "kindling/models/recommender.h"

#include <algorithm>

#include <fmt/format.h>

#include "kindling/base/error.h"

namespace kindling {

namespace {

constexpr double kAtLeast = 1e-3;  // seconds: 0 would be no limit

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

bool has_data(const std::optional<Domain>& domain) {
  return domain.has_value() && domain->data != nullptr;
}

}  // namespace

const Domain& require_source(const TrainTask& task, const std::string& model) {
  if (has_data(task.source)) return *task.source;
  throw Error(Kind::kUnsupported, fmt::format("{} needs a source domain to learn from", model), {},
              "pass --source DIR");
}

const Domain& require_target(const TrainTask& task, const std::string& model) {
  if (has_data(task.target_train)) return *task.target_train;
  throw Error(Kind::kUnsupported,
              fmt::format("{} learns from the target's own interactions, there are none", model),
              {}, "pass --target DIR");
}

void require_items(const Domain& domain, std::size_t fitted, const std::string& model) {
  if (domain.data == nullptr || domain.data->item_count() == fitted) return;
  throw Error(Kind::kUnsupported,
              fmt::format("{} was fitted on {} items, this domain has {}", model, fitted,
                          domain.data->item_count()),
              {}, "it cannot move to another domain; fit it on this one");
}

void FitContext::identify(Json& facts) const {
  facts["seed"] = seed;
  if (!validated_by.empty()) facts["validated_by"] = validated_by;
}

bool FitContext::out_of_time() const {
  return max_seconds > 0.0 && seconds_since(begin) >= max_seconds;
}

double FitContext::seconds_left() const {
  if (max_seconds <= 0.0) return 0.0;
  return std::max(kAtLeast, max_seconds - seconds_since(begin));
}

void FitContext::fail_for_time(const std::string& model) const {
  throw Error(Kind::kBadOption,
              fmt::format("{:.3g} minutes were over before {} had learnt anything of use",
                          max_seconds / 60.0, model),
              "--max-minutes",
              checkpoint.empty() ? "give it more"
                                 : "run the same command with --resume and more of them: the "
                                   "stages that are finished are kept");
}

}  // namespace kindling
