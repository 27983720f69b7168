/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The views of a report: the answer first, then what it rests on. */
"use strict";

const QUIET = {plateau: "levelled off", static: "loaded once", step: "came in steps", deferred: "freed in batches", turnover: "replaced all the time",
               steady: "steady", few: "too few to tell"};
const PARTS = [["live_heap", "live heap", "heap"], ["allocator_overhead", "allocator overhead", "overhead"], ["allocator_retained", "allocator holds free", "retained"],
               ["python_arenas", "Python arenas", "arenas"], ["python_slack", "Python slack", "slack"], ["mmap", "mappings", "mmap"], ["stacks", "thread stacks", "stacks"], ["files", "file pages", "files"],
               ["tracer", "the tracer itself", "tracer"], ["unexplained", "unexplained", "unexplained"]];

const RESOURCES = {heap: ["heap block"], mmap: ["mapping"], file: ["other descriptor"], pgconn: ["PGconn"], pgresult: ["PGresult"], pgcancel: ["cancel object"], child: ["child", "children"],
                   tempfile: ["temporary file"], pyobject: ["Python object"], pgstring: ["libpq string"]};

function findingLink(finding) {
  return "#/finding/" + encodeURIComponent(finding.id);
}

function consequences(report, finding) {
  return report.findings.filter((other) => other.caused_by === finding.id);
}

/* ---- the answer ---- */

/* Of all findings, also of those that the page leaves out. */
function tally(report) {
  const {leaks, errors, warnings, notes, symptoms} = report.page.tally;
  const parts = [];
  if (leaks)
    parts.push(plural(leaks, "leak"));
  if (errors)
    parts.push(plural(errors, leaks ? "other error" : "error"));
  if (warnings)
    parts.push(plural(warnings, "warning"));
  return {parts, severity: leaks || errors ? "error" : warnings ? "warning" : "none", notes, symptoms};
}

/* The one sentence to read at three in the morning. */
function answer(report) {
  const {parts, severity, symptoms, notes} = tally(report);
  const soonest = report.forecasts[0], worst = report.findings[0];
  if (severity !== "none")
    return {severity, text: parts.join(", ") + (symptoms ? " and " + plural(symptoms, "consequence") : ""), more: soonest ? soonest.message : worst.message, sure: Boolean(soonest)};
  if (report.trace.too_short)
    return {severity: "short", text: "Too little happened to tell", more: "No place acquired anything often enough to be judged: record for longer, or under load."};
  return {severity: "none", text: "No leak found" + (notes ? ", " + plural(notes, "note") : ""), more: null};
}

function looked(report, page) {
  const places = Object.values(page.quiet).reduce((sum, each) => sum + each, 0);
  const totals = {};
  for (const process of report.processes)
    for (const [name, book] of Object.entries(process.resources))
      totals[name] = (totals[name] || 0) + book.opened;
  const seen = Object.entries(totals).filter(([, opened]) => opened > 0).sort((a, b) => b[1] - a[1]).map(([name, opened]) => plural(opened, ...(RESOURCES[name] || [name])));
  return "Looked at " + plural(places, "place") + " that acquired something: " + (seen.join(", ") || "none") + ".";
}

function quietLine(page) {
  const parts = Object.entries(page.quiet).filter(([name, number]) => number && name !== "few").map(([name, number]) => count(number) + " " + (QUIET[name] || name));
  const few = page.quiet.few ? count(page.quiet.few) + " too few to tell" : null;
  return [...parts, few].filter(Boolean).join(" \u00b7 ") || "no other place acquired anything";
}

function quality(report) {
  const trace = report.trace, first = report.processes[0];
  const parts = [];
  if (report.processes.length === 1)
    parts.push(base(first.exe || "?") + " (pid " + first.pid + ")");
  else
    parts.push(plural(report.processes.length, "process", "processes"));
  parts.push(duration(trace.duration_s));
  if (trace.work_axis !== "time" && trace.work)
    parts.push(count(trace.work) + " " + trace.work_axis);
  parts.push(plural(trace.events, "event"));
  parts.push(trace.lost_events ? count(trace.lost_events) + " lost" : "none lost");
  if (report.processes.some((process) => process.before_attach))
    parts.push("attached to while it ran");
  if (!trace.complete)
    parts.push("trace damaged or cut short");
  if (trace.heap_sampled_bytes)
    parts.push("heap sampled every " + bytes(trace.heap_sampled_bytes) + ": its figures are estimates");
  const start = first && moment(first.start);
  if (start)
    parts.push("from " + start);
  const good = trace.complete && !trace.lost_events;
  return h("p", {class: "quality " + (good ? "good" : "bad")}, parts.map((text, index) => [index ? " \u00b7 " : "", text]),
           trace.notes.length ? h("details", {}, h("summary", {}, plural(trace.notes.length, "note") + " from the tracer"), h("ul", {}, trace.notes.map((note) => h("li", {}, note)))) : null);
}

