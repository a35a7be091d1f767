// kindling report: one self-contained HTML page of a run, or of several.
#include "kindling/eval/report.h"

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/verbs.h"
#include "kindling/base/file.h"

namespace kindling::cli {

namespace {

struct Arguments {
  std::vector<std::string> directories;
  std::string out;
};

void run_report(const Arguments& arguments, const Common& common) {
  std::vector<RunReport> runs;
  for (const std::string& directory : arguments.directories) runs.push_back(read_run(directory));
  const RunReport run = join_runs(runs);
  std::filesystem::path first = arguments.directories.front();
  if (std::filesystem::is_regular_file(first)) first = first.parent_path();
  const std::string out = arguments.out.empty() ? (first / "report.html").string() : arguments.out;
  const std::string html = render_html(run);
  write_file(out, html);
  if (common.json) {
    print_json({{"report", out},
                {"bytes", html.size()},
                {"tables", run.tables.size()},
                {"curves", run.curves.size()},
                {"cases", run.cases.size()}});
  } else {
    fmt::print("{}\n", out);
  }
}

}  // namespace

void add_report(CLI::App& app, Common& common) {
  auto* verb = app.add_subcommand("report", "a self-contained HTML page of one run or several");
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("DIR", arguments->directories,
                   "run directories: run.json, experiments, an adapted model, or results of "
                   "`kindling evaluate --json`; or OUT/NAME.json of one experiment")
      ->required();
  verb->add_option("--out", arguments->out, "file to write; default: report.html in the first DIR");
  add_common(*verb, common);
  verb->callback([arguments, &common] { run_report(*arguments, common); });
}

}  // namespace kindling::cli
