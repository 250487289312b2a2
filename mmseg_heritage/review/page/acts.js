"use strict";
// What was done: a list of acts, kept in the browser after each, and what follows from it.

const review = {};

review.acts = (() => {
  const PREFIX = "mmseg_heritage/review/";
  const REVIEWER = "mmseg_heritage/reviewer";
  let key = "";
  let done = [];
  let undone = [];
  let cache = new Map(); // photograph -> what follows from its acts
  let reviewer = "";
  let isSaved = true;
  const listeners = [];

  const read = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // browsers may forbid it to pages of a disk
    }
  };

  function load() {
    try {
      const kept = JSON.parse(read(key) ?? "[]");
      done = Array.isArray(kept) ? kept.map(review.checkedAct).filter(Boolean) : [];
    } catch {
      done = [];
    }
    cache = new Map();
  }

  function changed(photograph) {
    try {
      localStorage.setItem(key, JSON.stringify(done));
      isSaved = true;
    } catch {
      isSaved = false; // the storage is full or forbidden: the page says so
    }
    if (photograph === undefined) cache.clear();
    else cache.delete(photograph);
    for (const listener of listeners) listener(photograph);
  }

  function follows(photograph) {
    const found = { decisions: new Map(), strokes: [], comments: new Map(), finished: false, scale: null };
    for (const act of done) {
      if (act.photograph !== photograph) continue;
      if (act.kind === "comment") found.comments.set(act.region ? act.region.number : 0, act);
      else if (act.kind === "finish" || act.kind === "reopen") found.finished = act.kind === "finish";
      else if (act.kind === "scale") found.scale = act;
      else if (act.points) found.strokes.push(act);
      else if (act.region) found.decisions.set(act.region.number, act);
    }
    return found;
  }

  return {
    open(run) {
      key = PREFIX + run;
      reviewer = read(REVIEWER) ?? "";
      load();
      // Another tab of the same page has done something.
      window.addEventListener("storage", (event) => {
        if (event.key === REVIEWER) reviewer = event.newValue ?? "";
        if (event.key !== key) return;
        load();
        undone = [];
        for (const listener of listeners) listener(undefined);
      });
    },
    get all() { return done; },
    get reviewer() { return reviewer; },
    set reviewer(text) {
      reviewer = text;
      try {
        localStorage.setItem(REVIEWER, text);
      } catch { /* asked again next time */ }
    },
    get isSaved() { return isSaved; },
    get canUndo() { return done.length > 0; },
    get canRedo() { return undone.length > 0; },
    listen(listener) { listeners.push(listener); },
    of(photograph) {
      if (!cache.has(photograph)) cache.set(photograph, follows(photograph));
      return cache.get(photograph);
    },
    add(act) {
      done.push({ id: review.newId(), by: reviewer, at: review.now(), ...act });
      undone = [];
      changed(act.photograph);
    },
    undo() {
      const act = done.pop();
      if (act) undone.push(act);
      if (act) changed(act.photograph);
      return act;
    },
    redo() {
      const act = undone.pop();
      if (act) done.push(act);
      if (act) changed(act.photograph);
      return act;
    },
    replace(acts) {
      done = acts;
      undone = [];
      changed();
    },
  };
})();

review.newId = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
};

// The local time with its offset from UTC, as in 2026-11-28T10:02:11+01:00.
review.now = () => {
  const date = new Date();
  const offset = -date.getTimezoneOffset();
  const two = (number) => String(Math.floor(Math.abs(number))).padStart(2, "0");
  const local = new Date(date.getTime() + offset * 60000).toISOString().slice(0, 19);
  return `${local}${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(Math.abs(offset) % 60)}`;
};

review.KINDS = ["accept", "reject", "relabel", "paint", "erase", "comment", "finish", "reopen", "scale"];

// Millimeters of the units of a length.
review.UNITS = { mm: 1, cm: 10, m: 1000, in: 25.4 };

// Returns an act with nothing in it but what the page knows, or null where it is none.
review.checkedAct = (act) => {
  const isText = (value, most) => typeof value === "string" && value.length <= most;
  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
  if (!act || typeof act !== "object" || !review.KINDS.includes(act.kind)) return null;
  if (!isText(act.id, 40) || !isText(act.photograph, 1000)) return null;
  if (!isText(act.by, 12) || !act.by || !isText(act.at, 40)) return null;
  const { id, photograph, kind, by, at } = act;
  const checked = { id, photograph, kind, by, at };
  if (act.region !== undefined) {
    const { number, class: name, box, pixels } = act.region ?? {};
    if (!isNumber(number) || !isText(name, 1000) || !isNumber(pixels)) return null;
    if (!Array.isArray(box) || box.length !== 4 || !box.every(isNumber)) return null;
    checked.region = { number, class: name, box, pixels };
  }
  if (act.class !== undefined) {
    if (!isText(act.class, 1000)) return null;
    checked.class = act.class;
  }
  if (act.text !== undefined) {
    if (!isText(act.text, 2000)) return null;
    checked.text = act.text;
  }
  if (kind === "paint" || kind === "erase") {
    const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(isNumber);
    if (!Array.isArray(act.points) || !act.points.length || !act.points.every(isPoint)) return null;
    if (!isNumber(act.radius) || act.radius <= 0) return null;
    checked.radius = act.radius;
    checked.points = act.points;
  }
  if (kind === "scale") {
    const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(isNumber);
    if (!Array.isArray(act.points) || act.points.length !== 2 || !act.points.every(isPoint)) return null;
    if (!isNumber(act.length) || act.length <= 0 || !(act.unit in review.UNITS)) return null;
    const { points, length, unit } = act;
    Object.assign(checked, { points, length, unit });
  }
  const lacks = {
    accept: !checked.region, reject: !checked.region, relabel: !checked.region || !checked.class,
    paint: !checked.class, comment: checked.text === undefined,
  };
  return lacks[kind] ? null : checked;
};
