"use strict";
// The photograph in deep zoom, and on it the regions and strokes as they are now.

review.view = (() => {
  const FEW = 400; // regions that are drawn one by one; more are drawn by class
  const ANIMATION = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.35;
  let viewer = null;
  let canvas = null;
  let context = null;
  let paths = new Map(); // class and state -> the borders of all its regions
  let asked = false;
  let selected = null;
  let isOverlaid = true;
  let extra = null; // draws what the brush is doing

  function open(photograph) {
    const [minLevel, maxLevel] = photograph.levels;
    const source = {
      width: photograph.width,
      height: photograph.height,
      tileSize: review.data.tile,
      tileOverlap: review.data.overlap,
      minLevel,
      maxLevel,
      getTileUrl: (level, x, y) => `data/${photograph.data}/${level}/${x}_${y}.jpg`,
    };
    paths.clear();
    selected = null;
    if (viewer) {
      viewer.open(source);
      return;
    }
    canvas = document.getElementById("overlay");
    context = canvas.getContext("2d");
    viewer = new OpenSeadragon({
      element: document.getElementById("viewer"),
      tileSources: source,
      drawer: "canvas",
      showNavigationControl: false,
      animationTime: ANIMATION,
      maxZoomPixelRatio: 16,
      visibilityRatio: 0.3,
      imageSmoothingEnabled: true,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true },
      silenceMultiImageWarnings: true,
    });
    // The keys are those of the page.
    viewer.addHandler("canvas-key", (event) => { event.preventDefaultAction = true; });
    viewer.innerTracker.keyDownHandler = null;
    viewer.innerTracker.keyHandler = null;
    viewer.addHandler("update-viewport", draw);
    viewer.addHandler("open", redraw);
    viewer.addHandler("resize", redraw);
    viewer.addHandler("canvas-click", (event) => {
      if (!event.quick) return;
      const { x, y } = toPhotograph(event.position.x, event.position.y);
      const reach = event.pointerType === "touch" ? 14 : 6;
      const region = isOverlaid && review.regions.at(x, y, reach / scale(), context);
      if (region) review.panels.choose(region, false);
    });
    new ResizeObserver(redraw).observe(canvas);
  }

  const item = () => viewer?.world.getItemAt(0);

  // Pixels of the page for each of the photograph.
  const scale = () => (item() ? item().viewportToImageZoom(viewer.viewport.getZoom(true)) : 1);

  function toPhotograph(x, y) {
    const point = item()?.viewerElementToImageCoordinates(new OpenSeadragon.Point(x, y));
    return point ?? { x: -1, y: -1 };
  }

  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  }

  function visibleBox() {
    const { width, height } = canvas.getBoundingClientRect();
    const [first, last] = [toPhotograph(0, 0), toPhotograph(width, height)];
    return [first.x, first.y, last.x, last.y];
  }

  function groupPath(key, test) {
    if (!paths.has(key)) {
      const path = new Path2D();
      for (const region of review.regions.all) if (test(region)) path.addPath(region.path);
      paths.set(key, path);
    }
    return paths.get(key);
  }

  function drawRegions(zoom) {
    const box = visibleBox();
    const near = review.regions.all.filter((region) => region.isVisible && region.touches(box));
    const isFew = near.length <= FEW;
    context.lineJoin = "round";
    for (const [place, found] of review.classes.entries()) {
      if (!found.visible) continue;
      const pathsOf = (state, test) => (isFew
        ? near.filter(test).map((region) => region.path)
        : [groupPath(`${place} ${state}`, test)]);
      const open = pathsOf("open", (region) => region.shown === found && !region.decision);
      const kept = pathsOf("kept", (region) => region.shown === found && region.decision);
      const away = pathsOf("away", (region) => region.shown === null && region.place === place);
      context.fillStyle = context.strokeStyle = found.color;
      context.globalAlpha = found.opacity;
      for (const path of [...open, ...kept]) context.fill(path, "evenodd");
      context.globalAlpha = Math.min(1, found.opacity + 0.35);
      context.lineWidth = 1.25 / zoom;
      for (const path of open) context.stroke(path);
      context.setLineDash([5 / zoom, 4 / zoom]);
      for (const path of away) context.stroke(path);
      context.setLineDash([]);
      // What was accepted or relabeled has a strong border.
      context.globalAlpha = Math.min(1, 2 * found.opacity);
      context.lineWidth = 3 / zoom;
      for (const path of kept) context.stroke(path);
    }
    context.globalAlpha = 1;
  }

  function tracePoints(points, radius) {
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = 2 * radius;
    context.beginPath();
    context.moveTo(...points[0]);
    if (points.length === 1) context.lineTo(points[0][0] + 1e-3, points[0][1]);
    for (const point of points.slice(1)) context.lineTo(...point);
    context.stroke();
  }

  // As apply-review draws them: what lies below a stroke is gone.
  function drawStroke(act) {
    const found = act.class === undefined ? null : review.classOf(act.class);
    context.globalCompositeOperation = "destination-out";
    context.strokeStyle = "#000";
    tracePoints(act.points, act.radius);
    context.globalCompositeOperation = "source-over";
    if (!found?.visible || found.isRest) return;
    context.strokeStyle = found.color;
    context.globalAlpha = Math.min(1, found.opacity + 0.15);
    tracePoints(act.points, act.radius);
    context.globalAlpha = 1;
  }

  function drawSelected(zoom) {
    context.lineJoin = "round";
    for (const [color, width] of [["rgba(0,0,0,.75)", 5], ["#fff", 2]]) {
      context.strokeStyle = color;
      context.lineWidth = width / zoom;
      context.stroke(selected.path);
    }
  }

  function draw() {
    if (!item() || !context) return;
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const zoom = scale();
    const corner = item().imageToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(zoom * ratio, 0, 0, zoom * ratio, corner.x * ratio, corner.y * ratio);
    if (isOverlaid) {
      drawRegions(zoom);
      for (const act of review.acts.of(review.photograph.name).strokes) drawStroke(act);
    }
    extra?.(context, zoom, drawStroke);
    if (selected && isOverlaid) drawSelected(zoom);
    review.panels.status(zoom);
  }

  return {
    open,
    redraw,
    scale,
    toPhotograph,
    get viewer() { return viewer; },
    get isOverlaid() { return isOverlaid; },
    // What is drawn has changed.
    refresh() {
      paths = new Map();
      redraw();
    },
    select(region) {
      selected = region;
      redraw();
    },
    drawMore(draws) { extra = draws; },
    toggle() {
      isOverlaid = !isOverlaid;
      redraw();
    },
    // Shows a region with some of what is around it, unless it is seen well as it is.
    show(region) {
      if (!item()) return;
      const [x, y, width, height] = region.box;
      const side = Math.max(2.5 * width, 2.5 * height, 160);
      const [left, top] = [x + width / 2 - side / 2, y + height / 2 - side / 2];
      const box = item().imageToViewportRectangle(left, top, side, side);
      viewer.viewport.fitBounds(box, ANIMATION === 0);
    },
    zoom(factor) {
      viewer.viewport.zoomBy(factor);
      viewer.viewport.applyConstraints();
    },
    pan(x, y) {
      viewer.viewport.panBy(viewer.viewport.deltaPointsFromPixels(new OpenSeadragon.Point(x, y)));
      viewer.viewport.applyConstraints();
    },
    fit() { viewer.viewport.goHome(); },
  };
})();