/* What runs out by it. */
function forecastOf(report, finding) {
  const kinds = finding.resource === "connection" && !finding.accepted ? ["connections", "descriptors"]
    : ["heap", "mmap", "pyobject"].includes(finding.resource) ? ["memory"] : ["connection", "socket", "file"].includes(finding.resource) ? ["descriptors"] : [];
  return finding.verdict !== "leaked" && finding.verdict !== "creep" ? null
    : report.forecasts.find((forecast) => kinds.includes(forecast.resource) && (!forecast.peer || forecast.peer === finding.peer));
}

function card(report, finding) {
  const forecast = forecastOf(report, finding);
  const follows = consequences(report, finding);
  const about = [finding.bytes ? bytes(finding.bytes) : null, byteRate(finding) || rate(finding)].filter(Boolean);
  return h("article", {class: "card " + finding.severity},
    h("p", {class: "card-head"}, h("b", {}, finding.verdict), " ", h("span", {class: "quiet"}, finding.resource), h("span", {class: "spread"}),
      h("span", {class: "quiet"}, "confidence " + finding.confidence)),
    h("p", {class: "card-number"}, (finding.estimated ? "~" : "") + (finding.count ? count(finding.count) : bytes(finding.bytes)),
      h("span", {class: "quiet"}, " " + (finding.count ? about.join(" \u00b7 ") : about.slice(1).join(" \u00b7 ")))),
    h("p", {class: "card-message"}, h("a", {href: findingLink(finding)}, finding.message)),
    finding.site.function || finding.site.file || finding.site.module ? h("p", {class: "card-site"}, place(finding.site)) : null,
    forecast ? h("p", {class: "forecast"}, forecast.message) : null,
    follows.length ? h("p", {class: "quiet"}, "Causes " + plural(follows.length, "more finding") + ": " + [...new Set(follows.map((each) => each.resource + " " + each.verdict))].join(", ")) : null);
}

function cards(report) {
  const shown = report.findings.filter((finding) => !finding.caused_by && (finding.severity === "error" || finding.severity === "warning"));
  const {leaks, errors, warnings} = report.page.tally;
  const most = 12, more = leaks + errors + warnings - most;
  return h("div", {class: "cards"}, shown.slice(0, most).map((finding) => card(report, finding)),
           more > 0 ? h("p", {class: "quiet"}, h("a", {href: "#/findings"}, plural(more, "more finding"))) : null);
}

/* ---- over time ---- */

function processChoice(list, chosen, choose) {
  if (list.length < 2)
    return null;
  return h("label", {class: "choice"}, "Process ", h("select", {onchange: (event) => choose(Number(event.target.value))},
    list.map((each, index) => fill(document.createElement("option"), {value: index, selected: index === chosen}, ["pid " + each.pid]))));
}

/* RSS and what it consists of, open connections and the heap, one below the other. */
function overTime(page) {
  const holder = h("div", {class: "charts"});
  let chosen = 0;
  page.series.forEach((each, index) => {
    const most = (list) => (list || []).reduce((a, b) => Math.max(a, b || 0), 0);
    if (most(each.rss) > most(page.series[chosen].rss))
      chosen = index;
  });
  function draw() {
    const series = page.series[chosen];
    if (!series || !series.time_s || series.time_s.length < 4) {
      holder.replaceChildren(empty("Too short for charts.", "It was over before how things stood could be seen a few times."));
      return;
    }
    const group = chartGroup(), moments = page.moments.find((each) => each.pid === series.pid);
    holder.replaceChildren(...[processChoice(page.series, chosen, (index) => { chosen = index; draw(); }),
      partsChart(moments, group),
      chart({title: "Resident memory and live heap", x: series.time_s, unit: "bytes", group, height: moments && moments.time_s && moments.time_s.length > 2 ? 150 : 190,
             series: [{label: "resident", color: "rss", values: series.rss, fill: true}, {label: "live heap", color: "heap", values: series.heap}]}),
      openChart(series, group)].filter(Boolean));
  }
  draw();
  return holder;
}

function partsChart(moments, group) {
  if (!moments || !moments.time_s || moments.time_s.length < 3)
    return null;
  const series = PARTS.filter(([name]) => moments[name] && moments[name].some((value) => value > 0))
    .map(([name, label, tone]) => ({label, color: "part-" + tone, values: moments[name]}));
  return chart({title: "What resident memory consists of", x: moments.time_s, unit: "bytes", group, stack: true, series, height: 210});
}

function openChart(series, group) {
  const kinds = [["connections", "connections", "connection"], ["pgconns", "PGconns", "pgconn"], ["files", "other descriptors", "file"], ["threads", "threads", "thread"]];
  const shown = kinds.filter(([name]) => series[name].some((value) => value > 0)).map(([name, label, tone]) => ({label, color: tone, values: series[name], step: 1, fill: name === "connections"}));
  return shown.length ? chart({title: "Open connections and descriptors", x: series.time_s, unit: "count", group, series: shown, height: 170}) : null;
}

/* ---- findings ---- */

