// The bar at the top: the whole trace, how busy the loops were, and where they were blocked.

const GUTTER = 230;

/** @param {HTMLCanvasElement} canvas @param {any} state */
function drawOverview(canvas, state) {
  const { g, width, height } = prepare(canvas);
  const { model } = state;
  const room = width - GUTTER;
  const bottom = height - 14;
  const perPixel = model.end / room;
  g.fillStyle = COLOURS.text;
  g.fillText(`busy ${percent(model.utilisation(0, model.end))}`, 8, 14);
  g.fillStyle = model.blocks.length ? COLOURS.blocked : COLOURS.faint;
  g.fillText(model.blocks.length ? `blocked ${several(model.blocks.length, "time")}` : "never blocked", 8, 30);
  g.fillStyle = COLOURS.row;
  g.fillRect(GUTTER, 0, room, bottom);
  g.fillStyle = COLOURS.running;
  for (let x = 0; x < room; x++) {
    const high = model.utilisation(x * perPixel, (x + 1) * perPixel) * (bottom - 2);
    if (high > 0) g.fillRect(GUTTER + x, bottom - Math.max(1, high), 1, Math.max(1, high));
  }
  g.fillStyle = COLOURS.blocked;
  for (const block of model.blocks) {
    const x = block.begin / perPixel;
    g.fillRect(GUTTER + x, 0, Math.max(2, (block.end - block.begin) / perPixel), bottom);
  }
  drawAxis(g, { t0: 0, t1: model.end }, width, bottom, height);
  // What is in view.
  const left = GUTTER + state.t0 / perPixel;
  const right = GUTTER + state.t1 / perPixel;
  g.fillStyle = COLOURS.band;
  g.fillRect(GUTTER, 0, left - GUTTER, bottom);
  g.fillRect(right, 0, width - right, bottom);
  g.strokeStyle = COLOURS.select;
  g.lineWidth = 1.5;
  g.strokeRect(left, 1, Math.max(2, right - left), bottom - 2);
}

/** Marks of time, with their texts between two heights. */
function drawAxis(/** @type {CanvasRenderingContext2D} */ g, /** @type {{t0: number, t1: number}} */ view, /** @type {number} */ width, /** @type {number} */ top, /** @type {number} */ bottom) {
  const room = width - GUTTER;
  const step = niceStep(((view.t1 - view.t0) / room) * 90);
  g.fillStyle = COLOURS.faint;
  g.strokeStyle = COLOURS.line;
  g.lineWidth = 1;
  for (let time = Math.ceil(view.t0 / step) * step; time <= view.t1; time += step) {
    const x = Math.round(GUTTER + ((time - view.t0) / (view.t1 - view.t0)) * room) + 0.5;
    g.beginPath();
    g.moveTo(x, top);
    g.lineTo(x, top + 4);
    g.stroke();
    const text = axisText(time, step);
    if (x + g.measureText(text).width < width) g.fillText(text, x + 3, (top + bottom) / 2 + 2);
  }
}

/** A time as exact as the marks need. */
function axisText(/** @type {number} */ time, /** @type {number} */ step) {
  const [factor, unit] = step >= 1e8 ? [1e9, "s"] : step >= 1e5 ? [1e6, "ms"] : step >= 100 ? [1e3, "µs"] : [1, "ns"];
  const digits = Math.max(0, -Math.floor(Math.log10(step / factor) + 1e-9));
  return `${(time / factor).toFixed(digits)} ${unit}`;
}

/** Dragging moves the view there; the wheel zooms. @param {HTMLCanvasElement} canvas @param {any} app */
function watchOverview(canvas, app) {
  const timeAt = (/** @type {MouseEvent} */ event) => {
    const { left, width } = canvas.getBoundingClientRect();
    return ((event.clientX - left - GUTTER) / (width - GUTTER)) * app.state.model.end;
  };
  /** @type {number | null} */
  let began = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    began = timeAt(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (began === null) return;
    const now = timeAt(event);
    const [from, to] = [Math.min(began, now), Math.max(began, now)];
    if ((to - from) / app.state.model.end > 0.004) app.show(from, to);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (began === null) return;
    const now = timeAt(event);
    if (Math.abs(now - began) / app.state.model.end <= 0.004) {
      const half = (app.state.t1 - app.state.t0) / 2;
      app.show(now - half, now + half);
    }
    began = null;
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    app.zoom(Math.exp(event.deltaY * 0.002), timeAt(event));
  }, { passive: false });
}
