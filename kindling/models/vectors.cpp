#include "kindling/models/vectors.h"

#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/parallel.h"
#include "kindling/kernels/dot.h"

namespace kindling {

Matrix score_by_vectors(const VectorRecommender& model, const Domain& domain,
                        std::span<const Query> queries, std::span<const ItemId> candidates) {
  const Matrix users = model.user_vectors(domain, queries);
  const Matrix items = model.item_vectors(domain);
  for (const ItemId item : candidates) {
    check(item < items.rows(), "a candidate is not an item of the domain");
  }
  Matrix scores(queries.size(), candidates.size());
  parallel_for(queries.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t q = begin; q < end; ++q) {
      for (std::size_t c = 0; c < candidates.size(); ++c) {
        scores(q, c) =
            kernels::dot(users.row(q).data(), items.row(candidates[c]).data(), items.cols());
      }
    }
  });
  return scores;
}

const ItemVectors& require_vectors(const Domain& domain, const char* model) {
  if (domain.vectors == nullptr) {
    throw Error(Kind::kUnsupported, fmt::format("{} needs item vectors, there are none", model), {},
                "make them with `kindling embed`, or bring your own with --vectors");
  }
  if (domain.data != nullptr && domain.vectors->items() != domain.data->item_count()) {
    throw Error(Kind::kBadInput, fmt::format("{} item vectors for {} items",
                                             domain.vectors->items(), domain.data->item_count()));
  }
  return *domain.vectors;
}

void normalise_rows(Matrix& values) {
  for (std::size_t r = 0; r < values.rows(); ++r) {
    const auto row = values.row(r);
    const double length = std::sqrt(kernels::dot_reference(row.data(), row.data(), row.size()));
    if (length == 0.0) continue;
    for (float& value : row) value = static_cast<float>(value / length);
  }
}

}  // namespace kindling
