/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all parts of the page use: elements, words for numbers, and the data. Whatever a trace says is put in as text, never as
 * markup; an attribute never holds it but as a title, a label, or a route that is encoded. */
"use strict";

const SPACE = "\u202f";

/* Characters that move, hide or turn what stands around them. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

function visible(text) {
  return text.replace(UNSEEN, (c) => "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0"));
}

function cleaned(value) {
  if (typeof value === "string")
    return visible(value);
  if (Array.isArray(value))
    return value.map(cleaned);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, cleaned(each)]));
  return value;
}

/* ---- elements ---- */

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false)
      continue;
    if (name.startsWith("on"))
      element.addEventListener(name.slice(2), value);
    else if (name === "style")
      Object.assign(element.style, value);
    else if (name === "value" || name === "checked")
      element[name] = value;
    else
      element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/* ---- words ---- */

function grouped(digits) {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, SPACE);
}

function count(number) {
  if (number === null || number === undefined)
    return "\u2013";
  return grouped(String(Math.round(number)));
}

/* Three digits that matter. */
function figure(number) {
  if (number === null || number === undefined || !isFinite(number))
    return "\u2013";
  const size = Math.abs(number);
  if (size >= 100 || number === Math.round(number))
    return (number < 0 ? "\u2212" : "") + grouped(String(Math.round(size)));
  return (number < 0 ? "\u2212" : "") + (size >= 10 ? size.toFixed(1) : size >= 0.01 ? size.toFixed(2) : size.toPrecision(2));
}

function bytes(number) {
  if (number === null || number === undefined)
    return "\u2013";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0, size = Math.abs(number);
  for (; size >= 1024 && unit + 1 < units.length; unit++)
    size /= 1024;
  const digits = unit === 0 || size >= 100 ? String(Math.round(size)) : size.toFixed(1);
  return (number < 0 ? "\u2212" : "") + digits + SPACE + units[unit];
}

function duration(seconds) {
  if (seconds === null || seconds === undefined || !isFinite(seconds))
    return "\u2013";
  const size = Math.abs(seconds);
  if (size === 0)
    return "0" + SPACE + "s";
  if (size < 0.001)
    return Math.round(size * 1e6) + SPACE + "\u00b5s";
  if (size < 1)
    return figure(size * 1000) + SPACE + "ms";
  if (size < 60)
    return (size < 10 ? size.toFixed(1).replace(/\.0$/, "") : String(Math.round(size))) + SPACE + "s";
  const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const at = parts.findIndex(([length]) => size >= length);
  const [long, unit] = parts[at], [short, lesser] = parts[at + 1] || [1, ""];
  const first = Math.floor(size / long), second = Math.floor((size - first * long) / short);
  return first + SPACE + unit + (second ? " " + second + SPACE + lesser : "");
}

function percent(share) {
  if (share === null || share === undefined)
    return "\u2013";
  const value = share * 100;
  return (value > 0 && value < 1 ? value.toFixed(1) : String(Math.round(value))) + SPACE + "%";
}

function plural(number, one, many) {
  return count(number) + " " + (number === 1 ? one : many || one + "s");
}

function rate(finding) {
  const hourly = finding.rate_per_hour;
  if (!hourly)
    return null;
  const [unit, scale] = hourly.estimate >= 3600 ? ["s", 3600] : hourly.estimate >= 60 ? ["min", 60] : ["h", 1];
  return figure(hourly.estimate / scale) + "/" + unit + " (" + figure(hourly.low / scale) + "\u2013" + figure(hourly.high / scale) + ")";
}

/* What a finding's memory grows by, with its interval where there is one. */
function byteRate(finding) {
  const each = finding.evidence.bytes_per_hour;
  if (!each)
    return null;
  const low = finding.evidence.bytes_per_hour_low, high = finding.evidence.bytes_per_hour_high;
  return bytes(each) + "/h" + (low !== undefined ? " (" + bytes(low) + "\u2013" + bytes(high) + ")" : "");
}

function base(path) {
  return path ? path.slice(path.lastIndexOf("/") + 1) : null;
}

/* The last folders of a path are what people know it by. */
function short(path, parts) {
  const pieces = path.split("/");
  return pieces.length > parts + 1 ? "\u2026/" + pieces.slice(-parts).join("/") : path;
}

