// Models of ZESRec's network with one vector an item and a user: zesrec itself and the paper's
// in-domain oracles.
#pragma once

#include <memory>
#include <string>

#include "kindling/models/recommender.h"
#include "kindling/models/zesrec/options.h"

namespace kindling::zesrec {

// Which model it is, and where it learns: from the source, or from the target's own past.
struct ModelRole {
  std::string name = "zesrec";
  bool in_domain = false;
};

std::unique_ptr<Recommender> make_point_model(const Options& options, const ModelRole& role);

}  // namespace kindling::zesrec