function findingsTable(report, page) {
  const verdicts = [...new Set(report.findings.map((finding) => finding.verdict))];
  const text = h("input", {type: "search", placeholder: "Filter by function, file, peer or text", "aria-label": "Filter findings by text", oninput: apply});
  const verdict = h("select", {"aria-label": "Filter findings by verdict", onchange: apply}, h("option", {value: ""}, "every verdict"), verdicts.map((each) => h("option", {value: each}, each)));
  const follow = h("input", {type: "checkbox", checked: true, onchange: apply});
  const rank = {error: 3, warning: 2, note: 1};
  const list = table([
    {title: "Verdict", key: (row) => rank[row.severity] || 0, number: true, left: true, cell: (row) => badge(row.severity, row.verdict)},
    {title: "Resource", key: (row) => row.resource, cell: (row) => row.resource},
    {title: "Place", key: (row) => named(row.site), wide: true, cell: (row) => h("a", {href: findingLink(row), title: row.message}, place(row.site))},
    {title: "Count", number: true, key: (row) => row.count, cell: (row) => (row.estimated ? "~" : "") + count(row.count)},
    {title: "Memory", number: true, key: (row) => row.bytes, cell: (row) => row.bytes ? bytes(row.bytes) : "\u2013"},
    {title: "Rate", number: true, key: (row) => row.rate_per_hour ? row.rate_per_hour.estimate : null, cell: (row) => rate(row) || "\u2013"},
    {title: "Peer", key: (row) => row.peer || null, cell: (row) => row.peer || "\u2013"},
    {title: "Suppression", screen: true, cell: (row) => row.suppression ? h("span", {class: "suppress"}, h("code", {title: row.suppression}, row.suppression), copyButton(row.suppression)) : "\u2013"},
  ], report.findings, {label: "Findings", tone: (row) => row.caused_by ? "follows" : null});
  const shown = h("span", {class: "quiet", role: "status"});
  function matches(finding) {
    const wanted = text.value.trim().toLowerCase();
    const user = finding.last_used ? finding.last_used.site : {};
    const texts = [finding.message, user.function, user.file, finding.site.function, finding.site.file, finding.site.module, finding.peer, finding.statement, finding.resource, finding.id];
    return (!verdict.value || finding.verdict === verdict.value) && (follow.checked || !finding.caused_by) &&
           (!wanted || texts.some((each) => each && each.toLowerCase().includes(wanted)));
  }
  function apply() {
    const rows = report.findings.filter(matches);
    list.show(rows);
    shown.textContent = rows.length === report.findings.length ? "" : count(rows.length) + " of " + count(report.findings.length);
  }
  if (!report.findings.length)
    return empty("No findings.", looked(report, page));
  const left = page.left_out.findings;
  return h("div", {id: "findings"}, h("div", {class: "tools"}, text, verdict, h("label", {class: "choice"}, follow, " consequences"), shown), list.element,
           left ? h("p", {class: "quiet"}, plural(left, "finding") + " of least severity left out: stray report --format json has them.") : null);
}

/* ---- memory ---- */

/* From the first to the last sample: what each part added or took away. */
function waterfall(memory) {
  if (memory.rss_start === null)
    return empty("Resident memory was not sampled.", "The process was too short, or the recording ended before the first sample.");
  const parts = PARTS.map(([name, label, tone]) => ({label, tone, value: memory.parts[name]})).filter((part) => part.value);
  let at = memory.rss_start;
  const rows = [{label: "resident at the start", from: 0, to: memory.rss_start, tone: "rss", total: true}];
  for (const part of parts) {
    rows.push({label: part.label, from: at, to: at + part.value, tone: "part-" + part.tone, value: part.value});
    at += part.value;
  }
  rows.push({label: "resident at the end", from: 0, to: memory.rss_end, tone: "rss", total: true});
  const most = Math.max(...rows.map((row) => Math.max(row.from, row.to))) || 1;
  return h("table", {class: "waterfall"}, h("caption", {}, "Where resident memory went"), h("tbody", {}, rows.map((row) => {
    const low = Math.min(row.from, row.to) / most, wide = Math.abs(row.to - row.from) / most;
    const bar = h("span", {class: "bar", style: {left: low * 100 + "%", width: Math.max(0.2, wide * 100) + "%"}});
    bar.style.backgroundColor = "var(--" + row.tone + ")";
    return h("tr", {}, h("th", {scope: "row"}, row.label), h("td", {class: "bars"}, bar), h("td", {class: "number"}, row.total ? bytes(row.to) : (row.value > 0 ? "+" : "") + bytes(row.value)));
  })));
}

/* ---- connections ---- */

