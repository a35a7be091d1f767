#include "kindling/kernels/adam.h"

#include <cmath>

#include "kindling/base/parallel.h"

namespace kindling::kernels {

namespace {

constexpr std::size_t kGrain = 65'536;

struct Factors {
  float rate;     // over 1 − β₁^step
  float inverse;  // 1/√(1 − β₂^step)
};

void update_adam(float* __restrict p, const float* __restrict gradient, float* __restrict m,
                 float* __restrict v, std::size_t count, const AdamStep& step,
                 const Factors& factors) {
  const float beta1 = step.beta1;
  const float beta2 = step.beta2;
  const float epsilon = step.epsilon;
  const float decay = step.decay;
  for (std::size_t i = 0; i < count; ++i) {
    const float g = gradient[i] + decay * p[i];
    m[i] = beta1 * m[i] + (1.0F - beta1) * g;
    v[i] = beta2 * v[i] + (1.0F - beta2) * g * g;
    p[i] -= factors.rate * m[i] / (std::sqrt(v[i]) * factors.inverse + epsilon);
  }
}

}  // namespace

void adam(float* parameters, const float* gradient, float* m, float* v, std::size_t count,
          const AdamStep& step) {
  const auto n = static_cast<double>(step.step);
  const double first = 1.0 - std::pow(static_cast<double>(step.beta1), n);
  const double second = 1.0 - std::pow(static_cast<double>(step.beta2), n);
  const Factors factors{static_cast<float>(static_cast<double>(step.rate) / first),
                        static_cast<float>(1.0 / std::sqrt(second))};
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    update_adam(parameters + begin, gradient + begin, m + begin, v + begin, end - begin, step,
                factors);
  });
}

void gradient_descent(float* parameters, const float* gradient, std::size_t count, float rate,
                      float decay) {
  for (std::size_t i = 0; i < count; ++i) {
    parameters[i] -= rate * (gradient[i] + decay * parameters[i]);
  }
}

}  // namespace kindling::kernels
