#include "kindling/data/domains.h"

#include <cmath>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/data/transforms.h"

namespace kindling {

std::vector<SharedUser> shared_users(const Dataset& first, const Dataset& second) {
  std::vector<SharedUser> shared;
  for (UserId user = 0; user < first.user_count(); ++user) {
    if (const auto other = second.user_ids().find(first.user_ids().name(user))) {
      shared.push_back({user, *other});
    }
  }
  return shared;
}

namespace {

std::size_t users_to_keep(const Dataset& first, std::size_t shared, const OverlapOptions& options) {
  if (!(options.keep >= 0.0 && options.keep <= 1.0)) {
    throw Error(
        Kind::kBadOption,
        fmt::format("the share of users to keep cannot be {}; expected 0 to 1", options.keep));
  }
  if (options.of != "shared" && options.of != "first") {
    throw Error(Kind::kBadOption, fmt::format("a share of {} is unknown; expected shared or first",
                                              quote(options.of)));
  }
  const std::size_t base = options.of == "first" ? first.user_count() : shared;
  // A share like 0.3 of 10 is 3, although 0.3 * 10 lies a hair below it.
  const auto wanted =
      static_cast<std::size_t>(std::floor(options.keep * static_cast<double>(base) + 1e-9));
  if (wanted > shared) {
    throw Error(Kind::kBadInput,
                fmt::format("{} % of the {} users of {} are {}, but only {} are in both domains",
                            100.0 * options.keep, base, quote(first.name), wanted, shared),
                {}, "ask for less, or for a share of the common users");
  }
  return wanted;
}

}  // namespace

DomainPair thin_overlap(const Dataset& first, const Dataset& second, const OverlapOptions& options,
                        const Rng& rng) {
  std::vector<SharedUser> shared = shared_users(first, second);
  if (shared.empty()) {
    throw Error(
        Kind::kBadInput,
        fmt::format("{} and {} have no common users", quote(first.name), quote(second.name)), {},
        "users are matched by their outside ids: are both from one namespace?");
  }
  if (options.rule != "random" && options.rule != "alternate") {
    throw Error(Kind::kBadOption,
                fmt::format("unknown rule {}; expected random or alternate", quote(options.rule)));
  }
  const std::size_t kept = users_to_keep(first, shared.size(), options);
  Rng order = rng.fork("overlap order");
  shuffle(std::span<SharedUser>(shared), order);
  std::vector<bool> in_first(first.user_count(), true);
  std::vector<bool> in_second(second.user_count(), true);
  for (std::size_t i = kept; i < shared.size(); ++i) {
    Rng side = rng.fork("overlap side", shared[i].first);
    const bool keeps_first =
        options.rule == "random" ? side.below(2) == 0 : shared[i].first % 2 == 0;
    if (keeps_first) {
      in_second[shared[i].second] = false;
    } else {
      in_first[shared[i].first] = false;
    }
  }
  DomainPair pair{keep_users(first, in_first), keep_users(second, in_second), kept};
  for (Dataset* domain : {&pair.first, &pair.second}) {
    domain->origin["overlap"] = {{"keep", options.keep},
                                 {"of", options.of},
                                 {"rule", options.rule},
                                 {"shared_before", shared.size()},
                                 {"shared", kept}};
  }
  return pair;
}

namespace {

// Who stays: `common` in its order, then the others in random order.
std::vector<bool> first_users(std::size_t users, const std::vector<UserId>& common,
                              std::size_t most, Rng rng) {
  std::vector<bool> kept(users, false);
  std::size_t count = 0;
  const auto keep = [&](UserId user) {
    if (count >= most || kept[user]) return;
    kept[user] = true;
    ++count;
  };
  for (const UserId user : common) keep(user);
  for (const std::uint32_t user : permutation(users, rng)) keep(user);
  return kept;
}

}  // namespace

DomainPair cap_users(const Dataset& first, const Dataset& second, std::size_t most,
                     const Rng& rng) {
  std::vector<SharedUser> shared = shared_users(first, second);
  Rng order = rng.fork("common");
  shuffle(std::span<SharedUser>(shared), order);
  std::vector<UserId> common_first;
  std::vector<UserId> common_second;
  for (const SharedUser& user : shared) {
    common_first.push_back(user.first);
    common_second.push_back(user.second);
  }
  const auto capped = [&](const Dataset& data, const std::vector<UserId>& common,
                          const char* name) {
    if (data.user_count() <= most) return data;
    Dataset part = keep_users(data, first_users(data.user_count(), common, most, rng.fork(name)));
    part.origin["max_users"] = most;
    return part;
  };
  DomainPair pair{capped(first, common_first, "first"), capped(second, common_second, "second"), 0};
  pair.shared = shared_users(pair.first, pair.second).size();
  return pair;
}

}  // namespace kindling