function peersTable(report, page) {
  if (!report.connections.length)
    return empty("No connections.", "No process connected to anything or accepted anybody while it was recorded.");
  return table([
    {title: "Peer", key: (row) => row.peer, cell: (row) => {
      const index = page.timelines.findIndex((each) => each.peer === row.peer && each.kind === row.kind);
      return [index < 0 ? row.peer : h("a", {href: "#/connections/" + index}, row.peer), row.kind === "server" ? h("span", {class: "quiet"}, " accepted") : null];
    }},
    {title: "Open", number: true, key: (row) => row.open, cell: (row) => count(row.open)},
    {title: "Peak", number: true, key: (row) => row.peak, cell: (row) => count(row.peak)},
    {title: "Limit", number: true, key: (row) => row.limit || null, cell: (row) => row.limit ? count(row.limit) : "\u2013"},
    {title: "Opened", number: true, key: (row) => row.opened, cell: (row) => count(row.opened)},
    {title: "Closed", number: true, key: (row) => row.closed, cell: (row) => count(row.closed)},
    {title: "By finalizers", number: true, key: (row) => row.closed_by_finalizer, cell: (row) => count(row.closed_by_finalizer)},
    {title: "CLOSE_WAIT", number: true, key: (row) => row.close_wait, cell: (row) => count(row.close_wait)},
    {title: "Findings", cell: (row) => report.findings.filter((finding) => finding.peer === row.peer && finding.resource === "connection" && Boolean(finding.accepted) === (row.kind === "server"))
      .map((finding, index) => [index ? ", " : "", h("a", {href: findingLink(finding)}, finding.verdict)])},
  ], report.connections, {label: "Connections"}).element;
}

function connectionsView(report, page, which) {
  const index = Math.min(Math.max(0, Number(which) || 0), page.timelines.length - 1), timeline = page.timelines[index];
  const peer = timeline && report.connections.find((each) => each.peer === timeline.peer && each.kind === timeline.kind);
  return [h("h1", {}, "Connections"), peersTable(report, page), timeline ? peerTimeline(page, timeline, peer, chartGroup()) : null];
}

/* ---- one place ---- */

function courseCharts(page, item) {
  const windows = page.windows[item.process], ends = windows.end_s, group = chartGroup();
  if (!item.live)
    return [empty("Too little was ever open here to be told over time.", "Less than 32 blocks or 64 KiB at once: only sums are kept of such places.")];
  const x = fromStart(ends), what = item.resource === "heap" ? "blocks" : item.resource;
  const bytesToo = item.bytes.some((value) => value > 0);
  return [
    chart({title: "Live at each time", note: (item.resource === "connection" || item.resource === "pgconn" ? " at the end of each window, " : " the fewest in each window, ") + what, x, unit: "count", group,
           series: [{label: "live", color: "connection", values: [0, ...item.live], step: -1, fill: true}]}),
    bytesToo ? chart({title: "Live memory at each time", x, unit: "bytes", group, series: [{label: "live", color: "heap", values: [0, ...item.bytes], step: -1, fill: true}]}) : null,
    chart({title: "Cohorts", note: " acquired in each window, and how many of them were still there at the end", x, unit: "count", group,
           series: [{label: "acquired", color: "born", values: [0, ...item.born], step: -1, fill: true, solid: true},
                    {label: "still alive", color: "kept", values: [0, ...item.kept], step: -1, fill: true, solid: true}]}),
    survivalChart(item),
  ];
}

function survivalChart(item) {
  if (item.curve.length < 1)
    return empty("No survival curve.", "None was ever released, or fewer than 20 were there to tell: " + count(item.opened) + " acquired, " + count(item.opened - item.alive) + " released.");
  const steps = [[item.curve[0][0] / 2, 1, 1, 1], ...item.curve];
  if (steps.length < 3)
    steps.push([steps[steps.length - 1][0] * 2, ...steps[steps.length - 1].slice(1)]);
  return chart({title: "Survival", note: " the share not yet released at an age, with its 95 % interval", x: steps.map((step) => step[0]), unit: "share", log: true, max: 1,
    series: [{label: "not released", color: "connection", values: steps.map((step) => step[1]), step: 1, fill: true},
             {label: "low", color: "quiet", dash: true, values: steps.map((step) => step[2]), step: 1},
             {label: "high", color: "quiet", dash: true, values: steps.map((step) => step[3]), step: 1}]});
}

function stackList(frames, blamed) {
  if (!frames.length)
    return empty("No stack.", "Where it was acquired is not known.");
  let told = false;
  const items = frames.map((frame) => {
    const blame = !told && blamed && frame.function === blamed.function && frame.line === blamed.line && frame.file === blamed.file;
    told = told || blame;
    return h("li", {class: [frame.language, frame.own ? "own" : "", blame ? "blamed" : ""].join(" ").trim()},
      h("span", {class: "language"}, frame.language === "python" ? "py" : "C"), h("b", {}, named(frame)),
      frame.inlined ? h("span", {class: "quiet"}, " inlined") : null, frame.function ? h("span", {class: "quiet", title: frame.file || frame.module || ""}, " " + where(frame)) : null,
      blame ? h("span", {class: "badge blame"}, "the line to look at") : null);
  });
  const list = h("ol", {class: "stack"}), most = 3;
  for (let i = 0; i < items.length;) {
    let run = i;
    while (run < items.length && !frames[run].own && !items[run].classList.contains("blamed"))
      run++;
    if (run - i > most)
      list.append(foldedFrames(items.slice(i, run), frames.slice(i, run)));
    else
      list.append(...items.slice(i, Math.max(run, i + 1)));
    i = Math.max(run, i + 1);
  }
  return list;
}

