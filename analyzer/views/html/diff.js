/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The views of a comparison: what became of each leak, and what is held more or less than before. */
"use strict";

const TONES = {worse: "error", new: "error", unchanged: "warning", improved: "note", "too short to tell": "note", fixed: "good"};

function diffAnswer(diff) {
  const counts = {};
  for (const row of diff.sites)
    counts[row.word] = (counts[row.word] || 0) + 1;
  const text = Object.entries(counts).map(([word, number]) => count(number) + " " + word).join(", ");
  const bad = diff.sites.some((row) => row.word === "worse" || row.word === "new"), open = diff.sites.some((row) => row.word === "unchanged");
  return {text: text || "Neither trace has findings that count", severity: bad ? "error" : open ? "warning" : "none"};
}

const UNITS = {requests: "request", statements: "statement", allocations: "allocation", time: "second"};

/* In a unit that gives a number a person can imagine. */
function perWork(diff, value) {
  let scale = 1;
  while (value > 0 && value * scale < 0.1 && scale < 1e9)
    scale *= 1000;
  const unit = UNITS[diff.work_axis];
  return value ? figure(value * scale) + (scale === 1 ? " per " + unit : " per " + grouped(String(scale)) + " " + unit + "s") : "none";
}

function diffSide(diff, side) {
  if (!side.there)
    return "nothing acquired here";
  return [h("div", {}, (side.estimated ? "~" : "") + count(side.count) + " of " + count(side.opened) + (side.bytes ? ", " + bytes(side.bytes) : "")), h("div", {class: "quiet"}, perWork(diff, side.rate))];
}

function diffRatio(diff, row) {
  if (row.word === "too short to tell" && row.work_needed)
    return "takes " + count(row.work_needed) + " " + UNITS[diff.work_axis] + "s to tell";
  if (!row.ratio)
    return "\u2013";
  if (!row.new.count)
    return "at most \u00d7" + figure(row.ratio.high);
  return "\u00d7" + figure(row.ratio.estimate) + " (" + figure(row.ratio.low) + "\u2013" + figure(row.ratio.high) + ")";
}

function diffTable(diff) {
  if (!diff.sites.length)
    return empty("Nothing to compare.", "Neither trace has an error or a warning about a place.");
  const order = Object.keys(TONES);
  return table([
    {title: "What became of it", key: (row) => -order.indexOf(row.word), cell: (row) => h("span", {class: "badge " + TONES[row.word]}, row.word)},
    {title: "Verdict", key: (row) => row.verdict, cell: (row) => row.verdict + " " + row.resource},
    {title: "Place", key: (row) => named(row.site), wide: true, cell: (row) => [place(row.site), row.matched_by === "callers" ? h("span", {class: "quiet"}, " another name, the same callers") : null]},
    {title: "Base", number: true, key: (row) => row.base.rate, cell: (row) => diffSide(diff, row.base)},
    {title: "New", number: true, key: (row) => row.new.rate, cell: (row) => diffSide(diff, row.new)},
    {title: "Rate, new to base", number: true, key: (row) => row.ratio ? row.ratio.estimate : null, cell: (row) => diffRatio(diff, row)},
  ], diff.sites, {label: "Places compared"}).element;
}

function runLine(diff, name, run) {
  const parts = [duration(run.duration_s), diff.work_axis === "time" ? null : count(run.work) + " " + diff.work_axis, plural(run.events, "event"),
                 run.lost_events ? count(run.lost_events) + " lost" : "none lost", run.complete ? null : "trace damaged or cut short"].filter(Boolean);
  return h("p", {class: "quality"}, h("b", {}, name + " "), run.path + " \u00b7 " + parts.join(" \u00b7 "));
}

/* Red holds more per unit of work than before, green less. */
function diffTint(box) {
  const before = box.other, after = box.value2;
  const most = Math.max(before, after);
  const share = most > 0 ? (after - before) / most : 0;
  const strength = Math.round(Math.min(1, Math.abs(share)) * 55);
  return "color-mix(in srgb, var(--" + (share > 0 ? "more" : "less") + ") " + strength + "%, var(--same))";
}

function diffFlame(diff, page) {
  const rows = page.stacks.map(([side, node, resource, opened, alive, held]) => ({side, node, resource, opened, alive, held}));
  if (!rows.length)
    return empty("No stacks.");
  const resources = [...new Set(rows.filter((row) => row.opened > 0).map((row) => row.resource))];
  const state = {resource: (diff.sites[0] || {}).resource || "heap", kind: "alive"};
  if (!resources.includes(state.resource))
    state.resource = resources[0];
  const holder = h("div"), work = [diff.base.work || 1, diff.new.work || 1];
  const pick = (name, values) => h("select", {"aria-label": name, onchange: (event) => { state[name] = event.target.value; draw(); }}, values.map(([value, label]) => fill(document.createElement("option"), {value, selected: value === state[name]}, [label])));
  const native = nativeChoice(page, () => draw());
  function draw() {
    const chosen = rows.filter((row) => row.resource === state.resource), inBytes = state.kind === "alive" && chosen.some((row) => row.held > 0);
    const key = inBytes ? "held" : state.kind, show = inBytes ? bytes : figure;
    /* Per unit of work of the base, so that figures keep their size. */
    const values = chosen.map((row) => ({node: row.node, value: row.side === 1 ? row[key] / work[1] * work[0] : 0, other: row.side === 0 ? row[key] : 0})).filter((row) => row.value + row.other > 0);
    const root = flameTree(page, values.map((row) => ({node: row.node, value: Math.max(row.value, row.other), other: row.other})), native.wanted());
    const after = flameTree(page, values.map((row) => ({node: row.node, value: row.value})), native.wanted());
    const join = (box, other) => {
      box.value2 = other ? other.value : 0;
      for (const [frame, child] of box.children)
        join(child, other && other.children.get(frame));
    };
    join(root, after);
    const change = (box) => "base " + show(box.other) + ", new " + show(box.value2) + " for the same work";
    holder.replaceChildren(values.length ? flameGraph(root, {words: change, tint: diffTint,
      legend: h("p", {class: "legend quiet"}, h("span", {class: "key more"}), "more than before ", h("span", {class: "key less"}), "less \u00b7 each box as wide as before and after together, for the base's work")})
      : empty("Nothing is held in either trace."));
  }
  draw();
  return h("div", {}, h("div", {class: "tools"}, pick("resource", resources.map((name) => [name, name])), pick("kind", [["alive", "held at the end"], ["opened", "acquired"]]), native.element), holder);
}

function diffRoutes(diff, page) {
  const told = diffAnswer(diff);
  return {
    title: () => "stray diff: " + told.text,
    name: "before and after",
    tabs: [["", "Comparison"], ["flame", "Flame graph"]],
    views: {
      "": () => [h("section", {class: "answer " + told.severity}, h("h1", {}, told.text), runLine(diff, "base", diff.base), runLine(diff, "new", diff.new),
          diff.load_differs ? h("p", {class: "note"}, "The load differs by more than 20 %: " + figure(diff.base.work_per_s) + ", then " + figure(diff.new.work_per_s) + " " + diff.work_axis + " a second. Rates may not be comparable.") : null),
        h("section", {}, h("h2", {}, "Places"), diffTable(diff)), h("section", {}, h("h2", {}, "Differential flame graph"), diffFlame(diff, page))],
      flame: () => [h("h1", {}, "Differential flame graph"), diffFlame(diff, page)],
    },
  };
}
