#include "kindling/eval/experiment_results.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <span>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/eval/compare.h"

namespace kindling {

namespace {

bool same_row(const PlannedCell& a, const PlannedCell& b) {
  return a.pair == b.pair && a.encoder == b.encoder && a.model == b.model && a.step == b.step;
}

const char* role_name(PlanRole role) {
  if (role == PlanRole::kOurs) return "ours";
  return role == PlanRole::kOracle ? "oracle" : "baseline";
}

// Where a swept row stands on the x axis: the interactions that were there to be learnt, when a
// cell says so, else the value of the sweep.
double swept_to(const FinishedCells& cells, const ResultRow& row, double value) {
  std::vector<double> numbers;
  for (const PlannedCell* seed : row.seeds) {
    numbers.push_back(cells.cell(*seed)["more"].value("interactions", value));
  }
  return numbers.empty() ? value : mean_sd(numbers).mean;
}

// One entry of "cells": a row and a metric.
Json row_json(const ExperimentPlan& plan, const FinishedCells& cells, const ResultRow& row,
              const std::string& metric) {
  const PlannedCell& cell = *row.first;
  const std::vector<double> values = cells.values(row, metric);
  const MeanSd summary = mean_sd(values);
  Json json = {{"data", cell.pair->name}, {"model", cell.model->label}, {"metric", metric},
               {"mean", summary.mean},    {"sd", summary.sd},           {"seeds", summary.count}};
  const auto published = plan.published_value(*cell.pair, cell.model->label, metric, cell.step);
  json["published"] = published ? Json(*published) : Json(nullptr);
  json["deviation"] = published ? Json(summary.mean - *published) : Json(nullptr);
  if (published && !plan.published.contains(cell.pair->name)) {
    json["published_on"] = cell.pair->stands_for;
  }
  json["encoder"] = cell.encoder != nullptr ? cell.encoder->name : "";
  json["title"] = cell.model->title;
  json["role"] = role_name(cell.model->role);
  if (cell.step) {
    json["step"] = plan.sweep.values[*cell.step];
    json["x"] = swept_to(cells, row, plan.sweep.values[*cell.step]);
  }
  json["values"] = values;
  json["seed_of"] = Json::array();
  for (const PlannedCell* seed : cells.seeds(row, metric)) json["seed_of"].push_back(seed->seed);
  const Json& more = cells.cell(*row.seeds.front())["more"];
  for (const char* fact : {"queries", "queries_in_all"}) {
    if (more.contains(fact)) json[fact] = more[fact];
  }
  return json;
}

Json pairs_json(const ExperimentPlan& plan, const PreparedData& prepared) {
  Json all = Json::array();
  for (const PlanPair& pair : plan.pairs) {
    Json sets = Json::object();
    for (const auto& [role, name] : pair.data) {
      const auto found = prepared.sets.find(name);
      sets[role] = {{"name", name}};
      if (found != prepared.sets.end()) sets[role].update(found->second.facts);
    }
    all.push_back({{"name", pair.name},
                   {"title", pair.title},
                   {"protocol", pair.protocol},
                   {"stands_for", pair.stands_for},
                   {"there", prepared.has_pair(pair)},
                   {"data", sets}});
  }
  return all;
}

Json encoders_json(const ExperimentPlan& plan) {
  Json all = Json::array();
  for (const PlanEncoder& encoder : plan.encoders) {
    all.push_back({{"name", encoder.name}, {"title", encoder.title}});
  }
  return all;
}

// Learning curves and cases of the first seed of each row.
void add_stories(const FinishedCells& cells, Json& document) {
  document["curves"] = Json::array();
  document["cases"] = Json::array();
  document["plots"] = Json::array();
  for (const ResultRow& row : cells.rows()) {
    if (row.seeds.empty()) continue;
    const PlannedCell& cell = *row.seeds.front();
    const Json& more = cells.cell(cell)["more"];
    const std::string encoder = cell.encoder != nullptr ? cell.encoder->title : "";
    for (const char* curve : {"history", "training"}) {
      if (!more.contains(curve) || more[curve].empty() || cell.step) continue;
      document["curves"].push_back({{"data", cell.pair->name},
                                    {"model", cell.model->label},
                                    {"title", cell.model->title},
                                    {"encoder", encoder},
                                    {"points", more[curve]}});
    }
    for (Json plot : more.value("plots", Json::array())) {
      plot["title"] =
          fmt::format("{} · {} · {}", cell.pair->title, cell.model->title, plot.value("title", ""));
      document["plots"].push_back(plot);
    }
    if (!more.contains("cases")) continue;
    for (Json one : more["cases"]) {
      one["data"] = cell.pair->title;
      one["model"] = cell.model->title;
      document["cases"].push_back(one);
    }
  }
}

// A cell that counts its queries writes the rank of each. Paths inside OUT, each once.
std::set<std::string> cells_without_ranks(const FinishedCells& cells) {
  std::set<std::string> paths;
  for (const ResultRow& row : cells.rows()) {
    for (const PlannedCell* seed : row.seeds) {
      const bool has_ranks = cells.cell(*seed)["more"].value("queries", 0.0) > 0.0;
      if (has_ranks && !std::filesystem::exists(seed->ranks_path(cells.out()))) {
        paths.insert(seed->path(""));
      }
    }
  }
  return paths;
}

[[noreturn]] void refuse_cell(const std::string& message, const std::string& path) {
  throw Error(Kind::kCorrupt, message, path, "remove the file and run again");
}

// A member that is there must be of this type. NaN is written as null.
struct CellMember {
  const char* name;
  bool (*fits)(const Json&);
};

bool is_objects(const Json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const Json& one) { return one.is_object(); });
}