function where(frame) {
  if (frame.file)
    return short(frame.file, 2) + (frame.line ? ":" + frame.line : "");
  if (frame.module)
    return base(frame.module) + (frame.offset ? "+" + frame.offset : "");
  return "";
}

function named(frame) {
  return frame.function || where(frame) || "(no stack)";
}

function moment(realtime) {
  return realtime ? realtime.slice(0, 19).replace("T", " ") + " UTC" : null;
}

/* ---- the data ---- */

function frameOf(list) {
  const [name, file, line, module, kind, offset] = list;
  return {function: name, file, line: line || null, module, language: kind & 1 ? "python" : "native",
          own: (kind & 2) !== 0, inlined: (kind & 4) !== 0, offset};
}

/* The frames of a node, innermost first. */
function stackOf(page, node) {
  const frames = [];
  for (let at = node; at !== null && at !== undefined && at >= 0; at = page.parents[at])
    frames.push(frameOf(page.frames[page.node_frames[at]]));
  return frames;
}

/* ---- small parts ---- */

function badge(severity, text) {
  return h("span", {class: "badge " + severity, title: severity}, text || severity);
}

function place(frame, resource) {
  return h("span", {class: "place"}, h("b", {}, named(frame)), " ",
           h("span", {class: "quiet", title: frame.file ? frame.file + (frame.line ? ":" + frame.line : "") : frame.module || ""},
             frame.function ? where(frame) : ""));
}

function copyButton(text) {
  const button = h("button", {type: "button", class: "small", onclick: copy}, "Copy");
  function done(word) {
    button.textContent = word;
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }
  function copy() {
    if (navigator.clipboard)
      navigator.clipboard.writeText(text).then(() => done("Copied"), () => byHand());
    else
      byHand();
  }
  function byHand() {
    const area = h("textarea", {class: "aside", value: text, "aria-hidden": "true"});
    document.body.append(area);
    area.select();
    done(document.execCommand("copy") ? "Copied" : "Press Ctrl+C");
    area.remove();
    button.focus();
  }
  return button;
}

function empty(title, ...lines) {
  return h("div", {class: "empty"}, h("p", {}, h("b", {}, title)), lines.map((line) => h("p", {}, line)));
}

function classOf(column) {
  return [column.number && !column.left ? "number" : "", column.wide ? "wide" : "", column.screen ? "screen" : ""].join(" ").trim() || null;
}

/* A table whose columns can be sorted: {title, key(row), cell(row), number, left, wide, screen}; numbers sort from the largest
 * down, and stand at the right but for `left`; what is `screen` is of no use on paper. */
function table(columns, rows, options) {
  let sorted = options && options.sort !== undefined ? options.sort : -1, down = true;
  const body = h("tbody"), heads = [];
  const head = h("tr", {}, columns.map((column, index) => {
    const button = h("button", {type: "button", onclick: () => sortBy(index)}, column.title);
    const cell = h("th", {scope: "col", class: classOf(column)}, column.key ? button : column.title);
    heads.push(cell);
    return cell;
  }));
  let shown = rows;
  function compare(a, b) {
    const x = columns[sorted].key(a), y = columns[sorted].key(b);
    if (x === null || x === undefined || y === null || y === undefined)
      return (x === null || x === undefined) - (y === null || y === undefined);
    return (typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en")) * (down ? -1 : 1);
  }
  function draw() {
    const list = sorted < 0 ? shown : [...shown].sort(compare);
    heads.forEach((cell, index) => {
      if (index === sorted)
        cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else
        cell.removeAttribute("aria-sort");
    });
    body.replaceChildren(...list.map((row) => h("tr", {class: options && options.tone ? options.tone(row) : null},
      columns.map((column) => h("td", {class: classOf(column)}, column.cell(row))))));
  }
  function sortBy(index) {
    down = index === sorted ? !down : Boolean(columns[index].number);
    sorted = index;
    draw();
  }
  draw();
  const element = h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": (options && options.label) || "Table"},
                    h("table", {}, h("thead", {}, head), body));
  return {element, show(list) { shown = list; draw(); }};
}
