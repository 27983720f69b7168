/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines and areas over time, by uPlot. Charts of one group share the cursor and the stretch that is looked at. */
"use strict";

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800,
               21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000];
const BINARY = Array.from({length: 60}, (_, i) => Math.pow(2, i));

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

const words = {
  bytes: (value) => value === null || value === undefined ? "\u2013" : bytes(value),
  count: (value) => value === null || value === undefined ? "\u2013" : figure(value),
  share: (value) => value === null || value === undefined ? "\u2013" : percent(value),
  time: (value) => value === null || value === undefined ? "\u2013" : duration(value),
};

/* The charts of one view that move together. */
function chartGroup() {
  const charts = [];
  let busy = false;
  return {
    sync: uPlot.sync("group" + Math.random()),
    charts,
    first: Infinity, last: -Infinity, /* what all of them span */
    moved(chart, min, max) {
      if (busy)
        return;
      busy = true;
      for (const other of charts)
        if (other !== chart)
          other.setScale("x", {min, max});
      busy = false;
    },
  };
}

/* Sums from the first list on: each is drawn below the one before. */
function stacked(series) {
  const sums = [];
  series.forEach((each, index) => {
    sums.push(each.values.map((value, i) => Math.max(0, value || 0) + (index ? sums[index - 1][i] : 0)));
  });
  return sums;
}

function axes(options) {
  const grid = {stroke: color("grid"), width: 1}, ticks = {stroke: color("grid"), width: 1, size: 4}, font = "12px system-ui, sans-serif";
  const time = options.log ? {} : {incrs: STEPS};
  return [
    {stroke: color("quiet"), grid, ticks, font, size: 30, space: 70, ...time,
     values: (u, splits) => splits.map((value) => value === null ? "" : options.log && !/^10*$|^0\.0*1$/.test(String(+value.toPrecision(3))) ? "" : duration(value))},
    {stroke: color("quiet"), grid, ticks, font, size: 74, space: 32, ...(options.unit === "bytes" ? {incrs: BINARY} : {}),
     values: (u, splits) => splits.map((value) => words[options.unit](value))},
  ];
}

function seriesOf(each) {
  const stroke = color(each.color);
  return {
    label: each.label, stroke, width: each.solid ? 0 : 1.75, dash: each.dash ? [6, 4] : undefined, spanGaps: true,
    fill: each.fill ? (each.solid ? stroke : stroke + "22") : undefined,
    paths: each.step ? uPlot.paths.stepped({align: each.step}) : undefined,
    points: {show: false},
  };
}

/*
 * options: title, x (numbers), series [{label, values, color, fill, solid, dash, step}], unit (bytes, count, share), stack, group,
 * height, log (of x), max, limit (a line across), lines (series
 * that are not stacked). The title names it for those who cannot see it, too.
 */
function chart(options) {
  const holder = h("div", {class: "plot", tabindex: 0, role: "img", "aria-label": options.title + ". Arrow keys move, plus and minus zoom, 0 shows all."});
  const reset = h("button", {type: "button", class: "small", hidden: true, onclick: () => zoom(null)}, "Show all");
  const element = h("figure", {class: "chart"}, h("figcaption", {}, h("b", {}, options.title),
                    options.note ? h("span", {class: "quiet"}, options.note) : null, reset), holder);
  const lists = options.stack ? stacked(options.series) : options.series.map((each) => each.values);
  /* What is drawn later covers what is drawn before: the sums from the largest down. */
  const order = options.series.map((_, index) => index);
  if (options.stack)
    order.reverse();
  const limits = options.limit ? [{label: "limit", color: "error", dash: true, values: options.x.map(() => options.limit)}] : [];
  const lines = [...(options.lines || []), ...limits];
  const group = options.group || chartGroup();
  let plot = null;
  group.first = Math.min(group.first, options.x[0]);
  group.last = Math.max(group.last, options.x[options.x.length - 1]);

  function zoom(range) {
    plot.setScale("x", range || {min: group.first, max: group.last});
  }

  function onKey(event) {
    const {min, max} = plot.scales.x, width = max - min;
    const moves = {ArrowLeft: [-0.1, -0.1], ArrowRight: [0.1, 0.1], "+": [0.1, -0.1], "=": [0.1, -0.1], "-": [-0.125, -0.125 + 0.25]};
    if (event.key === "0" || event.key === "Escape")
      zoom(null);
    else if (moves[event.key])
      zoom({min: Math.max(group.first, min + moves[event.key][0] * width), max: Math.min(group.last, max + moves[event.key][1] * width)});
    else
      return;
    event.preventDefault();
  }

  function draw() {
    const width = Math.max(280, Math.floor(holder.clientWidth));
    const height = options.height || 190;
    if (plot) {
      plot.setSize({width, height});
      return;
    }
    const scaleY = {range: (u, low, high) => [Math.min(0, low || 0), Math.max(options.max || 0, high || 0) * 1.06 || 1]};
    plot = new uPlot({
      width, height, padding: [10, 26, 0, 0],
      cursor: {sync: {key: group.sync.key, setSeries: false}, y: false, points: {size: 7}, drag: {x: true, y: false, setScale: true}},
      legend: {live: true},
      scales: {x: {time: false, distr: options.log ? 3 : 1}, y: scaleY},
      axes: axes(options),
      series: [{label: options.log ? "Age" : "Time", value: (u, value) => words.time(value)},
               ...order.map((index) => ({...seriesOf({...options.series[index], fill: options.series[index].fill || options.stack, solid: options.stack || options.series[index].solid}),
                 value: (u, value, s, i) => words[options.unit](i === null || i === undefined ? null : options.series[index].values[i])})),
               ...lines.map((each) => ({...seriesOf(each), value: (u, value) => words[options.unit](each.dash ? options.limit : value)}))],
      hooks: {setScale: [(u, key) => {
        if (key !== "x" || u.scales.x.min === null)
          return;
        const all = u.scales.x.min <= group.first && u.scales.x.max >= group.last;
        reset.hidden = all;
        holder.dataset.zoomed = all ? "no" : "yes";
        group.moved(u, u.scales.x.min, u.scales.x.max);
      }]},
    }, [options.x, ...order.map((index) => lists[index]), ...lines.map((each) => each.values)], holder);
    group.charts.push(plot);
    zoom(null);
  }

  holder.addEventListener("keydown", onKey);
  new ResizeObserver(() => { if (holder.isConnected && holder.clientWidth > 0) draw(); }).observe(holder);
  return element;
}

/* Values at the end of each window, drawn as steps from the beginning: one point more. */
function fromStart(ends) {
  return [0, ...ends];
}
