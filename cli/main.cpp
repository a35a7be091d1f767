// The `kindling` program: a table of verbs, and the one place where errors become exit codes.
#include <cmath>
#include <csignal>
#include <cstdio>
#include <exception>
#include <limits>
#include <new>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "cli/mistakes.h"
#include "cli/verbs.h"
#include "kindling/base/error.h"
#include "kindling/base/log.h"
#include "kindling/base/parallel.h"
#include "kindling/base/text.h"

namespace kindling::cli {

namespace {

constexpr int kUserMistake = 2;
constexpr int kFailure = 1;
constexpr int kFailedCheck = 3;

using AddVerb = void (*)(CLI::App&, Common&);
// One line a verb.
const std::vector<AddVerb> kVerbs = {add_import,   add_inspect,   add_overlap, add_candidates,
                                     add_embed,    add_scenarios, add_models,  add_train,
                                     add_evaluate, add_recommend, add_adapt,   add_experiment,
                                     add_report};

int report_error(const std::string& text, int code) {
  fmt::print(stderr, "kindling: {}\n", text);
  return code;
}

// What is printed may still lie in a buffer, and the disk behind it be full.
int finish_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  return report_error("cannot write to stdout", kFailure);
}

}  // namespace

void add_common(CLI::App& verb, Common& common) {
  verb.add_flag("--quiet,-q", common.quiet, "only errors on stderr");
  verb.add_flag("--json", common.json, "one JSON document on stdout");
  verb.add_option("--threads", common.threads, "threads to use; 0: one per core")
      ->check(CLI::Range(0, 1024));
  verb.preparse_callback([](std::size_t) {});
  verb.parse_complete_callback([&common] {
    set_threads(common.threads);
    if (common.quiet) set_log_level(LogLevel::kQuiet);
  });
}

CLI::Validator whole_number() {
  return {[](std::string& text) {
            const bool plain = !text.empty() && text.find_first_not_of("0123456789") == text.npos &&
                               (text == "0" || text.front() != '0');
            return plain && to_int(text)
                       ? std::string()
                       : fmt::format("must be a whole number from 0 to {}, is {}",
                                     std::numeric_limits<std::int64_t>::max(), quote(text));
          },
          ""};
}

CLI::Validator minutes() {
  return {[](std::string& text) {
            const auto value = to_double(text);
            return value && std::isfinite(*value) && *value >= 0.0
                       ? std::string()
                       : fmt::format("must be a number of minutes, 0 or more, is {}", quote(text));
          },
          ""};
}

void print_json(const Json& document) {
  try {
    fmt::print("{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace));
  } catch (const std::system_error& error) {
    throw Error(Kind::kIo, error.code().message(), "stdout");
  }
}

OptionValues parse_settings(const std::vector<std::string>& settings, const std::string& flag) {
  OptionValues values;
  for (const std::string& setting : settings) {
    const auto equal = setting.find('=');
    if (equal == std::string::npos || equal == 0) {
      throw Error(Kind::kBadOption, fmt::format("expected key=value, found {}", quote(setting)),
                  flag);
    }
    values.emplace_back(setting.substr(0, equal), setting.substr(equal + 1));
  }
  return values;
}

int run(int argc, char** argv) {
  CLI::App app("Kindling recommends before there is data.", "kindling");
  app.require_subcommand(1);
  app.set_version_flag("--version", KINDLING_VERSION);
  Common common;
  for (const AddVerb add : kVerbs) add(app, common);
  try {
    app.parse(argc, argv);
    return finish_output();
  } catch (const CLI::ParseError& error) {
    // CLI11 signals --help and --version by exceptions of code 0.
    if (error.get_exit_code() == 0) return app.exit(error) + finish_output();
    return report_error(explain(app, error).what(), kUserMistake);
  } catch (const FailedCheck& error) {
    return report_error(error.what(), kFailedCheck);
  } catch (const Error& error) {
    return report_error(error.what(), exit_code(error.kind()));
  } catch (const std::bad_alloc&) {
    return report_error("out of memory", kFailure);
  } catch (const std::exception& error) {
    // LibTorch puts a stack trace behind the first line of its messages.
    const std::string_view text(error.what());
    return report_error(fmt::format("internal: {}", text.substr(0, text.find('\n'))), kFailure);
  }
}

}  // namespace kindling::cli

// What cannot even be reported (memory ends while the message is made) ends the program.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  // A file at its limit is an error that says so, like a full disk, and no silent end.
  std::signal(SIGXFSZ, SIG_IGN);
  return kindling::cli::run(argc, argv);
}
