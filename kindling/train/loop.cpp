#include "kindling/train/loop.h"

#include <chrono>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/train/checkpoint.h"

namespace kindling::train {

namespace {

using Clock = std::chrono::steady_clock;

Json result_to_json(const EpochResult& r) {
  return Json::array(
      {r.epoch, r.train_loss, r.validation.loss, r.validation.ndcg, r.seconds, r.learning_rate});
}

EpochResult result_from_json(const Json& j) {
  return {j.at(0).get<std::int64_t>(),
          j.at(1).get<double>(),
          {j.at(2).get<double>(), j.at(3).get<double>()},
          j.at(4).get<double>(),
          j.at(5).get<double>()};
}

class Run {
 public:
  Run(const Job& job, Optimizer& optimizer, const LoopOptions& options)
      : job_(job),
        optimizer_(optimizer),
        options_(options),
        plateau_(options.plateau, optimizer.learning_rate()),
        start_(Clock::now()) {}

  LoopResult run() {
    if (options_.resume) resume();
    while (!finished_ && epoch_ < options_.epochs) {
      ++epoch_;
      const double train_loss = train_epoch();
      end_epoch(train_loss);
    }
    copy_weights(best_, current());
    return std::move(result_);
  }

 private:
  double seconds() const {
    return seconds_before_ + std::chrono::duration<double>(Clock::now() - start_).count();
  }
  bool out_of_time() const { return options_.max_seconds > 0 && seconds() > options_.max_seconds; }

  Tensors current() const {
    Tensors all;
    for (const Parameter& parameter : optimizer_.parameters()) {
      all.emplace_back(parameter.name, parameter.value);
    }
    return all;
  }

  static void copy_weights(const Tensors& from, const Tensors& to) {
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < from.size(); ++i) to[i].second.detach().copy_(from[i].second);
  }

  [[noreturn]] void fail_divergence(std::string_view what, double value, const std::string& where) {
    const bool kept = !options_.checkpoint.empty() && epoch_ > 1;
    throw Error(
        Kind::kDiverged,
        fmt::format(
            "training diverged: the {} is {} at {}{}", what, value, where,
            kept ? fmt::format("; epoch {} is kept in {}", epoch_ - 1, options_.checkpoint) : ""),
        {}, "lower learning_rate, raise eps, or set clip; check the scale of the vectors");
  }

  [[noreturn]] void fail_interrupted() {
    const bool kept = !options_.checkpoint.empty() && epoch_ > 1;
    throw Error(Kind::kIo, fmt::format("interrupted in epoch {}", epoch_), {},
                kept ? fmt::format("epoch {} is kept in {}; run the same command with --resume",
                                   epoch_ - 1, options_.checkpoint)
                     : "no epoch was finished: nothing is kept");
  }

  double train_epoch() {
    const std::int64_t batches = job_.begin_epoch(epoch_);
    Progress bar(fmt::format("{} {}/{}", job_.name, epoch_, options_.epochs),
                 static_cast<std::uint64_t>(batches));
    BatchLoss total;
    for (std::int64_t batch = 0; batch < batches; ++batch) {
      if (job_.should_stop && job_.should_stop()) fail_interrupted();
      if (out_of_time() && total.count > 0) {
        finished_ = true;
        break;
      }
      const auto step = [&](BatchLoss loss) {
        if (!std::isfinite(loss.sum)) {
          fail_divergence("loss", loss.sum, fmt::format("epoch {}, batch {}", epoch_, batch + 1));
        }
        if (options_.clip > 0) optimizer_.clip(options_.clip);
        optimizer_.step();
        total.sum += loss.sum;
        total.count += loss.count;
      };
      job_.run_batch(epoch_, batch, step);
      bar.step(1,
               fmt::format("loss {:.4f}{}", total.sum / static_cast<double>(total.count), note_));
    }
    if (total.count == 0) {
      throw Error(Kind::kBadInput, "there is nothing to train on", {},
                  "the source needs users with at least two events");
    }
    return total.sum / static_cast<double>(total.count);
  }

  void end_epoch(double train_loss) {
    EpochResult record;
    record.epoch = epoch_;
    record.train_loss = train_loss;
    record.validation = job_.validate(train_loss);
    record.learning_rate = optimizer_.learning_rate();
    if (!std::isfinite(record.validation.loss)) {
      fail_divergence("validation loss", record.validation.loss, fmt::format("epoch {}", epoch_));
    }
    const Plateau::Verdict verdict = plateau_.see(record.validation.loss);
    if (verdict.best) {
      result_.best_epoch = epoch_;
      result_.best_loss = record.validation.loss;
      keep_best();
    }
    if (verdict.reload) copy_weights(best_, current());
    optimizer_.set_learning_rate(plateau_.learning_rate());
    finished_ = finished_ || verdict.stop || out_of_time();
    record.seconds = seconds();
    result_.history.push_back(record);
    note_ =
        fmt::format("  valid {:.4f}  N@20 {:.4f}", record.validation.loss, record.validation.ndcg);
    if (!options_.checkpoint.empty()) save();
    if (job_.on_epoch) job_.on_epoch(record);
  }

