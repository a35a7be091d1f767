#include "kindling/eval/report_plot.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kindling/base/error.h"

extern char** environ;  // NOLINT(readability-identifier-naming): the name is POSIX's

namespace kindling {

namespace {

// Colours that gnuplot is told, replaced by the page's own text and grid colour.
constexpr const char* kInk = "#010101";
constexpr const char* kGrid = "#020202";
constexpr int kWidth = 720;
constexpr int kRowHeight = 30;
constexpr std::size_t kMostTics = 12;
constexpr double kWholeFrom = 100.0;  // labels without decimals

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

File scratch_file() {
  File file(std::tmpfile());
  if (!file) {
    throw Error(Kind::kIo, fmt::format("no temporary file for the plot: {}", std::strerror(errno)));
  }
  return file;
}

std::string read_all(std::FILE* file) {
  std::string text;
  std::array<char, 1 << 14> block{};
  std::rewind(file);
  for (std::size_t count = 0; (count = std::fread(block.data(), 1, block.size(), file)) > 0;) {
    text.append(block.data(), count);
  }
  return text;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// Removes every stretch from `begin` to the end of the next `end`.
void erase_between(std::string& text, const std::string& begin, const std::string& end) {
  for (std::size_t at = 0; (at = text.find(begin, at)) != std::string::npos;) {
    const std::size_t stop = text.find(end, at + begin.size());
    if (stop == std::string::npos) return;
    text.erase(at, stop + end.size() - at);
  }
}

// What gnuplot wrote as a document becomes a picture inside a page that may be light or dark.
std::string inline_svg(std::string svg, const std::string& description) {
  const std::size_t begin = svg.find("<svg");
  check(begin != std::string::npos, "gnuplot wrote no SVG");
  svg.erase(0, begin);
  replace_all(svg, "xmlns=\"http://www.w3.org/2000/svg\"", "");
  replace_all(svg, "xmlns:xlink=\"http://www.w3.org/1999/xlink\"", "");
  erase_between(svg, "<title>", "</title>");
  erase_between(svg, "<desc>", "</desc>");
  erase_between(svg, "<defs>", "</defs>");
  erase_between(svg, "<use ", "/>");
  for (const char* fixed : {"color=\"black\"", "color=\"white\"", "color=\"gray\""}) {
    replace_all(svg, fixed, "");
  }
  replace_all(svg, "stroke=\"black\"", "");
  replace_all(svg, "rgb(1,1,1)", "currentColor");
  replace_all(svg, "rgb(  1,   1,   1)", "currentColor");
  replace_all(svg, "stroke='rgb(  2,   2,   2)'", "stroke='currentColor' stroke-opacity='0.18'");
  replace_all(svg, "font-family=\"sans\"", "");
  replace_all(svg, "id=\"gnuplot_canvas\"", "");
  svg.insert(4, fmt::format(" role=\"img\" aria-label=\"{}\"", escape_html(description)));
  return svg;
}

std::size_t code_points(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

// A word that needs about the room of the label and that no other text of the plot contains.
std::string stand_in(std::size_t index, const std::string& label) {
  std::string word = fmt::format("Qq{}q", index);
  word.append(std::max(code_points(label), word.size()) - word.size(), 'x');
  return word + "Z";
}

std::string preamble(const std::string& name, int width, int height) {
  return fmt::format(
      "set terminal svg size {},{} dynamic noenhanced name '{}' font 'sans,13'\n"
      "set border 1 lc rgb '{}'\nset grid xtics lt 1 lw 1 lc rgb '{}'\nset tics nomirror\n"
      "set xtics textcolor rgb '{}'\nset ytics textcolor rgb '{}'\nunset key\n",
      width, height, name, kInk, kGrid, kInk, kInk);
}

const char* bar_colour(RowKind kind) {
  switch (kind) {
    case RowKind::kOurs:
      return "0xD9622B";
    case RowKind::kOracle:
      return "0x8A8F98";
    case RowKind::kBaseline:
      break;
  }
  return "0x4A80BD";
}

std::string hex_for_gnuplot(const std::string& colour) { return "#" + colour.substr(1); }

// About five steps of 1, 2 or 5 times a power of ten: more would run into each other.
double tic_step(double largest) {
  const double rough = largest / 5.0;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10.0 * power;
}

using Value = std::function<double(const CurvePoint&)>;
struct Series {
  Value value;
  bool dashed = false;
};

std::string lines_svg(const std::string& name, const std::string& description,
                      const std::vector<ReportCurve>& curves, const std::vector<Series>& series) {
  std::string script = preamble(name, kWidth / 2, 260);
  script +=
      fmt::format("set border 3 lc rgb '{}'\nset grid ytics lt 1 lw 1 lc rgb '{}'\n", kInk, kGrid);
  double last = 1.0;
  for (const ReportCurve& curve : curves) {
    for (const CurvePoint& point : curve.points) last = std::max(last, point.epoch);
  }
  // There is no half of an epoch.
  script += fmt::format("set xlabel 'epoch or round' textcolor rgb '{}'\nset xtics {:.10g}\n", kInk,
                        std::max(1.0, tic_step(last)));
  std::string plots;
  std::size_t block = 0;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    for (const Series& one : series) {
      // A gap would break the line: what is measured every few epochs would be no line at all.
      std::string data;
      for (const CurvePoint& point : curves[i].points) {
        const double value = one.value(point);
        if (std::isfinite(value)) data += fmt::format("{:.10g} {:.10g}\n", point.epoch, value);
      }
      if (data.empty()) continue;
      script += fmt::format("$d{} << EOD\n{}EOD\n", block, data);
      const std::string& colour = curve_colours()[i % curve_colours().size()];
      plots += fmt::format("{}$d{} using 1:2 with lines lw 2 dt {} lc rgb '{}'",
                           plots.empty() ? "" : ", ", block++, one.dashed ? 2 : 1,
                           hex_for_gnuplot(colour));
    }
  }
  if (plots.empty()) return {};
  return inline_svg(run_plotter("gnuplot", script + "plot " + plots + "\n"), description);
}

// Every x of the points, once, rising.
std::vector<double> swept_values(const ReportSweep& sweep) {
  std::vector<double> values;
  for (const SweepLine& line : sweep.lines) {
    for (const SweepPoint& point : line.points) values.push_back(point.x);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// Ranges and tics; logarithmic when the values span a factor of ten.
std::string sweep_axes(const std::vector<double>& values) {
  const double low = values.front();
  const double high = values.back() > low ? values.back() : low + 1.0;
  const bool wide = low > 0.0 && high >= 10.0 * low;
  const double margin = 0.03 * (high - low);
  std::string script = "set yrange [0:*]\n";
  script +=
      wide ? fmt::format("set logscale x\nset xrange [{:.10g}:{:.10g}]\n", low / 1.1, high * 1.1)
           : fmt::format("set xrange [{:.10g}:{:.10g}]\n", low - margin, high + margin);
  if (values.size() > kMostTics) return script;
  std::string list;
  for (const double value : values) {
    list += fmt::format("{}'{}' {:.10g}", list.empty() ? "" : ", ", swept_text(value), value);
  }
  return script + fmt::format("set xtics ({})\n", list);
}

}  // namespace

const std::vector<std::string>& curve_colours() {
  // Distinct in both schemes and for the common kinds of colour blindness (after Okabe and Ito).
  static const std::vector<std::string> colours = {"#D9622B", "#4A80BD", "#2A9D74", "#B8860B",
                                                   "#A05FA8", "#1B9AAA", "#C2417C", "#8A8F98"};
  return colours;
}

std::string run_plotter(const std::string& program, const std::string& script) {
  const File input = scratch_file();
  const File output = scratch_file();
  const File errors = scratch_file();
  if (std::fwrite(script.data(), 1, script.size(), input.get()) != script.size() ||
      std::fflush(input.get()) != 0) {
    throw Error(Kind::kIo, fmt::format("cannot write the plot script: {}", std::strerror(errno)));
  }
  std::rewind(input.get());

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(input.get()), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(output.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(errors.get()), STDERR_FILENO);
  std::string name = program;
  std::array<char*, 2> arguments = {name.data(), nullptr};
  pid_t child = 0;
  const int failure =
      posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    throw Error(Kind::kNotFound,
                fmt::format("cannot start {}: {}", program, std::strerror(failure)), "report",
                "install gnuplot (Debian: gnuplot-nox); `make setup` does");
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) {
    throw Error(Kind::kInternal,
                fmt::format("{} failed: {}", program, quote(read_all(errors.get()), 300)));
  }
  return read_all(output.get());
}

std::string bars_svg(const std::string& name, const std::vector<Bar>& bars) {
  const int height = static_cast<int>(bars.size()) * kRowHeight + 50;
  std::string script = preamble(name, kWidth, height);
  std::string tics;
  std::string data;
  double largest = 0.0;
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const auto& [label, value, kind] = bars[i];
    const double sd = value.sd;
    const double middle = -static_cast<double>(i);
    tics += fmt::format("{}'{}' {}", i == 0 ? "" : ", ", stand_in(i, label), middle);
    data += fmt::format("{:.10g} {} 0 {:.10g} {} {} {} {:.10g}\n", value.mean, middle, value.mean,
                        middle - 0.34, middle + 0.34, bar_colour(kind), sd);
    largest = std::max(largest, value.mean + sd);
  }
  if (!(largest > 0.0)) largest = 1.0;
  script += fmt::format("set style fill solid 1.0 noborder\nset ytics scale 0 ({})\n", tics);
  script += fmt::format("set yrange [{}:0.6]\nset xrange [0:{:.10g}]\nset xtics {:.10g}\n",
                        0.4 - static_cast<double>(bars.size()), largest * 1.06, tic_step(largest));
  script += fmt::format("$d << EOD\n{}EOD\n", data);
  script += fmt::format(
      "plot $d using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable, "
      "$d using ($8 > 0 ? $1 : NaN):2:8 with xerrorbars pt 0 lw 1.5 lc rgb '{}'\n",
      kInk);
  std::string svg =
      inline_svg(run_plotter("gnuplot", script), "bars of mean values with standard deviations");
  for (std::size_t i = 0; i < bars.size(); ++i) {
    replace_all(svg, stand_in(i, bars[i].label), escape_html(bars[i].label));
  }
  return svg;
}

std::string loss_svg(const std::string& name, const std::vector<ReportCurve>& curves) {
  return lines_svg(name, "loss over epochs, training dashed, validation solid", curves,
                   {{[](const CurvePoint& point) { return point.validation_loss; }, false},
                    {[](const CurvePoint& point) { return point.train_loss; }, true}});
}

std::string swept_text(double value) {
  return value < kWholeFrom ? fmt::format("{:.4g}", value) : fmt::format("{:.0f}", value);
}

std::string sweep_svg(const std::string& name, const ReportSweep& sweep) {
  const std::vector<double> values = swept_values(sweep);
  if (values.empty()) return {};
  std::string script = preamble(name, kWidth, 360);
  script +=
      fmt::format("set border 3 lc rgb '{}'\nset grid ytics lt 1 lw 1 lc rgb '{}'\n", kInk, kGrid);
  script += fmt::format("set xlabel '{}' textcolor rgb '{}'\nset ylabel '{}' textcolor rgb '{}'\n",
                        stand_in(0, sweep.x_title), kInk, stand_in(1, sweep.y_title), kInk);
  script += sweep_axes(values);
  std::string plots;
  for (std::size_t i = 0; i < sweep.lines.size(); ++i) {
    const SweepLine& line = sweep.lines[i];
    const std::string colour = hex_for_gnuplot(curve_colours()[i % curve_colours().size()]);
    if (!plots.empty()) plots += ", ";
    if (line.level) {
      plots += fmt::format("{:.10g} with lines lw 1.6 dt 2 lc rgb '{}'", *line.level, colour);
      continue;
    }
    script += fmt::format("$d{} << EOD\n", i);
    for (const SweepPoint& point : line.points) {
      script += fmt::format("{:.10g} {:.10g} {:.10g}\n", point.x, point.mean, point.sd);
    }
    script += "EOD\n";
    // No bar where there is one seed: its caps would stand as dashes on every point.
    plots += fmt::format(
        "$d{0} using 1:2 with linespoints lw 2 pt 7 ps 0.4 lc rgb '{1}', "
        "$d{0} using ($3 > 0 ? $1 : NaN):2:3 with yerrorbars pt 0 lw 2 lc rgb '{1}'",
        i, colour);
  }
  std::string svg = inline_svg(run_plotter("gnuplot", script + "plot " + plots + "\n"),
                               sweep.y_title + " over " + sweep.x_title);
  replace_all(svg, stand_in(0, sweep.x_title), escape_html(sweep.x_title));
  replace_all(svg, stand_in(1, sweep.y_title), escape_html(sweep.y_title));
  return svg;
}

std::string hit_rate_svg(const std::string& name, const std::vector<ReportCurve>& curves) {
  return lines_svg(name, "HR@10 of the validation users over epochs", curves,
                   {{[](const CurvePoint& point) { return point.validation_hr; }, false}});
}

std::string ndcg_svg(const std::string& name, const std::vector<ReportCurve>& curves) {
  return lines_svg(name, "NDCG@20 of the validation users over epochs", curves,
                   {{[](const CurvePoint& point) { return point.validation_ndcg; }, false}});
}

}  // namespace kindling
