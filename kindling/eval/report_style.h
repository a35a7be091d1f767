// The style sheet of the report: one column, system fonts, light and dark by the reader's setting,
// and a plain black on white when printed.
#pragma once

namespace kindling {

inline constexpr const char* kReportStyle = R"css(
:root { color-scheme: light dark; --page: #fbfaf8; --card: #ffffff; --ink: #1f2328; --soft: #636b74;
  --line: #e3e0da; --accent: #b8481a; --tint: #fdf1ea; --hit: #e6f4ec; --hit-ink: #14663f; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181b; --card: #1e2125; --ink: #e6e4e0; --soft: #9aa2ab; --line: #33373d;
    --accent: #f0905c; --tint: #2b221d; --hit: #173225; --hit-ink: #7fd3a5; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
.legend + h3 { margin-top: 1.6rem; }
h4 { font-size: .8rem; margin: 0 0 .35rem; color: var(--soft); font-weight: 600; }
.brand { color: var(--accent); font-weight: 700; margin: 0 0 .25rem; }
.summary { font-size: 1.05rem; max-width: 48rem; margin: 0 0 1.25rem; }
.note { color: var(--soft); margin: 0 0 1rem; max-width: 48rem; }
section, .facts { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.25rem 1.5rem; margin: 1.25rem 0 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .9rem 1.5rem; }
.facts dt { color: var(--soft); font-size: .8rem; }
.facts dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .55rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
thead th { color: var(--soft); font-size: .8em; font-weight: 600; border-bottom-width: 2px; white-space: normal; vertical-align: bottom; }
th:first-child { text-align: left; font-weight: 500; }
th.number { min-width: 6rem; }
tbody tr:last-child > * { border-bottom: 0; }
tr.ours > * { background: var(--tint); }
tr.ours th { color: var(--accent); font-weight: 650; }
tr.oracle { color: var(--soft); }
td.best { font-weight: 700; }
td.best::before { content: "★\00a0"; color: var(--accent); font-size: .75em; }
td.close::before { content: "≈\00a0"; color: var(--soft); font-size: .8em; }
table.words td, table.words th { text-align: left; white-space: normal; }
td.none, .sd { color: var(--soft); font-weight: 400; }
.sd { font-size: .82em; white-space: nowrap; }
.aside { display: block; color: var(--soft); font-size: .8rem; font-weight: 400; }
figure { margin: 1.25rem 0 0; color: var(--ink); }
figure svg { display: block; width: 100%; height: auto; font-family: inherit; }
figcaption { color: var(--soft); font-size: .85rem; text-align: center; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; }
.pair figure { margin: .5rem 0 0; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; justify-content: center; font-size: .85rem; margin: .8rem 0 0; }
.legend i { display: inline-block; width: 1.4em; vertical-align: middle; margin-right: .45em;
  border-top: .22em solid currentColor; }
.legend i.dashed { border-top-style: dashed; }
ol.strip { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(8.5rem, 1fr); gap: .5rem;
  list-style: none; padding: 0 0 .5rem; margin: 0 0 .75rem; overflow-x: auto; font-size: .82rem; }
ol.strip li { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .5rem; }
article { border-top: 1px solid var(--line); padding: 1rem 0 .25rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem 1.5rem; }
.columns ul, .columns ol { margin: 0; padding-left: 1.3rem; font-size: .92rem; }
.columns ul { list-style: none; padding-left: 0; }
li { overflow-wrap: anywhere; padding: .05rem .3rem; }
li.hit { background: var(--hit); border-radius: 4px; }
li.hit b { color: var(--hit-ink); font-size: .75rem; font-weight: 650; }
pre { margin: 0; overflow-x: auto; font: .85rem/1.6 ui-monospace, "DejaVu Sans Mono", monospace; }
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --accent: #8a3512; --tint: #fff; --hit: #fff; --hit-ink: #000; }
  @page { margin: 1cm; }
  html, body { font-size: 12px; line-height: 1.4; }
  body { overflow-wrap: anywhere; }
  main { max-width: none; padding: 0; }
  section, .facts { border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: .8rem 0 0; }
  .note, .summary { max-width: none; }
  .scroll, pre, ol.strip { overflow: visible; }
  pre { white-space: pre-wrap; }
  table { font-size: .8rem; }
  th, td { padding: .3rem .25rem; white-space: normal; }
  td, thead th { overflow-wrap: normal; }
  table.words td { overflow-wrap: anywhere; }
  th:first-child { min-width: 6rem; }
  th.number { min-width: 0; }
  .sd, .aside { font-size: .9em; }
  ol.strip { grid-auto-flow: row; grid-template-columns: repeat(auto-fit, minmax(7rem, 1fr)); }
  figure svg { max-width: 36rem; margin: 0 auto; }
  thead { display: table-header-group; }
  p, tr, li, figure, article { break-inside: avoid; }
  h2, h3, h4, .note { break-after: avoid; }
  .legend, figcaption { break-before: avoid; }
}
)css";

}  // namespace kindling
