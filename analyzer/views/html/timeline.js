/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections to one peer, one line each: in use, then idle, idle in a transaction, or left in CLOSE_WAIT. */
"use strict";

const STATES = [
  {name: "in_use", label: "in use", color: "use"},
  {name: "idle", label: "idle since its last use", color: "idle"},
  {name: "in_transaction", label: "idle in a transaction", color: "transaction"},
  {name: "close_wait", label: "CLOSE_WAIT: the peer has hung up", color: "wait"},
];

/* Pieces of one line: [from, to, state]. */
function pieces(life, end) {
  const left = life.closed === "open" || life.closed === "exit";
  const until = left ? end : life.ended_s, used = Math.min(life.used_s, until);
  const wait = life.close_wait_s === undefined ? until : Math.min(life.close_wait_s, until);
  const list = [[life.opened_s, Math.min(used, wait), "in_use"], [Math.min(used, wait), wait, life.in_transaction ? "in_transaction" : "idle"], [wait, until, "close_wait"]];
  return list.filter(([from, to], index) => to > from || (index === 0 && until <= life.opened_s));
}

function lifeWords(life) {
  const parts = ["descriptor " + life.handle + ", pid " + life.pid, "opened at " + duration(life.opened_s) + ", " + plural(life.uses, "use")];
  if (life.busy_s || life.in_transaction_s)
    parts.push("busy for " + duration(life.busy_s) + (life.in_transaction_s ? ", in transactions for " + duration(life.in_transaction_s) : ""));
  parts.push("last used at " + duration(life.used_s));
  parts.push({open: "still open", exit: "open until the end", closed: "closed at " + duration(life.ended_s), finalizer: "closed by a finalizer at " + duration(life.ended_s),
              exec: "closed by an exec", implicit: "closed unseen", reconciled: "found closed"}[life.closed]);
  if (life.transaction)
    parts.push(life.transaction);
  if (life.last_statement)
    parts.push("last statement: " + life.last_statement);
  if (life.site && life.site.function)
    parts.push("opened by " + named(life.site) + " " + where(life.site));
  return parts;
}

function lifeLines(lives, begin, end) {
  const height = lives.length > 80 ? 5 : lives.length > 30 ? 8 : 12, gap = height > 6 ? 2 : 1, step = height + gap;
  const width = 1000, scale = width / (end - begin || 1);
  const detail = h("div", {class: "life-detail", "aria-live": "polite"}, h("p", {class: "quiet"}, "Point at a line, or press the arrow keys on it, to see one connection."));
  const lines = [];
  let current = -1;
  function select(index) {
    if (index < 0 || index >= lives.length)
      return;
    lines[current]?.classList.remove("selected");
    current = index;
    lines[index].classList.add("selected");
    detail.replaceChildren(h("ul", {}, lifeWords(lives[index]).map((text) => h("li", {}, text))));
  }
  const drawing = svg("svg", {viewBox: "0 0 " + width + " " + Math.max(step, lives.length * step), preserveAspectRatio: "none", class: "lives", tabindex: 0, role: "img",
                              "aria-label": plural(lives.length, "connection") + ", one line each; arrow keys go from one to the next",
                              style: {height: Math.max(step, lives.length * step) + "px"}});
  lives.forEach((life, index) => {
    const line = svg("g", {class: "life", onmouseenter: () => select(index)},
      svg("rect", {x: 0, y: index * step, width, height: step, class: "under"}),
      pieces(life, end).map(([from, to, state]) => svg("rect", {x: (from - begin) * scale, y: index * step, width: Math.max(1.5, (to - from) * scale), height,
                                                                class: "state-" + state})));
    lines.push(line);
    drawing.append(line);
  });
  drawing.addEventListener("keydown", (event) => {
    const steps = {ArrowDown: 1, ArrowUp: -1};
    if (steps[event.key]) {
      select(current + steps[event.key]);
      event.preventDefault();
    }
  });
  return [detail, drawing, h("p", {class: "ends quiet"}, h("span", {}, duration(begin)), h("span", {}, duration(end)))];
}

function stateLegend() {
  return h("p", {class: "legend quiet"}, STATES.map((state) => [h("span", {class: "key state-" + state.name}), state.label + " "]));
}

function peerTimeline(page, timeline, peer, group) {
  const bins = timeline.in_use.length, width = page.span_s / bins;
  const x = Array.from({length: bins + 1}, (_, i) => i * width);
  const limit = peer && peer.limit;
  const series = STATES.map((state) => ({label: state.label, color: state.color, values: [0, ...timeline[state.name]], step: -1}))
    .filter((each) => each.values.some((value) => value > 0));
  const left = timeline.total - timeline.lives.length;
  const lines = timeline.busy ? [{label: "busy in calls, on average", color: "text", values: [0, ...timeline.busy], step: -1}] : [];
  const peak = Math.max(...x.map((_, i) => series.reduce((sum, each) => sum + each.values[i], 0)));
  const drawn = limit && limit <= 5 * peak ? limit : 0; /* a limit far away would make all else flat */
  return h("section", {class: "peer"},
    h("h2", {}, timeline.peer, timeline.kind === "server" ? h("span", {class: "quiet"}, " accepted here") : null),
    peer ? h("dl", {class: "facts"}, fact("open at the end", count(peer.open)), fact("peak", count(peer.peak)), fact("limit", limit ? count(limit) : "not known"),
      fact("opened", count(peer.opened)), fact("closed", count(peer.closed)), fact("closed by finalizers", count(peer.closed_by_finalizer)), fact("CLOSE_WAIT", count(peer.close_wait))) : null,
    series.length ? chart({title: "Connections, and how they stood", note: limit ? " limit: " + count(limit) : "", x, unit: "count", group, stack: true, series, lines, max: drawn, limit: drawn}) : null,
    timeline.lives.length ? [h("h3", {}, "One by one"), stateLegend(), lifeLines(timeline.lives, left > 0 ? Math.min(...timeline.lives.map((life) => life.opened_s)) : 0, page.span_s),
      h("p", {class: "quiet axis-note"}, (left > 0 ? plural(left, "more connection") + " not drawn: those that stayed open and the latest are. " : ""),
        "A connection counts as in use up to its last use, also while it rests in between.")]
      : empty("No connection was followed one by one.", "They were opened before the recording began, or by a process that cannot be seen."));
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}
