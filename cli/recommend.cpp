// kindling recommend: the best next items for a history of item ids.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/base/error.h"
#include "kindling/base/text.h"
#include "kindling/eval/evaluate_run.h"
#include "kindling/eval/few_shot_run.h"

namespace kindling::cli {

namespace {

constexpr int kMostItems = 100'000;

void print_list(const RecommendRun& run, const std::vector<RecommendedItem>& list, bool json) {
  if (json) {
    Json items = Json::array();
    for (std::size_t i = 0; i < list.size(); ++i) {
      items.push_back({{"rank", i + 1},
                       {"id", list[i].id},
                       {"title", list[i].title},
                       {"score", list[i].score}});
    }
    print_json({{"model", run.model}, {"history", run.history}, {"items", items}});
    return;
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    fmt::print("{:>3}  {:<14} {:>9.4f}  {}\n", i + 1, list[i].id, list[i].score, list[i].title);
  }
}

}  // namespace

void add_recommend(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("recommend", "list the best next items for a history");
  auto run = std::make_shared<RecommendRun>();
  auto history = std::make_shared<std::string>();
  auto user = std::make_shared<std::string>();
  verb->add_option("MODEL", run->model, "model directory, or the name of a model without a source")
      ->required();
  verb->add_option("--items", run->items, "dataset directory with the items");
  verb->add_option("--history", *history, "item ids, oldest first, comma separated; may be empty");
  verb->add_option("--user", *user, "user id, for an adapted few-shot model");
  verb->add_option("--k", run->k, "how many items")
      ->check(CLI::Range(1, kMostItems))
      ->capture_default_str();
  verb->add_option("--vectors", run->vectors,
                   "item vectors: a name under DIR/vectors, or a .npy or .safetensors file");
  verb->add_flag("--keep-seen", run->keep_seen, "items of the history may be recommended again");
  add_common(*verb, common);
  verb->callback([run, history, user, &common] {
    if (!user->empty()) {
      for (const auto& [flag, given] :
           {std::pair("--history", !history->empty()), std::pair("--items", !run->items.empty()),
            std::pair("--vectors", !run->vectors.empty())}) {
        if (given) {
          throw Error(Kind::kBadOption, "has no meaning beside --user", flag,
                      "an adapted model knows its users, their items and its candidates");
        }
      }
      print_list(*run, recommend_adapted(run->model, *user, run->k, run->keep_seen), common.json);
      return;
    }
    if (run->items.empty()) {
      throw Error(Kind::kBadOption, "is required", "--items",
                  "or --user for an adapted few-shot model");
    }
    for (const std::string_view id : split(*history, ',')) {
      if (!trim(id).empty()) run->history.emplace_back(trim(id));
    }
    print_list(*run, run_recommendation(*run), common.json);
  });
}

}  // namespace kindling::cli