bool is_number(const Json& value) { return value.is_number(); }

bool is_plots(const Json& value) {
  return is_objects(value) && std::all_of(value.begin(), value.end(), [](const Json& plot) {
           return !plot.contains("title") || plot["title"].is_string();
         });
}

bool is_validation(const Json& value) {
  return value.is_object() &&
         (!value.contains("loss") || value["loss"].is_number() || value["loss"].is_null());
}

bool is_metrics(const Json& value) {
  return value.is_object() && std::all_of(value.begin(), value.end(), [](const Json& one) {
           return one.is_number() || one.is_null();
         });
}

constexpr CellMember kMembers[] = {{"metrics", &is_metrics}, {"seconds", &is_number}};
// What is read of "more".
constexpr CellMember kMore[] = {
    {"interactions", &is_number}, {"queries", &is_number},        {"queries_in_all", &is_number},
    {"history", &is_objects},     {"training", &is_objects},      {"cases", &is_objects},
    {"plots", &is_plots},         {"validation", &is_validation},
};

void check_members(const Json& object, std::span<const CellMember> members,
                   const std::string& path) {
  for (const CellMember& member : members) {
    if (object.contains(member.name) && !member.fits(object[member.name])) {
      refuse_cell(fmt::format("{} cannot be {}", member.name, quote(object[member.name].dump())),
                  path);
    }
  }
}

}  // namespace

Json read_cell(const PlannedCell& cell, const std::string& out) {
  const std::string path = cell.path(out);
  Json document;
  try {
    document = read_json(path);
  } catch (const Error& error) {
    if (error.kind() == Kind::kIo) throw;
    refuse_cell(error.message(), path);
  }
  const bool is_cell = document.is_object() && document.contains("metrics") &&
                       document.contains("more") && document["more"].is_object();
  if (!is_cell) refuse_cell("this is no cell of an experiment", path);
  if (!document.contains("identity") || document["identity"] != cell.identity) {
    refuse_cell("this is another cell than " + cell.name, path);
  }
  check_members(document, kMembers, path);
  check_members(document["more"], kMore, path);
  return document;
}