/* Libraries between the lines that somebody can change. */
function foldedFrames(items, frames) {
  const names = [...new Set(frames.map((frame) => base(frame.module || frame.file || "")).filter(Boolean))];
  const button = h("button", {type: "button", class: "fold", "aria-expanded": "false", onclick: () => {
    item.replaceWith(...items);
    items[0].tabIndex = -1;
    items[0].focus();
  }}, plural(items.length, "library frame"), h("span", {class: "quiet"}, " " + names.slice(0, 4).join(", ")));
  const item = h("li", {class: "folded"}, button);
  return item;
}

function stacksOf(page, item, blamed) {
  const left = item.stack_total - item.stacks.length;
  return [item.stacks.map((stack, index) => h("details", {open: index === 0}, h("summary", {}, count(stack.alive) + " alive of " + count(stack.opened) + " acquired" + (stack.alive_bytes ? ", " + bytes(stack.alive_bytes) : "")),
    stackList(stackOf(page, stack.node), blamed))),
    left > 0 ? h("p", {class: "quiet"}, plural(left, "more stack") + " that hold less.") : null];
}

function evidenceTable(finding) {
  const names = Object.entries(finding.evidence);
  const show = (name, value) => value === null ? "\u2013" : /bytes/.test(name) ? bytes(value) : /_s$/.test(name) ? duration(value) : /^never_released|share|spread/.test(name) ? percent(value) : figure(value);
  return names.length ? h("details", {}, h("summary", {}, "Evidence"), h("dl", {class: "facts"}, names.map(([name, value]) => fact(name.replace(/_s$/, "").replace(/_/g, " "), show(name, value))))) : null;
}

function findingView(report, page, id) {
  const finding = report.findings.find((each) => each.id === id);
  if (!finding)
    return [empty("No such finding.", "This page has no finding " + id + ".")];
  const cause = finding.caused_by && report.findings.find((each) => each.id === finding.caused_by), follows = consequences(report, finding);
  const items = finding.places.map((index) => page.places[index]), share = finding.evidence;
  return [
    h("p", {class: "crumb"}, h("a", {href: "#/"}, "Overview"), " \u203a finding"),
    h("h1", {}, finding.message),
    h("p", {class: "lead"}, badge(finding.severity), " ", h("b", {}, finding.verdict), " ", finding.resource, finding.peer ? " to " + finding.peer : "", " \u00b7 ", place(finding.site)),
    finding.last_used ? h("p", {class: "last"}, "Last used at ", place(finding.last_used.site), " (" + count(finding.last_used.count) + " of " + count(finding.count) + ")") : null,
    cause ? h("p", {class: "note"}, "Follows from ", h("a", {href: findingLink(cause)}, cause.message), ": fix that first.") : null,
    h("dl", {class: "facts"}, fact("count", (finding.estimated ? "~" : "") + count(finding.count)), finding.bytes ? fact("memory", bytes(finding.bytes)) : null,
      rate(finding) ? fact("rate", rate(finding)) : null, byteRate(finding) ? fact("growth", byteRate(finding)) : null,
      share.never_released !== undefined ? fact("never released", percent(share.never_released) + " (" + percent(share.never_released_low) + "\u2013" + percent(share.never_released_high) + ")") : null,
      fact("first and last", duration(finding.first_s) + " \u2013 " + duration(finding.last_s)), fact("confidence", finding.confidence), fact("processes", finding.pids.join(", "))),
    finding.statement ? h("div", {}, h("h2", {}, "Statement"), h("pre", {class: "sql"}, finding.statement)) : null,
    follows.length ? h("div", {}, h("h2", {}, "What follows from it"), h("ul", {}, follows.map((each) => h("li", {}, h("a", {href: findingLink(each)}, each.message))))) : null,
    items.map((item) => h("section", {}, items.length > 1 ? h("h2", {}, "pid " + page.windows[item.process].pid) : null, h("div", {class: "charts"}, courseCharts(page, item)))),
    h("h2", {}, "Stacks"),
    items.length && items[0].stacks.length ? stacksOf(page, items[0], finding.site) : stackList(stackOf(page, finding.node), finding.site),
    evidenceTable(finding),
    finding.suppression ? h("p", {class: "suppress"}, "To suppress it: ", h("code", {}, finding.suppression), copyButton(finding.suppression)) : null,
  ];
}

