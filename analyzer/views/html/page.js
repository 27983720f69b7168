/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the data, and shows the view that the address names. */
"use strict";

(function () {
  const data = cleaned(JSON.parse(document.getElementById("data").textContent));
  const routes = data.schema === "stray-diff/1" ? diffRoutes(data, data.page) : reportRoutes(data, data.page);
  const main = document.getElementById("main"), root = document.documentElement;

  function route() {
    const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
    let argument = rest.join("/");
    try {
      argument = decodeURIComponent(argument);
    } catch (wrong) {
      argument = "";
    }
    return {name: Object.hasOwn(routes.views, name) ? name : "", argument};
  }

  function show(moved) {
    const {name, argument} = route();
    main.replaceChildren(...[routes.views[name](argument)].flat(Infinity).filter(Boolean));
    const tab = {finding: "findings", place: "places"}[name] || name;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.dataset.name === tab)
        link.setAttribute("aria-current", "page");
      else
        link.removeAttribute("aria-current");
    }
    if (moved) {
      scrollTo(0, 0);
      main.focus({preventScroll: true});
    }
  }

  /* ---- light and dark ---- */

  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;

  function theme() {
    return chosen || (dark.matches ? "dark" : "light");
  }

  function setTheme(name) {
    root.dataset.theme = name;
    button.setAttribute("aria-label", name === "dark" ? "Switch to light" : "Switch to dark");
    button.textContent = name === "dark" ? "Light" : "Dark";
  }

  const button = h("button", {type: "button", class: "small", id: "theme", onclick: () => {
    chosen = theme() === "dark" ? "light" : "dark";
    setTheme(chosen);
    show(false);
  }});

  document.getElementById("bar").append(
    h("a", {class: "brand", href: "#/"}, "stray ", h("span", {class: "quiet"}, routes.name)),
    h("nav", {"aria-label": "Views"}, routes.tabs.map(([name, label]) => h("a", {href: "#/" + name, "data-name": name}, label))), button);
  document.title = routes.title();
  setTheme(theme());
  dark.addEventListener("change", () => {
    setTheme(theme());
    show(false);
  });
  /* Paper is white, whatever the screen. */
  addEventListener("beforeprint", () => {
    setTheme("light");
    show(false);
    for (const part of document.querySelectorAll("details.statement, #main > section > details"))
      part.open = true;
  });
  addEventListener("afterprint", () => {
    setTheme(theme());
    show(false);
  });
  addEventListener("hashchange", () => show(true));
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea"))
      return;
    const search = main.querySelector("input[type=search]");
    if (search) {
      search.focus();
      event.preventDefault();
    }
  });
  show(false);
})();