  void keep_best() {
    if (best_.empty()) {
      for (const auto& [name, tensor] : current()) {
        best_.emplace_back(name, tensor.detach().clone());
      }
    } else {
      copy_weights(current(), best_);
    }
  }

  void save() const {
    Checkpoint checkpoint;
    for (const auto& [name, tensor] : current()) {
      checkpoint.tensors.emplace_back("weights/" + name, tensor);
    }
    for (const auto& [name, tensor] : best_) {
      checkpoint.tensors.emplace_back("best/" + name, tensor);
    }
    for (const auto& [name, tensor] : optimizer_.state()) {
      checkpoint.tensors.emplace_back("optimizer/" + name, tensor);
    }
    Json& facts = checkpoint.facts;
    const Plateau::State plateau = plateau_.state();
    facts["job"] = job_.name;
    facts["identity"] = job_.identity;
    facts["epoch"] = epoch_;
    facts["finished"] = finished_;
    facts["best_epoch"] = result_.best_epoch;
    facts["plateau"] = Json::array(
        {plateau.best_loss, plateau.learning_rate, plateau.since_change, plateau.since_best});
    facts["history"] = Json::array();
    for (const EpochResult& record : result_.history) {
      facts["history"].push_back(result_to_json(record));
    }
    save_checkpoint(options_.checkpoint, checkpoint);
  }

  void resume() {
    if (options_.checkpoint.empty()) return;
    const std::optional<Checkpoint> checkpoint = load_checkpoint(options_.checkpoint);
    if (!checkpoint) return;
    const Json& facts = checkpoint->facts;
    if (facts.value("identity", "") != job_.identity) {
      throw Error(Kind::kBadOption, "the checkpoint belongs to another run", options_.checkpoint,
                  "use the same model, options, seed and data, or start again without --resume");
    }
    Tensors optimizer_state;
    best_.clear();
    const Tensors weights = current();
    std::size_t restored = 0;
    for (const auto& [name, tensor] : checkpoint->tensors) {
      if (name.starts_with("optimizer/")) optimizer_state.emplace_back(name.substr(10), tensor);
    }
    for (const auto& [name, value] : weights) {
      for (const auto& [saved, tensor] : checkpoint->tensors) {
        if (tensor.sizes() != value.sizes()) continue;
        if (saved == "weights/" + name) {
          copy_weights({{name, tensor}}, {{name, value}});
          ++restored;
        } else if (saved == "best/" + name) {
          best_.emplace_back(name, tensor.to(value.device()).clone());
        }
      }
    }
    if (restored != weights.size() || best_.size() != weights.size()) {
      throw Error(Kind::kCorrupt, "the checkpoint does not fit the model", options_.checkpoint);
    }
    optimizer_.load_state(optimizer_state);
    restore_facts(facts);
    log_info("resumed after epoch {}", epoch_);
  }

  void restore_facts(const Json& facts) {
    try {
      epoch_ = facts.at("epoch").get<std::int64_t>();
      finished_ = facts.at("finished").get<bool>();
      result_.best_epoch = facts.at("best_epoch").get<std::int64_t>();
      const Json& plateau = facts.at("plateau");
      plateau_.load({plateau.at(0).get<double>(), plateau.at(1).get<double>(),
                     plateau.at(2).get<std::int64_t>(), plateau.at(3).get<std::int64_t>()});
      for (const Json& record : facts.at("history")) {
        result_.history.push_back(result_from_json(record));
      }
      if (result_.history.empty()) throw Error(Kind::kCorrupt, "no epochs", options_.checkpoint);
    } catch (const Json::exception& error) {
      throw Error(Kind::kCorrupt, error.what(), options_.checkpoint);
    }
    result_.best_loss = plateau_.best_loss();
    optimizer_.set_learning_rate(plateau_.learning_rate());
    seconds_before_ = result_.history.back().seconds;
  }

  const Job& job_;
  Optimizer& optimizer_;
  const LoopOptions& options_;
  Plateau plateau_;
  Clock::time_point start_;
  double seconds_before_ = 0.0;
  std::int64_t epoch_ = 0;
  bool finished_ = false;
  Tensors best_;
  LoopResult result_;
  std::string note_;
};

}  // namespace

LoopResult run_epochs(const Job& job, Optimizer& optimizer, const LoopOptions& options) {
  return Run(job, optimizer, options).run();
}

}  // namespace kindling::train