function placeView(report, page, which) {
  const item = page.places[Number(which)];
  if (!item)
    return [empty("No such place.", "This page has " + plural(page.places.length, "place") + ".")];
  const finding = report.findings.find((each) => each.places.includes(Number(which)));
  return [
    h("p", {class: "crumb"}, h("a", {href: "#/places"}, "Places"), " \u203a place"),
    h("h1", {}, named(item.site)),
    h("p", {class: "lead"}, h("b", {}, item.verdict), " ", item.resource, item.peer ? " to " + item.peer : "", " \u00b7 ", place(item.site), finding ? [" \u00b7 ", h("a", {href: findingLink(finding)}, finding.verdict)] : null),
    h("dl", {class: "facts"}, fact("acquired", (item.estimated ? "~" : "") + count(item.opened)), fact("released", count(item.opened - item.alive)), fact("held when it ended", count(item.alive)),
      item.alive_bytes ? fact("memory", bytes(item.alive_bytes)) : null, fact("first and last", duration(item.first_s) + " \u2013 " + duration(item.last_s)), fact("process", page.windows[item.process].pid)),
    h("div", {class: "charts"}, courseCharts(page, item)),
    h("h2", {}, "Stacks"), stacksOf(page, item, item.site),
  ];
}

function placesView(report, page) {
  const rows = page.places.map((item, index) => ({...item, index}));
  const left = page.left_out.places;
  return [h("h1", {}, "Places"), h("p", {class: "quiet"}, "Each line of code that ever held enough to be followed over time, whether it leaks or not."),
    rows.length ? table([
      {title: "Place", key: (row) => named(row.site), wide: true, cell: (row) => h("a", {href: "#/place/" + row.index}, place(row.site))},
      {title: "Resource", key: (row) => row.resource, cell: (row) => row.resource},
      {title: "Verdict", key: (row) => row.verdict, cell: (row) => row.verdict},
      {title: "Acquired", number: true, key: (row) => row.opened, cell: (row) => (row.estimated ? "~" : "") + count(row.opened)},
      {title: "Held at the end", number: true, key: (row) => row.alive, cell: (row) => count(row.alive)},
      {title: "Memory", number: true, key: (row) => row.alive_bytes, cell: (row) => row.alive_bytes ? bytes(row.alive_bytes) : "\u2013"},
      {title: "Process", number: true, key: (row) => page.windows[row.process].pid, cell: (row) => String(page.windows[row.process].pid)},
    ], rows, {label: "Places"}).element : empty("No place was followed.", "Nothing was ever held in numbers."),
    left ? h("p", {class: "quiet"}, plural(left, "place") + " that hold least are not shown.") : null,
    report.sites ? [h("h2", {}, "All that acquired something"), sitesTable(report, page)] : null];
}

function sitesTable(report, page) {
  const left = page.left_out.sites;
  return [table([
    {title: "Place", key: (row) => named(row.site), wide: true, cell: (row) => place(row.site)},
    {title: "Resource", key: (row) => row.resource, cell: (row) => row.resource},
    {title: "Verdict", key: (row) => row.verdict, cell: (row) => row.verdict},
    {title: "Acquired", number: true, key: (row) => row.opened, cell: (row) => count(row.opened)},
    {title: "Released", number: true, key: (row) => row.closed, cell: (row) => count(row.closed)},
    {title: "Open", number: true, key: (row) => row.open, cell: (row) => count(row.open)},
    {title: "Memory", number: true, key: (row) => row.bytes_open, cell: (row) => row.bytes_open ? bytes(row.bytes_open) : "\u2013"},
  ], report.sites, {label: "All places"}).element, left ? h("p", {class: "quiet"}, plural(left, "more place") + ".") : null];
}

/* ---- flame graph ---- */

