"use strict";
// What is beside the photograph: the chosen region, the list, the classes, tools and states.

review.panels = (() => {
  const ROW = 44; // height of a row of the list in pixels
  const $ = (id) => document.getElementById(id);
  const SIGNS = { accept: "\u2713", reject: "\u2715", relabel: "\u21c4" };
  const WORDS = { accept: "Accepted", reject: "Rejected", relabel: "Relabeled" };
  let filter = "open";
  let listed = [];
  let chosen = null;

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text; // never as markup
    return made;
  };
  const swatch = (color) => {
    const made = element("i", "swatch");
    made.style.background = color;
    return made;
  };
  const percent = (share) => (share === null ? "\u2013" : `${Math.round(100 * share)} %`);

  // --- the list

  function rowOf(region, place) {
    const row = element("div", "row");
    const act = region.decision;
    row.id = `row-${region.number}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(region === chosen));
    row.setAttribute("aria-setsize", String(listed.length));
    row.setAttribute("aria-posinset", String(place + 1));
    row.dataset.number = region.number;
    row.style.top = `${place * ROW}px`;
    const text = element("span", "what");
    text.append(element("b", "", `${region.class.name} `), element("small", "", `${region.number}`));
    const sub = act?.kind === "relabel" ? `now ${act.class}` : review.areaText(region.pixels);
    text.append(element("span", "sub", `${sub} \u00b7 sure ${percent(region.confidence)}`));
    const sign = element("span", `sign ${act?.kind ?? ""}`, act ? SIGNS[act.kind] : "");
    const wrong = element("span", "wrong", region.wrongText);
    wrong.title = "Area that is likely wrong";
    row.append(swatch((region.shown ?? region.class).color), text, wrong, sign);
    return row;
  }

  function drawRows() {
    const box = $("list");
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 3);
    const last = Math.min(listed.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 3);
    const rows = listed.slice(first, last).map((region, i) => rowOf(region, first + i));
    if (!listed.length) rows.push(element("p", "empty", emptyText()));
    $("rows").replaceChildren(...rows);
    $("rows").style.height = `${listed.length * ROW}px`;
    const isSeen = chosen && rows.some((row) => row.id === `row-${chosen.number}`);
    if (isSeen) box.setAttribute("aria-activedescendant", `row-${chosen.number}`);
    else box.removeAttribute("aria-activedescendant");
  }

  function emptyText() {
    if (!review.regions.all.length) return "No damage was predicted on this photograph.";
    return { open: "Nothing left to do here.", decided: "Nothing decided yet.", all: "All classes are hidden." }[filter];
  }

  function list() {
    listed = review.regions.listed(filter);
    for (const button of document.querySelectorAll("[data-filter]")) {
      button.setAttribute("aria-pressed", String(button.dataset.filter === filter));
    }
    drawRows();
  }

  function scrollTo(region) {
    const place = listed.indexOf(region);
    const box = $("list");
    if (place < 0) return;
    if (place * ROW < box.scrollTop) box.scrollTop = place * ROW;
    const below = (place + 1) * ROW - box.clientHeight;
    if (below > box.scrollTop) box.scrollTop = below;
  }

  // --- the chosen region

  function detail() {
    const name = $("detail-name");
    const mark = document.querySelector("#detail .swatch");
    const act = chosen?.decision;
    name.textContent = chosen ? `${chosen.class.name} ${chosen.number}` : "No region chosen";
    mark.style.background = chosen ? chosen.class.color : "transparent";
    const place = listed.indexOf(chosen);
    $("detail-place").textContent = place < 0 ? "" : `${place + 1} of ${listed.length}`;
    const facts = !chosen ? [] : [
      ["Area", review.areaText(chosen.pixels)],
      ...(chosen.length === null ? [] : [["Length", review.lengthText(chosen.length)]]),
      ["Confidence", percent(chosen.confidence)],
      ["Likely wrong", chosen.wrongText],
    ];
    $("facts").replaceChildren(...facts.map(([term, value]) => {
      const row = element("div");
      row.append(element("dt", "", term), element("dd", "", value));
      return row;
    }));
    const comments = review.acts.of(review.photograph.name).comments;
    const comment = comments.get(chosen ? chosen.number : 0)?.text;
    const verdict = act
      ? `${WORDS[act.kind]}${act.kind === "relabel" ? ` as ${act.class}` : ""} by ${act.by}, ${act.at.slice(0, 16).replace("T", " ")}`
      : chosen ? "Not decided yet" : "Choose one in the list or on the photograph.";
    $("verdict").textContent = comment ? `${verdict}. \u201c${comment}\u201d` : verdict;
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.disabled = !chosen;
      button.setAttribute("aria-pressed", String(act?.kind === button.dataset.verdict));
    }
  }

  function choose(region, move = true) {
    chosen = region ?? null;
    review.view.select(chosen);
    if (chosen && move) review.view.show(chosen);
    scrollTo(chosen);
    drawRows();
    detail();
  }

  // The next region that is not decided, after one of the list.
  function following(region) {
    const place = listed.indexOf(region);
    const rest = [...listed.slice(place + 1), ...listed.slice(0, Math.max(place, 0))];
    return rest.find((other) => !other.decision) ?? null;
  }

  function step(by) {
    if (!listed.length) return;
    const place = listed.indexOf(chosen);
    const next = place < 0 ? (by > 0 ? 0 : listed.length - 1) : place + by;
    choose(listed[Math.min(Math.max(next, 0), listed.length - 1)]);
  }

  // --- classes

  function classRows() {
    const counts = new Map();
    for (const region of review.regions.all) {
      const shown = region.shown ?? region.class;
      counts.set(shown, (counts.get(shown) ?? 0) + 1);
    }
    for (const act of review.acts.of(review.photograph.name).strokes) {
      const found = act.class && review.classOf(act.class);
      if (found && !counts.has(found)) counts.set(found, 0);
    }
    const rows = [...counts].sort((a, b) => b[1] - a[1]).filter(([found]) => found.damage);
    $("class-rows").replaceChildren(...rows.map(([found, count]) => classRow(found, count)));
    $("all-classes").disabled = rows.every(([found]) => found.visible);
  }

  function classRow(found, count) {
    const row = element("li");
    const label = element("label");
    const box = element("input");
    box.type = "checkbox";
    box.checked = found.visible;
    box.addEventListener("change", () => {
      found.visible = box.checked;
      review.refresh();
    });
    label.append(box, swatch(found.color), element("span", "name", found.name), element("small", "", `${count}`));
    const only = element("button", "only", "Only");
    only.setAttribute("aria-label", `Show only ${found.name}`);
    only.addEventListener("click", () => {
      for (const other of review.classes) other.visible = other === found;
      review.refresh();
    });
    const slider = element("input");
    slider.type = "range";
    slider.min = 0;
    slider.max = 100;
    slider.value = 100 * found.opacity;
    slider.setAttribute("aria-label", `Opacity of ${found.name}`);
    slider.addEventListener("input", () => {
      found.opacity = slider.value / 100;
      review.view.redraw();
    });
    row.append(label, only, slider);
    return row;
  }

  // --- states

  function progress() {
    const { decisions, finished } = review.acts.of(review.photograph.name);
    const all = review.regions.all.length;
    const done = review.regions.all.filter((region) => decisions.has(region.number)).length;
    const meter = $("meter");
    meter.setAttribute("aria-valuemax", String(all));
    meter.setAttribute("aria-valuenow", String(done));
    meter.firstElementChild.style.width = `${all ? (100 * done) / all : 100}%`;
    const more = review.photograph.regions - all;
    $("progress").textContent = `${done.toLocaleString("en")} of ${all.toLocaleString("en")} decided` +
      (more > 0 ? `; ${more.toLocaleString("en")} small ones are not shown` : "");
    $("finish").setAttribute("aria-pressed", String(finished));
    $("finish").textContent = finished ? "Reviewed" : "Mark as reviewed";
    $("undo").disabled = !review.acts.canUndo;
    $("redo").disabled = !review.acts.canRedo;
    $("initials").textContent = review.acts.reviewer || "?";
    const count = review.acts.all.length;
    $("saved").textContent = !review.acts.isSaved
      ? "This browser keeps nothing: export before you close the page"
      : count ? `${count.toLocaleString("en")} act${count === 1 ? "" : "s"} kept in this browser` : "";
    $("saved").classList.toggle("bad", !review.acts.isSaved);
    for (const option of $("photographs").options) {
      const name = review.data.photographs[option.index].name;
      option.textContent = `${review.acts.of(name).finished ? "\u2713 " : ""}${name}`;
    }
  }

  function tools() {
    const { tool, className, radius } = review.drawing;
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    }
    $("brush-options").hidden = tool !== "brush" && tool !== "eraser";
    $("brush-class").hidden = tool !== "brush";
    $("brush-class").lastElementChild.textContent = className;
    $("brush-class").firstElementChild.style.background = review.classOf(className)?.color ?? "transparent";
    $("radius").value = radius;
    $("radius-text").textContent = `${radius} px`;
  }

  // Scale bar and zoom.
  function status(zoom) {
    const mm = review.scaleOf(review.photograph)?.[0];
    const unit = mm ? zoom / mm : zoom; // pixels of the page for a millimeter or a pixel
    const most = 140 / unit;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((n) => n * power).find((n) => n <= most) ?? power;
    const bar = $("scale-bar");
    bar.firstElementChild.style.width = `${length * unit}px`;
    bar.lastElementChild.textContent = `${review.short(length)} ${mm ? "mm" : "px"}`;
    $("place").textContent = `${Math.round(100 * zoom)} %`;
    $("toggle").setAttribute("aria-pressed", String(review.view.isOverlaid));
  }

  let hiding = 0;
  function toast(text) {
    const place = $("toast");
    place.textContent = text;
    place.hidden = false;
    clearTimeout(hiding);
    hiding = setTimeout(() => { place.hidden = true; }, 6000);
  }

  $("list").addEventListener("scroll", drawRows);
  new ResizeObserver(drawRows).observe($("list"));
  $("list").addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) choose(review.regions.find(Number(row.dataset.number)));
  });

  return {
    choose, following, step, status, tools, toast, element, swatch,
    get chosen() { return chosen; },
    set filter(wanted) { filter = wanted; },
    refresh() {
      list();
      detail();
      classRows();
      progress();
    },
  };
})();
