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

}  // namespace

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
