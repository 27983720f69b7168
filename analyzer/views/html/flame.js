/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Flame graphs, drawn from the outermost frame down. A box is as wide as what its frame and all below it hold. */
"use strict";

const ROW = 20;
const NARROWEST = 0.0008; /* of the width: less cannot be seen */

/* Frames of libraries that are not Python's: most of a stack below an interpreter, and seldom what is looked for. */
function isNativeLibrary(frame) {
  return frame.language === "native" && !frame.own;
}

/* Boxes from rows [{node, value, other}]: value decides the width; other, where there is one, the colour. */
function flameTree(page, rows, native) {
  const root = {frame: null, value: 0, other: 0, children: new Map(), parent: null, depth: 0};
  const made = new Map();
  function boxOf(node) {
    if (node === null || node === undefined || node < 0)
      return root;
    let box = made.get(node);
    if (!box) {
      const parent = boxOf(page.parents[node]), frame = page.node_frames[node], shown = frameOf(page.frames[frame]);
      box = !native && isNativeLibrary(shown) ? parent : parent.children.get(frame);
      if (!box) {
        box = {frame: shown, value: 0, other: 0, children: new Map(), parent, depth: parent.depth + 1};
        parent.children.set(frame, box);
      }
      made.set(node, box);
    }
    return box;
  }
  for (const row of rows)
    for (let box = boxOf(row.node); box; box = box.parent) {
      box.value += row.value;
      box.other += row.other || 0;
    }
  return root;
}

function flameClass(frame) {
  return frame.own ? "own" : frame.language === "python" ? "python" : "native";
}

/* Whether to show native libraries' frames: asked for where the stacks have others. */
function nativeChoice(page, draw) {
  const mixed = page.frames.some((list) => list[4] & 3);
  const box = h("input", {type: "checkbox", id: "native", checked: !mixed, onchange: draw});
  return {wanted: () => box.checked, element: mixed ? h("label", {class: "choice"}, box, " native library frames") : null};
}

/* options: words(box), tint(box), legend */
function flameGraph(root, options) {
  let zoomed = root, focused = root, wanted = "";
  const boxes = new Map();
  const canvas = h("div", {class: "flame", role: "tree", "aria-label": "Flame graph. Arrow keys go from frame to frame, Enter zooms, Escape goes back."});
  const detail = h("p", {class: "flame-detail", "aria-live": "polite"}, "\u00a0");
  const found = h("span", {class: "quiet", role: "status"});
  const back = h("button", {type: "button", class: "small", hidden: true, onclick: () => zoomTo(root)}, "Show all");
  const search = h("input", {type: "search", placeholder: "Find a function or file", "aria-label": "Find in the flame graph",
                             oninput: () => { wanted = search.value.trim().toLowerCase(); draw(); }});

  function matches(box) {
    const frame = box.frame;
    return Boolean(wanted && frame) && [frame.function, frame.file, frame.module].some((text) => text && text.toLowerCase().includes(wanted));
  }

  function describe(box) {
    const share = root.value ? " \u00b7 " + percent(box.value / root.value) + " of all" : "";
    detail.textContent = (box.frame ? named(box.frame) + "  " + (box.frame.function ? where(box.frame) : "") + "  " : "all  ") + options.words(box) + share;
  }

  function add(box, left, width, depth) {
    const selected = box === focused, classes = ["box", box.frame ? flameClass(box.frame) : "root"];
    if (wanted)
      classes.push(matches(box) ? "match" : "other");
    if (box.depth < zoomed.depth)
      classes.push("above");
    const element = h("div", {class: classes.join(" "), role: "treeitem", tabindex: selected ? 0 : -1, "aria-level": depth + 1,
      "aria-label": (box.frame ? named(box.frame) : "all") + ", " + options.words(box),
      title: (box.frame ? named(box.frame) + "\n" + (box.frame.file || box.frame.module || "") + (box.frame.line ? ":" + box.frame.line : "") + "\n" : "") + options.words(box),
      style: {left: left * 100 + "%", width: width * 100 + "%", top: depth * ROW + "px"},
      onclick: () => zoomTo(box), onmouseenter: () => describe(box), onfocus: () => { focused = box; describe(box); }},
      width > 0.012 ? (box.frame ? named(box.frame) : "all") : "");
    if (options.tint && box.frame)
      element.style.backgroundColor = options.tint(box);
    boxes.set(box, element);
    canvas.append(element);
  }

  function addBelow(box, left, width, depth, floor) {
    add(box, left, width, depth);
    floor.depth = Math.max(floor.depth, depth);
    let at = left;
    for (const child of [...box.children.values()].sort((a, b) => b.value - a.value)) {
      const wide = box.value > 0 ? width * child.value / box.value : 0;
      if (wide >= NARROWEST)
        addBelow(child, at, wide, depth + 1, floor);
      at += wide;
    }
  }

  function countMatches(box, inside) {
    const here = matches(box);
    let value = here && !inside ? box.value : 0;
    for (const child of box.children.values())
      value += countMatches(child, inside || here);
    return value;
  }

  function draw() {
    const floor = {depth: 0}, line = [];
    boxes.clear();
    canvas.replaceChildren();
    for (let box = zoomed.parent; box; box = box.parent)
      line.unshift(box);
    line.forEach((box, depth) => add(box, 0, 1, depth));
    addBelow(zoomed, 0, 1, line.length, floor);
    canvas.style.height = (Math.max(floor.depth, line.length) + 1) * ROW + "px";
    back.hidden = zoomed === root;
    found.textContent = wanted ? percent(root.value ? countMatches(root, false) / root.value : 0) + " matches" : "";
  }

  function zoomTo(box) {
    zoomed = focused = box;
    draw();
    describe(box);
    boxes.get(box).focus({preventScroll: true});
  }

  function go(box) {
    if (!box || !boxes.has(box))
      return;
    boxes.get(focused)?.setAttribute("tabindex", -1);
    focused = box;
    boxes.get(box).setAttribute("tabindex", 0);
    boxes.get(box).focus();
  }

  function sibling(step) {
    const all = focused.parent ? [...focused.parent.children.values()].sort((a, b) => b.value - a.value).filter((box) => boxes.has(box)) : [];
    return all[all.indexOf(focused) + step];
  }

  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowUp: () => go(focused.parent),
      ArrowDown: () => go([...focused.children.values()].sort((a, b) => b.value - a.value)[0]),
      ArrowLeft: () => go(sibling(-1)), ArrowRight: () => go(sibling(1)),
      Enter: () => zoomTo(focused), " ": () => zoomTo(focused),
      Escape: () => zoomTo(zoomed.parent || root), Backspace: () => zoomTo(zoomed.parent || root), Home: () => zoomTo(root),
    };
    if (keys[event.key]) {
      keys[event.key]();
      event.preventDefault();
    }
  });
  draw();
  describe(root);
  return h("div", {class: "flame-frame"}, h("div", {class: "tools"}, search, found, back), detail, h("div", {class: "flame-window"}, canvas), options.legend || null);
}

function flameLegend() {
  return h("p", {class: "legend quiet"}, ["own", "python", "native"].map((kind) => [h("span", {class: "key box " + kind}), {own: "your code ", python: "Python libraries ", native: "native libraries"}[kind]]));
}
