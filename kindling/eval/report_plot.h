// Plots of a report as inline SVG, drawn by gnuplot.
//
//   const std::string svg = bars_svg("bars-0", {{"ZESRec", {0.081, 0.002}, RowKind::kOurs}, …});
//
// gnuplot runs as a subprocess without a shell, its script on stdin. Labels from data never reach
// it: it draws stand-ins of the same width, which are replaced by the escaped labels afterwards.
// Errors: Error{kNotFound} when gnuplot is not installed, Error{kInternal} with its words when it
// fails.
#pragma once

#include <string>
#include <vector>

#include "kindling/eval/report.h"

namespace kindling {

struct Bar {
  std::string label;
  MeanSd value;
  RowKind kind = RowKind::kBaseline;
};

// Horizontal bars, the first on top, with mean ± sd. `name` keeps ids of several plots apart.
std::string bars_svg(const std::string& name, const std::vector<Bar>& bars);

// Losses over epochs: validation solid, training dashed; one colour a curve. Empty when no curve
// has a value, as the next two.
std::string loss_svg(const std::string& name, const std::vector<ReportCurve>& curves);
// A validation metric over epochs.
std::string ndcg_svg(const std::string& name, const std::vector<ReportCurve>& curves);
std::string hit_rate_svg(const std::string& name, const std::vector<ReportCurve>& curves);

// The name of a value that was varied: a share with its decimals, a number of interactions, which
// may be a mean over seeds, without.
std::string swept_text(double value);

// Means with deviations over what was varied; level lines dashed. The x axis is logarithmic when
// the values span a factor of ten.
std::string sweep_svg(const std::string& name, const ReportSweep& sweep);

// The line colours of curves, in order of use: for the legend.
const std::vector<std::string>& curve_colours();

// Runs `program` (looked up in PATH) with `script` on stdin and returns its stdout.
std::string run_plotter(const std::string& program, const std::string& script);

}  // namespace kindling
