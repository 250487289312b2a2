"use strict";
// The regions of the photograph that is shown: their borders, and which are listed and seen.

review.regions = (() => {
  let list = [];
  let waiting = null; // what to do when the data of a photograph have come

  // Borders are steps in quarters of a pixel from the corner of the box.
  function pathOf(rings, left, top) {
    const path = new Path2D();
    for (const ring of rings) {
      let x = left + ring[0] / 4;
      let y = top + ring[1] / 4;
      path.moveTo(x, y);
      for (let i = 2; i < ring.length; i += 2) {
        x += ring[i] / 4;
        y += ring[i + 1] / 4;
        path.lineTo(x, y);
      }
      path.closePath();
    }
    return path;
  }

  class Region {
    constructor([number, place, left, top, width, height, pixels, confidence, length, rings], rank) {
      Object.assign(this, { number, place, pixels, confidence, length, rank });
      this.box = [left, top, width, height];
      this.wrong = pixels * (1 - (confidence ?? 0));
      this.rings = rings;
    }

    get path() {
      if (this.rings) {
        this.made = pathOf(this.rings, this.box[0], this.box[1]);
        this.rings = null;
      }
      return this.made;
    }

    get class() { return review.classes[this.place]; }

    get wrongText() {
      return this.confidence === null ? "\u2013" : review.areaText(this.wrong);
    }

    // What acts say of which region they mean.
    get reference() {
      return { number: this.number, class: this.class.name, box: this.box, pixels: this.pixels };
    }

    get decision() {
      return review.acts.of(review.photograph.name).decisions.get(this.number);
    }

    // The class that is seen: null for a region that was rejected.
    get shown() {
      const act = this.decision;
      if (act?.kind === "reject") return null;
      return act?.kind === "relabel" ? review.classOf(act.class) ?? this.class : this.class;
    }

    // A class that is hidden is neither drawn nor listed.
    get isVisible() { return (this.shown ?? this.class).visible; }

    touches([left, top, right, bottom]) {
      const [x, y, width, height] = this.box;
      return x < right && x + width > left && y < bottom && y + height > top;
    }
  }

  // Called by the data scripts.
  function take(data) {
    if (waiting?.number !== data.photograph) return;
    const { resolve } = waiting;
    waiting = null;
    list = data.regions.map((row, rank) => new Region(row, rank));
    resolve();
  }

  take.load = (photograph) => {
    list = [];
    for (const old of document.querySelectorAll("script[data-regions]")) old.remove();
    return new Promise((resolve, reject) => {
      waiting = { number: photograph.data, resolve };
      const script = document.createElement("script");
      script.src = `data/${photograph.data}.js`;
      script.dataset.regions = "";
      script.onerror = () => reject(new Error(`data/${photograph.data}.js is missing`));
      document.head.append(script);
    });
  };

  Object.defineProperty(take, "all", { get: () => list });

  take.find = (number) => list.find((region) => region.number === number);

  // The regions of the list on the right.
  take.listed = (filter) => list.filter((region) => {
    if (!region.isVisible) return false;
    return filter === "all" || Boolean(region.decision) === (filter === "decided");
  });

  // The smallest region at a place of the photograph, or one that is nearly there.
  take.at = (x, y, near, context) => {
    const around = [x - near, y - near, x + near, y + near];
    const found = list.filter((region) => region.isVisible && region.touches(around));
    found.sort((a, b) => a.pixels - b.pixels);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    const inside = found.find((region) => context.isPointInPath(region.path, x, y, "evenodd"));
    context.lineWidth = 2 * near;
    const hit = inside ?? found.find((region) => context.isPointInStroke(region.path, x, y));
    context.restore();
    return hit;
  };

  return take;
})();

review.classOf = (name) => review.classes.find((found) => found.name === name);

// Millimeters of a pixel, across and down: by two points of a reviewer, else as predicted, or null.
review.scaleOf = (photograph) => {
  const act = review.acts.of(photograph.name).scale;
  return act ? review.scaleOfPoints(photograph, act.points, act.length, act.unit) : photograph.scale;
};

review.scaleOfPoints = (photograph, points, length, unit) => {
  const ratio = photograph.scale ? photograph.scale[1] / photograph.scale[0] : 1;
  const [[left, top], [right, bottom]] = points;
  const across = (length * review.UNITS[unit]) / Math.hypot(right - left, (bottom - top) * ratio);
  return [across, across * ratio];
};

// Area in mm2 where the scale is known, else in pixels.
review.areaText = (pixels) => {
  const scale = review.scaleOf(review.photograph);
  const value = scale ? pixels * scale[0] * scale[1] : pixels;
  return `${review.short(value)} ${scale ? "mm\u00b2" : "px"}`;
};

review.lengthText = (pixels) => {
  const scale = review.scaleOf(review.photograph);
  const value = scale ? pixels * Math.sqrt(scale[0] * scale[1]) : pixels;
  return `${review.short(value)} ${scale ? "mm" : "px"}`;
};

review.short = (value) =>
  value.toLocaleString("en", value >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