function flameView(report, page) {
  const rows = page.stacks.map(([process, node, resource, opened, alive, held, accused, open, live]) => ({process, node, resource, opened, alive, held, accused, open, live}));
  if (!rows.length)
    return [h("h1", {}, "Flame graph"), empty("No stacks.", "Nothing was acquired while this was recorded.")];
  const holder = h("div"), slider = h("input", {type: "range", min: 0, step: 1, "aria-label": "Time"}), told = h("output", {class: "quiet"});
  const sum = (list, key) => list.reduce((total, row) => total + row[key], 0);
  const leaked = rows.filter((row) => row.accused);
  const resources = [...new Set(rows.map((row) => row.resource))].sort((a, b) => sum(rows.filter((row) => row.resource === b), "alive") - sum(rows.filter((row) => row.resource === a), "alive"));
  const state = {mode: leaked.length ? "leaked" : "live", resource: leaked.length ? leaked.sort((a, b) => b.held - a.held || b.alive - a.alive)[0].resource : resources[0], unit: "bytes", process: 0};
  if (leaked.some((row) => row.resource === "connection"))
    state.resource = "connection";
  const most = rows.reduce((map, row) => map.set(row.process, (map.get(row.process) || 0) + row.opened), new Map());
  state.process = [...most].sort((a, b) => b[1] - a[1])[0][0];
  const pick = (name, values) => h("select", {"aria-label": name, onchange: (event) => { state[name] = event.target.value; draw(); }}, values.map(([value, label]) => fill(document.createElement("option"), {value, selected: value === state[name]}, [label])));
  const modes = h("div", {class: "switch", role: "group", "aria-label": "What is drawn"}, [["leaked", "Leaked"], ["live", "Live at a time"], ["all", "All acquired"]].map(([mode, label]) =>
    h("button", {type: "button", "data-mode": mode, onclick: () => { state.mode = mode; draw(); }}, label)));
  const processes = page.windows.length > 1 ? h("select", {"aria-label": "process", onchange: (event) => { state.process = Number(event.target.value); setSlider(); draw(); }},
    page.windows.map((each, index) => most.has(index) ? fill(document.createElement("option"), {value: index, selected: index === state.process}, ["pid " + each.pid]) : null)) : null;
  const timing = h("label", {class: "choice"}, "Time ", slider, told);
  const unit = pick("unit", [["bytes", "bytes"], ["count", "number"]]);
  function setSlider() {
    slider.max = Math.max(0, page.windows[state.process].end_s.length - 1);
    slider.value = slider.max;
  }
  slider.addEventListener("input", () => draw());
  const native = nativeChoice(page, () => draw());
  function value(row, inBytes) {
    if (state.mode === "all")
      return row.opened;
    if (state.mode === "leaked")
      return row.accused ? (inBytes ? row.held : row.alive) : 0;
    const series = inBytes ? row.live : row.open;
    return row.process === state.process && series ? series[Number(slider.value)] || 0 : 0;
  }
  function draw() {
    const kind = rows.filter((row) => row.resource === state.resource), hasBytes = state.mode !== "all" && kind.some((row) => row.held > 0 || (row.live && row.live.some((each) => each > 0)));
    const inBytes = hasBytes && state.unit === "bytes", show = inBytes ? bytes : count;
    unit.hidden = !hasBytes;
    timing.hidden = state.mode !== "live";
    if (processes)
      processes.hidden = state.mode !== "live";
    for (const button of modes.children)
      button.setAttribute("aria-pressed", String(button.dataset.mode === state.mode));
    told.textContent = " " + duration(page.windows[state.process].end_s[Number(slider.value)]) + " after the start";
    const drawn = kind.map((row) => ({node: row.node, value: value(row, inBytes)})).filter((row) => row.value > 0);
    const nothing = {leaked: empty("Nothing leaked.", "No " + state.resource + " is held by a place that leaks or creeps. Choose what is live, or all that was acquired."),
                     live: empty("Nothing was live then.", "Of places that never had 32 blocks or 64 KiB open at once nothing is told over time."), all: empty("Nothing was acquired.")};
    holder.replaceChildren(drawn.length ? flameGraph(flameTree(page, drawn, native.wanted()), {words: (box) => show(box.value) + (inBytes ? "" : " " + state.resource), legend: flameLegend()}) : nothing[state.mode]);
  }
  setSlider();
  draw();
  const left = page.left_out.stacks;
  return [h("h1", {}, "Flame graph"), h("div", {class: "tools"}, modes, pick("resource", resources.map((name) => [name, name])), unit, processes, timing, native.element), holder,
          left ? h("p", {class: "quiet"}, plural(left, "stack") + " that hold and acquire least are not drawn.") : null];
}

/* ---- lists ---- */

function statementsView(report, page) {
  const rows = page.statements, left = page.left_out.statements;
  return [h("h1", {}, "Statements"), rows && rows.length ? table([
    {title: "Total", number: true, key: (row) => row.total_s, cell: (row) => duration(row.total_s)},
    {title: "Calls", number: true, key: (row) => row.calls, cell: (row) => count(row.calls)},
    {title: "Median", number: true, key: (row) => row.p50_s, cell: (row) => duration(row.p50_s)},
    {title: "95 %", number: true, key: (row) => row.p95_s, cell: (row) => duration(row.p95_s)},
    {title: "Longest", number: true, key: (row) => row.longest_s, cell: (row) => duration(row.longest_s)},
    {title: "Rows", number: true, key: (row) => row.rows, cell: (row) => count(row.rows)},
    {title: "Memory", number: true, key: (row) => row.bytes, cell: (row) => row.bytes ? bytes(row.bytes) : "\u2013"},
    {title: "Errors", number: true, key: (row) => row.errors, cell: (row) => count(row.errors)},
    {title: "Connections", number: true, key: (row) => row.connections, cell: (row) => count(row.connections)},
    {title: "Statement", key: (row) => row.statement || "", wide: true, cell: (row) => h("details", {class: "statement"}, h("summary", {}, h("code", {}, row.statement || "(not kept)")),
      h("ul", {}, row.sites.map((each) => h("li", {}, place(each.site), h("span", {class: "quiet"}, " " + plural(each.calls, "call"))))))},
  ], rows, {label: "Statements", sort: 0}).element : empty("No statements.", "No process called libpq while it was recorded; other drivers are not looked into."),
  left ? h("p", {class: "quiet"}, plural(left, "statement") + " that took least time are not shown.") : null];
}

