// What models with dot-product scores share.
//
//   Matrix score(…) const override { return score_by_vectors(*this, domain, queries, candidates); }
//
// The scores are those of kernels::dot, so that score() agrees to the last bit with the ranks of
// eval/ranking.h, which never computes a whole row of scores.
#pragma once

#include <span>

#include "kindling/models/recommender.h"

namespace kindling {

Matrix score_by_vectors(const VectorRecommender& model, const Domain& domain,
                        std::span<const Query> queries, std::span<const ItemId> candidates);

// The vectors of a domain; Error{kUnsupported} when `model` ("embknn") got none, Error{kBadInput}
// when they are not one for each item.
const ItemVectors& require_vectors(const Domain& domain, const char* model);

// Divides every row by its length; rows of zeros stay.
void normalise_rows(Matrix& values);

}  // namespace kindling
