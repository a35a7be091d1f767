// Renders a run as one HTML page: everything inline, nothing executed, nothing fetched.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kindling/base/text.h"
#include "kindling/eval/report.h"
#include "kindling/eval/report_marks.h"
#include "kindling/eval/report_plot.h"
#include "kindling/eval/report_style.h"

namespace kindling {

namespace {

constexpr double kCountFrom = 100.0;

const char* mark_class(Mark mark) {
  if (mark == Mark::kBest) return " class=\"best\"";
  return mark == Mark::kNotApart ? " class=\"close\"" : "";
}

std::string cell(const ReportTable& table, const ReportRow& row, const std::string& metric) {
  const auto found = row.values.find(metric);
  if (found == row.values.end() || found->second.empty()) return "<td class=\"none\">–</td>";
  const MeanSd value = mean_sd(found->second);
  std::string aside;
  if (const auto paper = row.published.find(metric); paper != row.published.end()) {
    aside = fmt::format("<span class=\"aside\">paper {:.3f} ({:+.3f})</span>", paper->second,
                        value.mean - paper->second);
  }
  const int places = value.mean < kCountFrom ? 4 : 0;  // counts as they are
  const std::string deviation =
      value.count > 1 ? fmt::format(" <span class=\"sd\">± {:.{}f}</span>", value.sd, places)
                      : std::string();
  return fmt::format("<td{}>{:.{}f}{}{}</td>", mark_class(mark_of(table, row, metric)), value.mean,
                     places, deviation, aside);
}

std::string heading(const ReportTable& table, const std::string& metric) {
  const bool smaller = column_direction(table, metric) == MetricDirection::kSmaller;
  return fmt::format("<th class=\"number\">{}{}</th>", escape_html(metric_title(metric)),
                     smaller ? "\u00a0↓" : "");
}

std::size_t seeds_of(const ReportRow& row) {
  std::size_t seeds = 0;
  for (const auto& [metric, values] : row.values) seeds = std::max(seeds, values.size());
  return seeds;
}

const char* kind_class(RowKind kind) {
  switch (kind) {
    case RowKind::kOurs:
      return "ours";
    case RowKind::kOracle:
      return "oracle";
    case RowKind::kBaseline:
      break;
  }
  return "baseline";
}

std::string render_bars(const ReportTable& table, std::size_t index) {
  std::vector<Bar> bars;
  const std::string& metric = table.metrics.front();
  for (const ReportRow& row : table.rows) {
    const auto found = row.values.find(metric);
    if (found == row.values.end() || found->second.empty()) continue;
    bars.push_back({row.label, mean_sd(found->second), row.kind});
  }
  if (bars.empty()) return {};
  return fmt::format(
      "<figure>{}<figcaption>{}, mean and standard deviation over seeds</figcaption></figure>\n",
      bars_svg(fmt::format("bars{}", index), bars), escape_html(metric_title(metric)));
}

std::string render_table(const ReportTable& table, std::size_t index) {
  std::string html = fmt::format("<section>\n<h2>{}</h2>\n", escape_html(table.title));
  if (!table.note.empty())
    html += fmt::format("<p class=\"note\">{}</p>\n", escape_html(table.note));
  html += "<div class=\"scroll\"><table>\n<thead><tr><th>Model</th>";
  for (const std::string& metric : table.metrics) html += heading(table, metric);
  html += "<th class=\"number\">Seeds</th></tr></thead>\n<tbody>\n";
  for (const ReportRow& row : table.rows) {
    html += fmt::format("<tr class=\"{}\"><th scope=\"row\">{}", kind_class(row.kind),
                        escape_html(row.label));
    if (!row.note.empty())
      html += fmt::format("<span class=\"aside\">{}</span>", escape_html(row.note));
    html += "</th>";
    for (const std::string& metric : table.metrics) html += cell(table, row, metric);
    html += fmt::format("<td>{}</td></tr>\n", seeds_of(row));
  }
  html += "</tbody></table></div>\n";
  if (table.bars && !table.metrics.empty()) html += render_bars(table, index);
  return html + "</section>\n";
}

std::string legend_of(const std::vector<std::pair<std::string, bool>>& lines) {
  std::string html = "<p class=\"legend\">";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    html += fmt::format("<span><i class=\"{}\" style=\"color:{}\"></i>{}</span> ",
                        lines[i].second ? "dashed" : "line",
                        curve_colours()[i % curve_colours().size()], escape_html(lines[i].first));
  }
  return html + "</p>\n";
}

std::string figure_of(const std::string& svg, const char* caption) {
  if (svg.empty()) return {};
  return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", svg, caption);
}

std::string render_curve_group(const std::vector<ReportCurve>& curves, std::size_t index) {
  std::string html = "<div class=\"pair\">\n";
  html += figure_of(loss_svg(fmt::format("loss{}", index), curves),
                    "Loss: validation solid, training dashed");
  html +=
      figure_of(ndcg_svg(fmt::format("ndcg{}", index), curves), "NDCG@20 of the validation users");
  html +=
      figure_of(hit_rate_svg(fmt::format("hr{}", index), curves), "HR@10 of the validation users");
  std::vector<std::pair<std::string, bool>> lines;
  lines.reserve(curves.size());
  for (const ReportCurve& curve : curves) lines.emplace_back(curve.label, false);
  return html + "</div>\n" + legend_of(lines);
}

std::string render_curves(std::vector<ReportCurve> curves) {
  std::erase_if(curves, [](const ReportCurve& curve) { return curve.points.size() < 2; });
  if (curves.empty()) return {};
  std::string html = "<section>\n<h2>Learning curves</h2>\n";
  for (std::size_t begin = 0; begin < curves.size();) {
    std::size_t end = begin;
    // More lines than colours would be no help to anybody.
    while (end < curves.size() && end < begin + curve_colours().size() &&
           curves[end].group == curves[begin].group) {
      ++end;
    }
    if (!curves[begin].group.empty()) {
      html += fmt::format("<h3>{}</h3>\n", escape_html(curves[begin].group));
    }
    html += render_curve_group({curves.begin() + static_cast<std::ptrdiff_t>(begin),
                                curves.begin() + static_cast<std::ptrdiff_t>(end)},
                               begin);
    begin = end;
  }
  return html + "</section>\n";
}

std::string render_sweeps(const std::vector<ReportSweep>& sweeps) {
  std::string html;
  for (std::size_t i = 0; i < sweeps.size(); ++i) {
    const std::string svg = sweep_svg(fmt::format("sweep{}", i), sweeps[i]);
    if (svg.empty()) continue;
    std::vector<std::pair<std::string, bool>> lines;
    lines.reserve(sweeps[i].lines.size());
    for (const SweepLine& line : sweeps[i].lines) {
      lines.emplace_back(line.label, line.level.has_value());
    }
    html += fmt::format("<section>\n<h2>{}</h2>\n<figure>{}</figure>\n{}</section>\n",
                        escape_html(sweeps[i].title), svg, legend_of(lines));
  }
  return html;
}

std::string render_words(const std::vector<ReportWords>& tables) {
  std::string html;
  for (const ReportWords& table : tables) {
    html += fmt::format(
        "<section>\n<h2>{}</h2>\n<div class=\"scroll\"><table class=\"words\">\n<thead><tr>",
        escape_html(table.title));
    for (const std::string& column : table.columns) {
      html += fmt::format("<th>{}</th>", escape_html(column));
    }
    html += "</tr></thead>\n<tbody>\n";
    for (const auto& row : table.rows) {
      html += "<tr>";
      for (const std::string& word : row) html += fmt::format("<td>{}</td>", escape_html(word));
      html += "</tr>\n";
    }
    html += "</tbody></table></div>\n</section>\n";
  }
  return html;
}

std::string render_items(const char* heading, const char* list, const std::vector<CaseItem>& items,
                         const std::vector<CaseItem>& marked, const char* mark) {
  std::string html = fmt::format("<div><h4>{}</h4><{}>\n", heading, list);
  for (const CaseItem& item : items) {
    const bool is_marked = std::any_of(marked.begin(), marked.end(),
                                       [&](const CaseItem& other) { return other.id == item.id; });
    html +=
        fmt::format("<li{}>{}{}</li>\n", is_marked ? " class=\"hit\"" : "", escape_html(item.title),
                    is_marked ? fmt::format(" <b>{}</b>", mark) : std::string());
  }
  return html + fmt::format("</{}></div>\n", list);
}

// A history and what came next, left to right.
std::string render_strip(const std::string& heading, const std::vector<CaseItem>& history,
                         const std::vector<CaseItem>& next) {
  std::string html = fmt::format("<h4>{}</h4><ol class=\"strip\">", escape_html(heading));
  for (const CaseItem& item : history) html += fmt::format("<li>{}</li>", escape_html(item.title));
  for (const CaseItem& item : next) {
    html += fmt::format("<li class=\"hit\">{} <b>next</b></li>", escape_html(item.title));
  }
  return html + "</ol>\n";
}

std::string render_case(const ReportCase& one) {
  std::string html = fmt::format("<article><h3>User {}</h3>\n", escape_html(one.user));
  if (!one.place.empty()) {
    html += fmt::format("<p class=\"note\">{}</p>\n", escape_html(one.place));
  }
  if (!one.neighbours.empty()) {
    html += render_strip("Target user", one.history, one.next);
    if (one.rank && !one.recommended.empty()) {
      html += fmt::format(
          "<p class=\"note\">The model has the next item at rank {:g}; its first is “{}”.</p>\n",
          *one.rank, escape_html(one.recommended.front().title));
    }
    for (const CaseNeighbour& near : one.neighbours) {
      html += render_strip("Near source user " + near.user, near.history, near.next);
    }
    return html + "</article>\n";
  }
  html += "<div class=\"columns\">\n";
  html += render_items("History, latest last", "ul", one.history, {}, "");
  html += render_items("Recommended", "ol", one.recommended, one.next, "chosen");
  html += render_items("Chose next", "ul", one.next, one.recommended, "recommended");
  return html + "</div></article>\n";
}

std::string render_cases(const std::vector<ReportCase>& cases) {
  if (cases.empty()) return {};
  const bool near = !cases.front().neighbours.empty();
  std::string html = fmt::format(
      "<section>\n<h2>Users</h2>\n<p class=\"note\">{}</p>\n",
      near ? "What a user of the target did, in order, the next item that the model had among its "
             "first, and the users of the source whose vectors are nearest."
           : "What each watched, what the model recommends, and what the user chose next; a hit is "
             "marked.");
  for (const ReportCase& one : cases) html += render_case(one);
  return html + "</section>\n";
}

std::string render_facts(const RunReport& run) {
  if (run.facts.empty()) return {};
  std::string html = "<dl class=\"facts\">\n";
  for (const auto& [name, value] : run.facts) {
    html +=
        fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escape_html(name), escape_html(value));
  }
  return html + "</dl>\n";
}