function memoryView(report, page) {
  return [h("h1", {}, "Memory"), waterfall(report.memory), h("h2", {}, "Over time"), overTime(page)];
}

function processesView(report, page) {
  const total = (row, name) => row.resources[name] ? row.resources[name].open : 0;
  const ends = (row) => row.end + (row.exit_status !== undefined ? " " + row.exit_status : "");
  return [h("h1", {}, "Processes"), table([
    {title: "Pid", number: true, key: (row) => row.pid, cell: (row) => String(row.pid)},
    {title: "Parent", number: true, key: (row) => row.parent_pid, cell: (row) => String(row.parent_pid)},
    {title: "Command", key: (row) => row.command.join(" "), wide: true, cell: (row) => h("code", {title: row.exe || ""}, row.command.join(" ") || row.exe || "?")},
    {title: "Start", key: (row) => row.start, cell: (row) => moment(row.start) || "\u2013"},
    {title: "Lived", number: true, key: (row) => row.duration_s, cell: (row) => duration(row.duration_s)},
    {title: "End", key: ends, cell: ends},
    {title: "Events", number: true, key: (row) => row.events, cell: (row) => count(row.events)},
    {title: "Lost", number: true, key: (row) => row.lost_events, cell: (row) => count(row.lost_events)},
    {title: "Trace", key: (row) => row.complete, cell: (row) => row.complete ? "complete" : "damaged"},
    {title: "Connections open", number: true, key: (row) => total(row, "connection"), cell: (row) => count(total(row, "connection"))},
    {title: "Heap open", number: true, key: (row) => row.resources.heap.bytes_open, cell: (row) => bytes(row.resources.heap.bytes_open)},
  ], report.processes, {label: "Processes"}).element,
  page.left_out.processes ? h("p", {class: "quiet"}, plural(page.left_out.processes, "more process", "more processes") + " are not shown.") : null];
}

/* What a process had open when it was attached to: nowhere else in the figures. */
function attachedView(report) {
  const late = report.processes.filter((process) => process.before_attach);
  if (!late.length)
    return null;
  const amount = ([name, each]) => plural(each.open, ...(RESOURCES[name] || [name])) + (each.closed ? " (" + count(each.closed) + " closed since)" : "");
  return h("section", {}, h("h2", {}, "Open before it was attached to"), late.map((process) => {
    const before = process.before_attach, some = Object.entries(before.resources).filter(([, each]) => each.open > 0);
    return h("div", {}, h("p", {}, h("b", {}, "pid " + process.pid + ": "), some.map(amount).join(", ") || "nothing", ", and counted nowhere else. ", h("span", {class: "quiet"}, before.not_known || "")),
      before.connections.length ? table([
        {title: "Peer", key: (row) => row.peer, cell: (row) => [row.peer, row.kind === "server" ? h("span", {class: "quiet"}, " accepted") : null]},
        {title: "Open then", number: true, key: (row) => row.open, cell: (row) => count(row.open)},
        {title: "Closed since", number: true, key: (row) => row.closed, cell: (row) => count(row.closed)},
      ], before.connections, {label: "Connections open before"}).element : null);
  }));
}

/* ---- all of it ---- */

function overview(report, page) {
  const told = answer(report), forecasts = report.forecasts.slice(told.sure ? 1 : 0);
  return [
    h("section", {class: "answer " + told.severity}, h("h1", {}, told.text), told.more ? h("p", {class: told.sure ? "lead forecast" : "lead"}, told.more) : h("p", {class: "lead"}, looked(report, page)),
      forecasts.map((forecast) => h("p", {class: "forecast"}, forecast.message)), quality(report)),
    cards(report),
    h("section", {}, h("h2", {}, "Over time"), overTime(page)),
    h("section", {}, h("h2", {}, "Findings"), findingsTable(report, page)),
    h("section", {}, h("h2", {}, "Where resident memory went"), waterfall(report.memory)),
    h("section", {}, h("h2", {}, "Connections"), peersTable(report, page)),
    attachedView(report),
    h("section", {}, h("h2", {}, "Not leaks"), h("p", {}, quietLine(page), " ", h("a", {href: "#/places"}, "See places"))),
  ];
}

function reportRoutes(report, page) {
  return {
    title: () => "stray: " + answer(report).text,
    tabs: [["", "Overview"], ["findings", "Findings"], ["connections", "Connections"], ["flame", "Flame graph"], ["memory", "Memory"], ["statements", "Statements"],
           ["places", "Places"], ["processes", "Processes"]],
    name: report.processes.length ? base(report.processes[0].exe || "") : "",
    views: {
      "": () => overview(report, page),
      findings: () => [h("h1", {}, "Findings"), findingsTable(report, page)],
      finding: (id) => findingView(report, page, id),
      place: (which) => placeView(report, page, which),
      places: () => placesView(report, page),
      connections: (which) => connectionsView(report, page, which),
      flame: () => flameView(report, page),
      memory: () => memoryView(report, page),
      statements: () => statementsView(report, page),
      processes: () => processesView(report, page),
    },
  };
}
