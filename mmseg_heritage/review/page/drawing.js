"use strict";
// Brush and eraser: by mouse, pen and touch, and by keys with a cross in place of the pointer.

review.drawing = (() => {
  const canvas = document.getElementById("overlay");
  let tool = "hand";
  let radius = 8; // in pixels of the photograph
  let name = ""; // class of the brush
  let points = null; // of the stroke that is drawn now
  let first = null; // of the two points of a scale
  let cursor = null; // where the circle is shown, in pixels of the photograph
  let isKeyed = false; // the cross of the keys is shown
  const pointers = new Map(); // those that are down, in pixels of the page

  const isDrawing = () => tool !== "hand";

  // The length by which a reviewer gave the scale, or the one that is drawn now.
  function drawScale(context, zoom) {
    const given = review.acts.of(review.photograph.name).scale?.points;
    const ends = first ? [first, cursor ?? first] : tool === "scale" && given;
    if (!ends) return;
    for (const [color, width] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = color;
      context.lineWidth = width / zoom;
      context.beginPath();
      context.moveTo(...ends[0]);
      context.lineTo(...ends[1]);
      context.stroke();
    }
  }

  function draw(context, zoom, drawStroke) {
    if (!isDrawing()) return;
    drawScale(context, zoom);
    if (points) drawStroke({ points, radius, class: tool === "brush" ? name : undefined });
    if (!cursor) return;
    context.lineWidth = 1.5 / zoom;
    for (const [color, more] of [["#000", 1 / zoom], ["#fff", 0]]) {
      context.strokeStyle = color;
      context.beginPath();
      if (tool !== "scale") context.arc(cursor[0], cursor[1], radius + more, 0, 2 * Math.PI);
      if (isKeyed || tool === "scale") {
        const arm = 7 / zoom;
        context.moveTo(cursor[0] - arm, cursor[1] + more);
        context.lineTo(cursor[0] + arm, cursor[1] + more);
        context.moveTo(cursor[0] + more, cursor[1] - arm);
        context.lineTo(cursor[0] + more, cursor[1] + arm);
      }
      context.stroke();
    }
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const { x, y } = review.view.toPhotograph(event.clientX - box.left, event.clientY - box.top);
    return [Math.round(10 * x) / 10, Math.round(10 * y) / 10];
  };

  const inReach = ([x, y]) => {
    const { width, height } = review.photograph;
    return x >= -radius && y >= -radius && x <= width + radius && y <= height + radius;
  };

  function addPoint(point) {
    const [x, y] = points.at(-1) ?? [Infinity, Infinity];
    if (!inReach(point)) return;
    if (Math.hypot(point[0] - x, point[1] - y) >= Math.max(radius / 4, 0.7)) points.push(point);
  }

  // The first or the second point of a scale.
  function mark([x, y]) {
    const { width, height } = review.photograph;
    const point = [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
    if (!first) {
      first = point;
      return;
    }
    const ends = [first, point];
    first = null;
    pointers.clear(); // a dialog takes what follows
    review.giveScale(ends);
  }

  function begin(point) {
    if (tool === "scale") {
      mark(point);
      return;
    }
    points = [];
    addPoint(point);
  }

  function end() {
    const drawn = points;
    points = null;
    if (drawn?.length) {
      const kind = tool === "brush" ? "paint" : "erase";
      const act = { photograph: review.photograph.name, kind, radius, points: drawn };
      if (kind === "paint") act.class = name;
      review.act(act);
    }
    review.view.redraw();
  }

  function cancel() {
    points = first = null;
    review.view.redraw();
  }

  // Two fingers, or the right or middle button, move the photograph.
  function moveBoth(before, after) {
    const middle = (all) => [0, 1].map((axis) => all.reduce((sum, p) => sum + p[axis], 0) / all.length);
    const [from, to] = [middle(before), middle(after)];
    review.view.pan(from[0] - to[0], from[1] - to[1]);
    if (before.length < 2) return;
    const spread = (all) => Math.hypot(all[0][0] - all[1][0], all[0][1] - all[1][1]);
    const factor = spread(after) / Math.max(spread(before), 1);
    const box = canvas.getBoundingClientRect();
    const center = new OpenSeadragon.Point(to[0] - box.left, to[1] - box.top);
    const { viewport } = review.view.viewer;
    viewport.zoomBy(factor, viewport.pointFromPixel(center, true), true);
  }

  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    canvas.setPointerCapture?.(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    isKeyed = false;
    cursor = place(event);
    if (pointers.size > 1) cancel();
    else if (event.button === 0) begin(cursor);
    review.view.redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    isKeyed = false;
    cursor = place(event);
    if (points && pointers.size === 1) {
      const parts = event.getCoalescedEvents?.() ?? [];
      for (const part of parts.length ? parts : [event]) addPoint(place(part));
    } else if (pointers.has(event.pointerId)) {
      const before = [...pointers.values()];
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      moveBoth(before, [...pointers.values()]);
    }
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, [event.clientX, event.clientY]);
    review.view.redraw();
  });
  for (const type of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(type, (event) => {
      pointers.delete(event.pointerId);
      if (type === "pointercancel") cancel();
      else if (points) end();
    });
  }
  canvas.addEventListener("pointerleave", () => {
    if (!isKeyed) cursor = null;
    review.view.redraw();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    const at = new OpenSeadragon.Point(event.clientX - box.left, event.clientY - box.top);
    const { viewport } = review.view.viewer;
    viewport.zoomBy(event.deltaY < 0 ? 1.25 : 0.8, viewport.pointFromPixel(at, true));
    viewport.applyConstraints();
  }, { passive: false });

  // The middle of what is seen, where the cross begins.
  function startCross() {
    const { clientWidth, clientHeight } = canvas;
    const { x, y } = review.view.toPhotograph(clientWidth / 2, clientHeight / 2);
    cursor = [x, y].map((value) => Math.round(10 * value) / 10);
    isKeyed = true;
  }

  return {
    get tool() { return tool; },
    get className() { return name; },
    get radius() { return radius; },
    draw,
    setTool(wanted) {
      cancel();
      tool = wanted;
      canvas.classList.toggle("drawing", isDrawing());
      cursor = null;
      review.panels.tools();
    },
    setClass(wanted) {
      name = wanted;
      review.panels.tools();
    },
    setRadius(wanted) {
      radius = Math.min(200, Math.max(1, Math.round(wanted)));
      review.panels.tools();
      review.view.redraw();
    },
    // Keys of the brush; returns whether one was meant.
    key(event) {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (!isDrawing()) return false;
      if (event.key === " ") {
        if (!isKeyed || !cursor) startCross();
        if (points) end();
        else begin(cursor);
        review.view.redraw();
        return true;
      }
      if (!(event.key in steps) || event.ctrlKey || event.altKey) return false;
      if (!isKeyed || !cursor) startCross();
      const length = (tool === "scale" ? 1 : Math.max(radius / 2, 1)) * (event.shiftKey ? 6 : 1);
      const [x, y] = steps[event.key];
      const next = [cursor[0] + x * length, cursor[1] + y * length];
      if (inReach(next)) cursor = next.map((value) => Math.round(10 * value) / 10);
      if (points) addPoint(cursor);
      review.view.redraw();
      return true;
    },
    cancel,
    get isBusy() { return points !== null || first !== null; },
  };
})();
