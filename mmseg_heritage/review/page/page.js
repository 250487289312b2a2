"use strict";
// Starts the page, and says what keys and buttons do.

(() => {
  const $ = (id) => document.getElementById(id);
  const CLASS_KEYS = "123456789abcdefghijklmnopqrstuvwxyz";

  review.refresh = () => {
    review.view.refresh();
    review.panels.refresh();
  };

  // Called by data/index.js.
  review.start = (data) => {
    review.data = data;
    review.classes = data.classes.map((found) => ({
      ...found, visible: true, opacity: 0.5, isRest: !found.damage && found.name === "Clean",
    }));
    review.acts.open(data.run);
    review.acts.listen(() => review.refresh());
    $("photographs").replaceChildren(...data.photographs.map((one) => new Option(one.name)));
    review.view.drawMore(review.drawing.draw);
    show(0);
  };

  async function show(place) {
    const photographs = review.data.photographs;
    review.drawing.cancel();
    review.photograph = photographs[Math.min(Math.max(place, 0), photographs.length - 1)];
    const shown = review.photograph;
    $("photographs").selectedIndex = photographs.indexOf(shown);
    $("previous-photograph").disabled = shown === photographs[0];
    $("next-photograph").disabled = shown === photographs.at(-1);
    review.view.open(shown);
    try {
      await review.regions.load(shown);
    } catch (error) {
      review.panels.toast(error.message);
    }
    if (review.photograph !== shown) return;
    const own = shown.classes.map((i) => review.classes[i]);
    if (!own.some((found) => found.name === review.drawing.className)) {
      const first = review.regions.all[0]?.class ?? own.find((found) => found.damage) ?? own[0];
      review.drawing.setClass(first.name);
    }
    review.panels.refresh();
    review.panels.choose(null);
    document.body.dataset.ready = shown.name;
  }

  const turn = (by) => show(review.data.photographs.indexOf(review.photograph) + by);

  // Adds an act; the first time the reviewer is asked who it is.
  review.act = async (act) => {
    if (!review.acts.reviewer && !(await askInitials())) {
      review.view.redraw();
      return false;
    }
    review.acts.add(act);
    return true;
  };

  async function decide(kind, name) {
    const region = review.panels.chosen;
    if (!region) {
      review.panels.toast("Choose a region first.");
      return;
    }
    const next = review.panels.following(region);
    const act = { photograph: review.photograph.name, kind, region: region.reference };
    if (name) act.class = name;
    if (!(await review.act(act))) return;
    review.panels.choose(next ?? region, Boolean(next));
  }

  function step(act) {
    if (!act) return;
    const place = review.data.photographs.findIndex((one) => one.name === act.photograph);
    if (place >= 0 && review.data.photographs[place] !== review.photograph) show(place);
    else if (act.region) review.panels.choose(review.regions.find(act.region.number));
  }

  const undo = () => step(review.acts.undo());
  const redo = () => step(review.acts.redo());

  function finish() {
    const { finished } = review.acts.of(review.photograph.name);
    review.act({ photograph: review.photograph.name, kind: finished ? "reopen" : "finish" });
  }

  // --- dialogs: each answers with what its button says

  function ask(dialog) {
    return new Promise((resolve) => {
      dialog.returnValue = "";
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "done"), { once: true });
      dialog.showModal();
    });
  }

  async function askInitials() {
    $("initials-text").value = review.acts.reviewer;
    const isDone = await ask($("ask-initials"));
    const text = $("initials-text").value.trim();
    if (isDone && text) {
      review.acts.reviewer = text;
      review.panels.refresh();
    }
    return isDone && text !== "";
  }

  review.confirm = (question) => {
    $("confirm-text").textContent = question;
    return ask($("confirm"));
  };

  const LEAST_SCALE = 10; // pixels between two points
  const SIZES = [2, 20000]; // millimeters of the long edge of a photograph, as predict believes them

  // Called with the two ends of a length: asks how long it is.
  review.giveScale = async (points) => {
    const shown = review.photograph;
    const pixels = Math.hypot(points[1][0] - points[0][0], points[1][1] - points[0][1]);
    if (pixels < LEAST_SCALE) {
      review.panels.toast(`The two points are ${review.short(pixels)} px apart; choose two that are at least ${LEAST_SCALE} px apart.`);
      return;
    }
    $("scale-pixels").textContent = `The two points are ${review.short(pixels)} px apart.`;
    $("scale-length").value = "";
    if (!(await ask($("ask-scale")))) return;
    const length = Number($("scale-length").value.trim().replace(",", "."));
    const unit = $("scale-unit").value;
    if (!(length > 0 && length < 1e9)) {
      review.panels.toast("Not a length: expected a number above 0.");
      return;
    }
    const [across, down] = review.scaleOfPoints(shown, points, length, unit);
    const edge = Math.max(shown.width * across, shown.height * down);
    if (edge < SIZES[0] || edge > SIZES[1]) {
      const text = edge >= 1000 ? `${review.short(edge / 1000)} m` : `${review.short(edge)} mm`;
      review.panels.toast(`That would make the photograph ${text} long, which is not believed. Nothing was changed.`);
      return;
    }
    await review.act({ photograph: shown.name, kind: "scale", points, length, unit });
  };

  async function comment() {
    const region = review.panels.chosen;
    const { comments } = review.acts.of(review.photograph.name);
    $("comment-title").textContent = region ? `Comment on ${region.class.name} ${region.number}` : `Comment on ${review.photograph.name}`;
    $("comment-text").value = comments.get(region ? region.number : 0)?.text ?? "";
    if (!(await ask($("write-comment")))) return;
    const act = { photograph: review.photograph.name, kind: "comment", text: $("comment-text").value.trim() };
    if (region) act.region = region.reference;
    review.act(act);
  }

  function chooseClass() {
    const isBrush = review.drawing.tool === "brush";
    if (!isBrush && !review.panels.chosen) {
      review.panels.toast("Choose a region first.");
      return;
    }
    const take = (found) => {
      $("choose-class").close();
      if (isBrush) review.drawing.setClass(found.name);
      else decide("relabel", found.name);
    };
    $("choose-title").textContent = isBrush ? "Paint with" : `${review.panels.chosen.class.name} ${review.panels.chosen.number} is`;
    const own = review.classes.filter((found, i) => review.photograph.classes.includes(i) || found.name === "Background");
    $("class-keys").replaceChildren(...own.map((found, i) => {
      const button = review.panels.element("button", "class");
      button.dataset.key = CLASS_KEYS[i] ?? "";
      const name = found.name === "Background" ? "Outside the object" : found.name;
      button.append(review.panels.element("kbd", "", CLASS_KEYS[i] ?? ""), review.panels.swatch(found.color), review.panels.element("span", "", name));
      button.addEventListener("click", () => take(found));
      return button;
    }));
    $("choose-class").showModal();
  }

  $("choose-class").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const buttons = [...$("class-keys").children];
    const button = buttons.find((one) => one.dataset.key === event.key.toLowerCase());
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!button && !by) return;
    event.preventDefault();
    event.stopPropagation();
    if (button) button.click();
    else buttons[(buttons.indexOf(document.activeElement) + by + buttons.length) % buttons.length].focus();
  });
  $("write-comment").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.ctrlKey) $("write-comment").close("done");
  });

  // Enter begins; the button before it would cancel.
  for (const [field, button] of [["initials-text", "initials-done"], ["scale-length", "scale-done"]]) {
    $(field).addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      $(button).click();
    });
  }

  // --- keys: what is pressed, what it does, and how the help says it

  const { view, drawing, panels } = review;
  const look = () => (panels.chosen ? view.show(panels.chosen) : view.fit());
  const KEYS = [
    [["j", "n", "ArrowDown"], "J, N or \u2193", "next region", () => panels.step(1)],
    [["k", "p", "ArrowUp"], "K, P or \u2191", "previous region", () => panels.step(-1)],
    [["a"], "A", "accept the region, and go to the next", () => decide("accept")],
    [["r", "x"], "R or X", "reject it: there is no damage", () => decide("reject")],
    [["l"], "L, then 1\u20139 or a letter", "relabel it; with the brush, its class", chooseClass],
    [["c"], "C", "comment on the region, or on the photograph if none is chosen", comment],
    [["u"], "U or Ctrl+Z", "undo", undo],
    [["U"], "Shift+U or Ctrl+Y", "redo", redo],
    [["+", "="], "+", "zoom in", () => view.zoom(1.5)],
    [["-", "_"], "\u2212", "zoom out", () => view.zoom(1 / 1.5)],
    [["0"], "0", "the whole photograph", () => view.fit()],
    [["f", "Enter"], "F or Enter", "to the chosen region", look],
    [["ArrowLeft"], "\u2190, Shift+\u2190 \u2192 \u2191 \u2193", "move the photograph", () => view.pan(-80, 0)],
    [["ArrowRight"], "", "", () => view.pan(80, 0)],
    [["h", "v"], "H or V", "move and choose with the pointer", () => drawing.setTool("hand")],
    [["b"], "B", "brush", () => drawing.setTool("brush")],
    [["e"], "E", "eraser", () => drawing.setTool("eraser")],
    [["s"], "S, then two points", "scale: the ends of a length that is known, such as a scale bar", () => drawing.setTool("scale")],
    [["["], "[", "smaller brush", () => drawing.setRadius(drawing.radius * 0.8 - 1)],
    [["]"], "]", "larger brush", () => drawing.setRadius(drawing.radius * 1.25 + 1)],
    [[], "arrows, Space", "with brush, eraser or scale: move the cross, put it down or lift it", null],
    [["o"], "O", "show or hide all regions", () => view.toggle()],
    [["g"], "G", "mark the photograph as reviewed, or not", finish],
    [["PageDown", "."], "Page Down or .", "next photograph", () => turn(1)],
    [["PageUp", ","], "Page Up or ,", "previous photograph", () => turn(-1)],
    [["i"], "I", "reviewer", askInitials],
    [[], "Ctrl+S", "export review.json", null],
    [["?"], "?", "this help", () => $("help").showModal()],
  ];
  const actions = new Map(KEYS.flatMap(([keys, , , action]) => keys.map((key) => [key, action])));
  const PANS = { ArrowLeft: [-80, 0], ArrowRight: [80, 0], ArrowUp: [0, -80], ArrowDown: [0, 80] };

  function controlKey(event) {
    const key = event.key.toLowerCase();
    if (key === "z" && event.shiftKey) return redo;
    return { z: undo, y: redo, s: review.files.save }[key];
  }

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey || !review.photograph) return;
    const { target } = event;
    const isField = target.matches("select, textarea, input");
    const isButton = target.matches("button, select, input") && (event.key === " " || event.key === "Enter");
    if (event.ctrlKey || event.metaKey) {
      const action = controlKey(event);
      if (action) {
        event.preventDefault();
        action();
      }
      return;
    }
    if (isButton || (isField && (event.key.startsWith("Arrow") || event.key.startsWith("Page")))) return;
    if (event.key === "Escape") {
      if (drawing.isBusy) drawing.cancel();
      else if (drawing.tool !== "hand") drawing.setTool("hand");
      else panels.choose(null);
      return;
    }
    if (drawing.key(event)) event.preventDefault();
    else if (event.shiftKey && event.key in PANS) {
      event.preventDefault();
      view.pan(...PANS[event.key]);
    } else {
      // With caps lock too; but Shift+U is another key than U.
      const key = actions.has(event.key) || event.shiftKey ? event.key : event.key.toLowerCase();
      const action = actions.get(key);
      if (!action) return;
      event.preventDefault();
      action();
    }
  });

  $("keys").replaceChildren(...KEYS.filter(([, text]) => text).map(([, text, meaning]) => {
    const row = panels.element("tr");
    row.append(panels.element("th", "", text), panels.element("td", "", meaning));
    row.firstChild.scope = "row";
    return row;
  }));

  // --- buttons

  const clicks = {
    "previous-photograph": () => turn(-1),
    "next-photograph": () => turn(1),
    "accept": () => decide("accept"),
    "reject": () => decide("reject"),
    "relabel": () => {
      drawing.setTool("hand");
      chooseClass();
    },
    "brush-class": chooseClass,
    "zoom-in": () => view.zoom(1.5),
    "zoom-out": () => view.zoom(1 / 1.5),
    "fit": () => view.fit(),
    "toggle": () => view.toggle(),
    "import": () => $("file").click(),
    "export": review.files.save,
    "show-help": () => $("help").showModal(),
    "reviewer": askInitials,
    "all-classes": () => {
      for (const found of review.classes) found.visible = true;
      review.refresh();
    },
    comment, finish, undo, redo,
  };
  for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", () => action());
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.addEventListener("click", () => drawing.setTool(button.dataset.tool));
  }
  for (const button of document.querySelectorAll("[data-filter]")) {
    button.addEventListener("click", () => {
      panels.filter = button.dataset.filter;
      panels.refresh();
    });
  }
  $("photographs").addEventListener("change", (event) => show(event.target.selectedIndex));
  $("radius").addEventListener("input", (event) => drawing.setRadius(event.target.value));
  $("file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) await review.files.open(file);
    event.target.value = "";
  });
  window.addEventListener("beforeunload", (event) => {
    if (!review.acts.isSaved && review.acts.all.length) event.preventDefault();
  });
})();