FinishedCells::FinishedCells(const std::vector<PlannedCell>& cells, const std::string& out)
    : out_(out) {
  for (const PlannedCell& cell : cells) {
    auto row = std::find_if(rows_.begin(), rows_.end(),
                            [&](const ResultRow& known) { return same_row(*known.first, cell); });
    if (row == rows_.end()) row = rows_.insert(row, {.first = &cell, .seeds = {}});
    if (!std::filesystem::exists(cell.path(out))) continue;
    ++finished_;
    row->seeds.push_back(&cell);
    if (documents_.contains(cell.key)) continue;
    documents_[cell.key] = read_cell(cell, out);
  }
}

double FinishedCells::seconds() const {
  double sum = 0.0;
  for (const auto& [key, document] : documents_) sum += document.value("seconds", 0.0);
  return sum;
}

std::vector<const PlannedCell*> FinishedCells::seeds(const ResultRow& row,
                                                     const std::string& metric) const {
  std::vector<const PlannedCell*> all;
  for (const PlannedCell* seed : row.seeds) {
    const Json& metrics = cell(*seed)["metrics"];
    if (metrics.contains(metric) && metrics[metric].is_number()) all.push_back(seed);
  }
  return all;
}

std::vector<double> FinishedCells::values(const ResultRow& row, const std::string& metric) const {
  std::vector<double> all;
  for (const PlannedCell* seed : seeds(row, metric)) {
    all.push_back(cell(*seed)["metrics"][metric].get<double>());
  }
  return all;
}

const ResultRow* FinishedCells::find(const std::string& pair, const std::string& encoder,
                                     const std::string& label,
                                     std::optional<std::size_t> step) const {
  for (const ResultRow& row : rows_) {
    const PlannedCell& cell = *row.first;
    const bool same_encoder =
        encoder.empty() || cell.encoder == nullptr || cell.encoder->name == encoder;
    if (cell.pair->name == pair && cell.model->label == label && cell.step == step &&
        same_encoder && !row.seeds.empty()) {
      return &row;
    }
  }
  return nullptr;
}

Json experiment_document(const ExperimentPlan& plan, const PreparedData& prepared,
                         const std::vector<PlannedCell>& cells, const ExperimentRun& run) {
  const FinishedCells finished(cells, run.out);
  Json document;
  document["name"] = plan.name;
  document["kindling_experiment"] = 1;
  document["title"] = plan.title;
  document["source"] = plan.source;
  document["notes"] = plan.notes;
  document["version"] = run.version;
  document["metrics"] = plan.metrics;
  document["pairs"] = pairs_json(plan, prepared);
  document["encoders"] = encoders_json(plan);
  if (!plan.sweep.setting.empty()) {
    document["sweep"] = {{"setting", plan.sweep.setting},
                         {"title", plan.sweep.title},
                         {"values", plan.sweep.values}};
  }
  document["missing"] = prepared.missing;
  document["planned"] = cells.size();
  document["finished"] = finished.finished();
  document["cell_seconds"] = finished.seconds();
  document["cells"] = Json::array();
  for (const ResultRow& row : finished.rows()) {
    for (const std::string& metric : plan.metrics) {
      if (finished.values(row, metric).empty()) continue;
      document["cells"].push_back(row_json(plan, finished, row, metric));
    }
  }
  const std::set<std::string> unranked = cells_without_ranks(finished);
  document["without_ranks"] = unranked;
  if (!unranked.empty()) {
    log_warning(
        "{} finished cells in {} have lost their ranks, so their rows are not compared: remove the "
        "cell files and run again; the first is {}, all are \"without_ranks\" in {}.json",
        unranked.size(), run.out, *unranked.begin(), plan.name);
  }
  document["comparisons"] = compare_rows(plan, finished);
  document["analyses"] = run_analyses(plan, finished);
  add_stories(finished, document);
  return document;
}

}  // namespace kindling
