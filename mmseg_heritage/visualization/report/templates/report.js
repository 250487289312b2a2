"use strict";
(() => {
  const root = document.documentElement;
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const toggle = document.getElementById("theme");
  toggle.hidden = false;
  const show = () => {
    toggle.textContent = dark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colors`);
  };
  toggle.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();

  // A cell says in data-key what it is sorted by; empty ones come last in both directions.
  const compare = (a, b) =>
    a !== "" && b !== "" && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b, undefined, { numeric: true });
  const sort = (heading) => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    const row = heading.parentElement;
    const body = heading.closest("table").tBodies[0];
    const key = (line) => line.cells[heading.cellIndex].dataset.key;
    const rows = [...body.rows].sort((a, b) => {
      const [left, right] = [key(a), key(b)];
      if (left === "" || right === "") return (left === "") - (right === "");
      return up ? compare(left, right) : compare(right, left);
    });
    for (const other of row.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows);
  };
  const viewer = document.getElementById("viewer");
  const content = document.getElementById("viewer-content");
  const open = (node, label) => {
    content.replaceChildren(node);
    viewer.setAttribute("aria-label", label);
    viewer.showModal();
    viewer.scrollTop = 0;
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.parentElement.scope === "col") {
      sort(button.parentElement);
    } else if (button.dataset.view) {
      const view = document.getElementById(`view-${button.dataset.view}`);
      open(view.content.cloneNode(true), view.dataset.name);
    } else if ("enlarge" in button.dataset) {
      const picture = button.querySelector("img").cloneNode();
      picture.className = "enlarged";
      open(picture, picture.alt);
    }
  });
  document.getElementById("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
})();