std::string render_commands(const RunReport& run) {
  if (run.commands.empty()) return {};
  std::string html = "<section>\n<h2>The same again</h2>\n<pre>";
  for (const std::string& command : run.commands) html += escape_html(command) + "\n";
  return html + "</pre>\n</section>\n";
}

}  // namespace

std::string escape_html(std::string_view text) {
  if (!is_valid_utf8(text)) return "[text that is not UTF-8]";
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        // Control bytes have no place in HTML text.
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
          safe += "\xEF\xBF\xBD";
        } else {
          safe += c;
        }
    }
  }
  return safe;
}

std::string render_html(const RunReport& run) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n"
      "<meta name=\"color-scheme\" content=\"light "
      "dark\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n"
      "<body>\n<main>\n<header>\n<p class=\"brand\">Kindling</p>\n<h1>{}</h1>\n",
      escape_html(run.title), kReportStyle, escape_html(run.title));
  if (!run.summary.empty())
    html += fmt::format("<p class=\"summary\">{}</p>\n", escape_html(run.summary));
  html += render_facts(run) + "</header>\n";
  for (std::size_t i = 0; i < run.tables.size(); ++i) html += render_table(run.tables[i], i);
  html += render_sweeps(run.sweeps);
  html += render_words(run.words);
  html += render_curves(run.curves);
  html += render_cases(run.cases);
  html += render_commands(run);
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace kindling
