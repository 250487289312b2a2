"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const frame = byId("frame"), stage = byId("stage"), slider = byId("slider"), speed = byId("speed");
  const rows = [...document.querySelectorAll("#changes tbody tr")];
  const marks = [...document.querySelectorAll(".mark")];
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const [across, down] = frame.style.aspectRatio.split("/").map(Number), ratio = across / down;
  let mode = "swipe", isAfter = false, timer = 0, zoom = 1, chosen = "";

  function draw() {
    const share = mode === "swipe" ? Number(slider.value) : isAfter ? 0 : 100;
    // AFTER lies on top, to the right of the border.
    byId("top").style.clipPath = `inset(0 0 0 ${share}%)`;
    byId("handle").style.left = `${share}%`;
    frame.classList.toggle("alone", mode !== "swipe");
    byId("shown").textContent =
      mode === "swipe" ? "Before | After" : isAfter ? "After" : "Before";
    for (const id of ["swipe", "blink", "before", "after"])
      byId(id).setAttribute("aria-pressed", String(id === mode));
    byId("slider-label").hidden = mode !== "swipe";
    byId("speed-label").hidden = mode !== "blink";
  }

  function setMode(name) {
    mode = name;
    clearInterval(timer);
    if (name === "before" || name === "after") isAfter = name === "after";
    // Who wants no motion blinks by hand, with the space bar.
    if (name === "blink" && !calm) timer = setInterval(other, 1000 * Number(speed.value));
    draw();
  }

  function other() {
    isAfter = !isAfter;
    if (mode === "swipe") slider.value = isAfter ? 0 : 100;
    if (mode === "before" || mode === "after") mode = isAfter ? "after" : "before";
    draw();
  }

  function toggle(id, name) {
    const isHidden = frame.classList.toggle(name);
    byId(id).setAttribute("aria-pressed", String(!isHidden));
  }

  function setZoom(value, x = 0.5, y = 0.5) {
    zoom = Math.min(Math.max(value, 1), 16);
    // At 1 the whole photograph fits into the stage, also a tall one.
    const whole = Math.min(1, (tallest() * ratio) / stage.clientWidth);
    frame.style.width = `${100 * zoom * whole}%`;
    frame.classList.toggle("close", frame.clientWidth > 2 * Number(frame.dataset.width));
    stage.scrollLeft = x * frame.clientWidth - stage.clientWidth / 2;
    stage.scrollTop = y * frame.clientHeight - stage.clientHeight / 2;
  }

  const tallest = () => 0.78 * innerHeight;

  function middle() {
    return [(stage.scrollLeft + stage.clientWidth / 2) / frame.clientWidth,
            (stage.scrollTop + stage.clientHeight / 2) / frame.clientHeight];
  }

  function choose(number) {
    chosen = number;
    for (const one of [...rows, ...marks])
      one.classList.toggle("chosen", one.dataset.number === number);
    const mark = marks.find((one) => one.dataset.number === number);
    const row = rows.find((one) => one.dataset.number === number);
    if (row) {
      const table = row.closest(".scroll");
      table.scrollTop = row.offsetTop - table.clientHeight / 2;
    }
    if (!mark) return;
    const [left, top, width, height] =
      ["left", "top", "width", "height"].map((key) => parseFloat(mark.style[key]) / 100);
    setZoom(Math.min(0.4 / Math.max(width, height), 6), left + width / 2, top + height / 2);
  }

  function step(by) {
    const open = rows.filter((row) => !row.hidden && row.querySelector(".show"));
    if (!open.length) return;
    const place = open.findIndex((row) => row.dataset.number === chosen);
    const next = place < 0 ? (by > 0 ? 0 : open.length - 1) : place + by;
    choose(open[Math.min(Math.max(next, 0), open.length - 1)].dataset.number);
  }

  function filter() {
    const shown = new Set([...document.querySelectorAll("[data-filter]:checked")]
      .map((box) => box.dataset.filter));
    for (const one of [...rows, ...marks]) one.hidden = !shown.has(one.dataset.kind);
  }

  function moveBorder(event) {
    const box = frame.getBoundingClientRect();
    slider.value = Math.min(Math.max((100 * (event.clientX - box.left)) / box.width, 0), 100);
    draw();
  }

  for (const id of ["swipe", "blink", "before", "after"])
    byId(id).addEventListener("click", () => setMode(id));
  byId("damage").addEventListener("click", () => toggle("damage", "no-damage"));
  byId("boxes").addEventListener("click", () => toggle("boxes", "no-marks"));
  byId("larger").addEventListener("click", () => setZoom(zoom * 1.5, ...middle()));
  byId("smaller").addEventListener("click", () => setZoom(zoom / 1.5, ...middle()));
  byId("fit").addEventListener("click", () => setZoom(1));
  slider.addEventListener("input", draw);
  speed.addEventListener("input", () => setMode("blink"));
  frame.addEventListener("pointerdown", (event) => {
    if (mode !== "swipe" || event.button || event.target.closest(".mark")) return;
    frame.setPointerCapture(event.pointerId);
    moveBorder(event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (mode === "swipe" && frame.hasPointerCapture(event.pointerId)) moveBorder(event);
  });
  for (const box of document.querySelectorAll("[data-filter]")) box.addEventListener("change", filter);
  for (const button of document.querySelectorAll(".show, .mark"))
    button.addEventListener("click", () => choose(button.dataset.number));
  const actions = {
    s: () => setMode("swipe"), b: () => setMode("blink"), 1: () => setMode("before"),
    2: () => setMode("after"), d: () => byId("damage").click(), c: () => byId("boxes").click(),
    "+": () => byId("larger").click(), "=": () => byId("larger").click(),
    "-": () => byId("smaller").click(), 0: () => setZoom(1), j: () => step(1), k: () => step(-1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const isControl = event.target.closest("button, input, a, .scroll");
    if (event.key === " " && !isControl) {
      event.preventDefault();
      other();
    } else if (event.target === stage && mode === "swipe" && event.key.startsWith("Arrow")) {
      const by = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
      if (!by) return;
      event.preventDefault();
      slider.value = Number(slider.value) + by;
      draw();
    } else if (Object.hasOwn(actions, event.key.toLowerCase())) {
      if (event.target.type === "range" && /[0-9+=-]/.test(event.key)) return;
      actions[event.key.toLowerCase()]();
    }
  });
  addEventListener("resize", () => setZoom(zoom, ...middle()));
  filter();
  setZoom(1);
  draw();
})();
