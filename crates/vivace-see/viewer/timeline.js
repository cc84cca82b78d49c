// The lanes: what is wider than a pixel is drawn as it is, the rest as sums for each pixel.

const AXIS = 20;
/** More arrows are no help. */
const MOST_ARROWS = 400;

/**
 * Draws things that follow each other. `wide` gets what is at least a pixel wide; what is narrower
 * is summed up: a column whose height is the share of its pixel that is covered.
 */
function drawSpans(/** @type {any} */ view, /** @type {Spans} */ spans, /** @type {number} */ y, /** @type {number} */ height, /** @type {string} */ colour, /** @type {(i: number, x: number, width: number) => void} */ wide) {
  const { g, t0, t1, scale } = view;
  const { begin, end } = spans;
  const count = begin.length;
  let i = firstAbove(end, t0);
  while (i < count && begin[i] < t1) {
    const left = (begin[i] - t0) * scale;
    const right = (end[i] - t0) * scale;
    if (right - left >= 1) {
      const x = Math.max(left, -2);
      wide(i, GUTTER + x, Math.min(right, view.room + 2) - x);
      i++;
      continue;
    }
    const pixel = Math.floor(left);
    const limit = t0 + (pixel + 1) / scale;
    // Few are in one pixel, or very many: look near first.
    let high = i + 1;
    for (let step = 8; high < count && begin[high] < limit; step *= 2) high += step;
    let next = Math.max(i + 1, firstAbove(begin, limit, i, Math.min(high, count)));
    // Only the last of them can be wide, since they follow each other.
    if (next > i + 1 && (end[next - 1] - begin[next - 1]) * scale >= 1) next--;
    const share = Math.min(1, (spans.sums[next] - spans.sums[i]) * scale);
    if (share > 0) {
      const high = Math.max(1.5, share * height);
      g.fillStyle = colour;
      g.globalAlpha = 0.45 + 0.55 * share;
      g.fillRect(GUTTER + pixel, y + height - high, 1, high);
      g.globalAlpha = 1;
    }
    i = next;
  }
}

/** @param {HTMLCanvasElement} canvas @param {any} state */
function drawTimeline(canvas, state) {
  const { g, width, height } = prepare(canvas);
  const { model, t0, t1 } = state;
  const room = width - GUTTER;
  const view = { g, t0, t1, room, scale: room / (t1 - t0), width };
  const { rows } = state.layout;
  g.save();
  g.beginPath();
  g.rect(0, AXIS, width, height - AXIS);
  g.clip();
  g.translate(0, AXIS - state.scroll);
  const first = rowAt(rows, state.scroll);
  const bottom = state.scroll + height;
  for (let i = first; i < rows.length && rows[i].y < bottom; i++) drawRow(view, state, rows[i]);
  drawBlocks(view, model, state.scroll, bottom);
  drawPath(view, state);
  drawArrows(view, state);
  g.restore();
  drawAxis(g, state, width, 0, AXIS);
  if (state.cursor !== null) {
    const x = GUTTER + (state.cursor - t0) * view.scale;
    g.strokeStyle = COLOURS.faint;
    g.setLineDash([2, 3]);
    g.beginPath();
    g.moveTo(x, 0);
    g.lineTo(x, height);
    g.stroke();
    g.setLineDash([]);
  }
}

/** Red over everything, since nothing else ran meanwhile. */
function drawBlocks(/** @type {any} */ view, /** @type {Model} */ model, /** @type {number} */ top, /** @type {number} */ bottom) {
  const { g, t0, t1, scale } = view;
  g.fillStyle = COLOURS.blocked;
  g.globalAlpha = 0.13;
  for (const block of model.blocks) {
    if (block.end < t0 || block.begin > t1) continue;
    const x = Math.max(0, (block.begin - t0) * scale);
    const right = Math.min(view.room, (block.end - t0) * scale);
    g.fillRect(GUTTER + x, top, Math.max(1, right - x), bottom - top);
  }
  g.globalAlpha = 1;
}

function drawRow(/** @type {any} */ view, /** @type {any} */ state, /** @type {Row} */ row) {
  const { g } = view;
  g.save();
  g.beginPath();
  g.rect(GUTTER, row.y, view.room, row.height);
  g.clip();
  if (row.kind === "loop") drawLoop(view, state, row);
  else if (row.kind === "group") drawGroup(view, state, row);
  else drawLane(view, state, row.lane, row.y + 2, row.height - 4);
  g.restore();
  const label = (/** @type {string} */ text, /** @type {number} */ x, /** @type {string} */ colour, room = GUTTER - x - 8) => {
    g.fillStyle = colour;
    g.fillText(clipped(g, text, room), x, row.y + row.height / 2);
  };
  if (row.kind === "loop") {
    label(state.model.loops.length > 1 ? `loop ${row.loop.number}` : "the loop", 8, COLOURS.text);
  } else if (row.kind === "group") {
    const { group } = row;
    const name = state.model.text(group.coroutine) || "unknown coroutine";
    label(group.closed ? "▸" : "▾", 8, COLOURS.faint);
    g.font = "600 " + FONT;
    label(name, 20, COLOURS.text, GUTTER - 90);
    g.font = FONT;
    const count = `${grouped(group.tasks.length)} task${group.tasks.length === 1 ? "" : "s"}`;
    g.fillStyle = COLOURS.faint;
    g.textAlign = "right";
    g.fillText(count, GUTTER - 8, row.y + row.height / 2);
    g.textAlign = "left";
  } else if (row.lane.tasks.length === 1) {
    const chosen = row.lane.tasks[0] === state.selected?.task;
    label(state.model.label(row.lane.tasks[0]), 20, chosen ? COLOURS.select : COLOURS.faint);
  } else {
    label(several(row.lane.tasks.length, "task"), 20, COLOURS.faint);
  }
}

function drawLoop(/** @type {any} */ view, /** @type {any} */ state, /** @type {Row} */ row) {
  const { g } = view;
  const { loop } = row;
  const [y, height] = [row.y + 3, row.height - 6];
  g.fillStyle = COLOURS.row;
  g.fillRect(GUTTER, y, view.room, height);
  const solid = (/** @type {string} */ colour, /** @type {(i: number) => string} */ text) =>
    (/** @type {number} */ i, /** @type {number} */ x, /** @type {number} */ width) => {
      g.fillStyle = colour;
      g.fillRect(x, y, width, height);
      inside(view, text(i), x, width, y + height / 2);
    };
  const { model } = state;
  drawSpans(view, loop.steps, y, height, COLOURS.running, (i, x, width) => {
    const long = loop.steps.end[i] - loop.steps.begin[i] >= model.meta.blocked;
    const task = model.tasks.get(model.steps.task[loop.steps.ids[i]]);
    solid(long ? COLOURS.blocked : COLOURS.running, () => model.text(task.coroutine))(i, x, width);
  });
  drawSpans(view, loop.callbacks, y, height, COLOURS.callback, (i, x, width) => {
    const long = loop.callbacks.end[i] - loop.callbacks.begin[i] >= model.meta.blocked;
    solid(long ? COLOURS.blocked : COLOURS.callback, () => model.text(loop.callbacks.ids[i]))(i, x, width);
  });
  drawSpans(view, loop.gilWait, y, height, COLOURS.gil, solid(COLOURS.gil, () => "waits for the GIL"));
  drawSpans(view, loop.gc, y, height / 2, COLOURS.gc, (i, x, width) => {
    g.fillStyle = COLOURS.gc;
    g.fillRect(x, y, width, height / 2);
  });
}

function drawGroup(/** @type {any} */ view, /** @type {any} */ state, /** @type {Row} */ row) {
  const { g } = view;
  if (row.group.closed) {
    drawLane(view, state, row.group.sum, row.y + 3, row.height - 6);
    return;
  }
  g.fillStyle = COLOURS.line;
  g.fillRect(GUTTER, row.y + row.height / 2, view.room, 1);
}

/** Text inside a slice, if there is room. */
function inside(/** @type {any} */ view, /** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ width, /** @type {number} */ y, colour = "#fff") {
  const left = Math.max(x, GUTTER) + 4;
  const room = Math.min(x + width, view.width) - left - 2;
  if (room < 24) return;
  view.g.fillStyle = colour;
  view.g.fillText(clipped(view.g, text, room), left, y + 0.5);
}

/** A lane: grey while a task lives, yellow while it is ready, blue while it runs. */
function drawLane(/** @type {any} */ view, /** @type {any} */ state, /** @type {Lane} */ lane, /** @type {number} */ y, /** @type {number} */ height) {
  const { g, t0, scale } = view;
  const { model } = state;
  const { running, ready, lives } = lane.spans;
  const { steps } = model;
  const middle = y + height / 2;
  drawSpans(view, lives, y, height, COLOURS.waiting, (i, x, width) => {
    g.fillStyle = COLOURS.waiting;
    g.fillRect(x, y, width - (width > 4 ? 1 : 0), height);
  });
  drawSpans(view, ready, y, height, COLOURS.ready, (_i, x, width) => {
    g.fillStyle = COLOURS.ready;
    g.fillRect(x, y, width, height);
  });
  const single = !lane.isSum;
  // Which lane's step is followed by a wait that is wide enough for its reason.
  const reason = (/** @type {number} */ i) => {
    const step = running.ids[i];
    if (!single || steps.reason[step] === 0) return;
    const until = i + 1 < running.count && steps.task[running.ids[i + 1]] === steps.task[step] ? ready.begin[i + 1] : model.tasks.get(steps.task[step]).to;
    const x = (running.end[i] - t0) * scale;
    const width = (until - running.end[i]) * scale;
    if (width > 40) inside(view, model.text(steps.reason[step]), GUTTER + x, width, middle, COLOURS.faint);
  };
  drawSpans(view, running, y, height, COLOURS.running, (i, x, width) => {
    const long = running.end[i] - running.begin[i] >= model.meta.blocked;
    g.fillStyle = long ? COLOURS.blocked : COLOURS.running;
    g.fillRect(x, y, width, height);
    const task = model.tasks.get(steps.task[running.ids[i]]);
    if (width > 40) inside(view, single ? model.label(task) : model.text(task.coroutine), x, width, middle);
  });
  if (!single) return;
  // The waits that are wide are few: at most one for each 40 pixels.
  const last = firstAbove(running.begin, view.t1);
  let i = Math.max(0, firstAbove(running.end, t0) - 1);
  const wide = 40 / scale;
  for (let tries = 0; i < last && tries < 4000; tries++) {
    reason(i);
    // Within what is dense there is no room for texts: go on at the next pixels.
    const next = i + 1;
    i = next < last && running.begin[next] - running.end[i] < wide ? Math.max(next, firstAbove(running.begin, running.end[i] + wide / 4, next, last) - 1) : next;
  }
  const chosen = state.selected;
  if (chosen && state.layout.rowOf.get(chosen.task)?.lane === lane) {
    const from = GUTTER + (chosen.task.from - t0) * scale;
    const to = GUTTER + (chosen.task.to - t0) * scale;
    g.strokeStyle = COLOURS.select;
    g.lineWidth = 1.5;
    g.strokeRect(Math.max(from, GUTTER - 4), y - 0.5, Math.min(to, view.width + 4) - Math.max(from, GUTTER - 4), height + 1);
    if (chosen.step >= 0) {
      const x = GUTTER + (steps.begin[chosen.step] - t0) * scale;
      g.strokeRect(x - 0.5, y - 0.5, Math.max(3, steps.length[chosen.step] * scale), height + 1);
    }
  }
}

/** The height at which a task is drawn; undefined where it is filtered away. */
function heightOf(/** @type {any} */ state, /** @type {Task | undefined} */ task) {
  const row = task && state.layout.rowOf.get(task);
  return row && row.y + row.height / 2;
}

function drawPath(/** @type {any} */ view, /** @type {any} */ state) {
  const { g, t0, t1, scale } = view;
  const { path } = state;
  if (!path.length) return;
  g.save();
  g.beginPath();
  g.rect(GUTTER, state.scroll, view.room, 1e7);
  g.clip();
  g.strokeStyle = COLOURS.path;
  g.lineWidth = 3;
  g.lineJoin = "round";
  g.beginPath();
  let drawn = false;
  let last = -Infinity;
  const times = path.map((/** @type {Segment} */ segment) => segment.to);
  for (let i = firstAbove(times, t0); i < path.length && path[i].from <= t1; i++) {
    const y = heightOf(state, path[i].task);
    if (y === undefined) continue;
    const x = GUTTER + Math.max(-9, (path[i].from - t0) * scale);
    const right = GUTTER + Math.min(view.room + 9, (path[i].to - t0) * scale);
    // What is narrower than half a pixel cannot be seen.
    if (right - last < 0.5) continue;
    last = right;
    if (drawn) g.lineTo(x, y + 4);
    else g.moveTo(x, y + 4);
    g.lineTo(right, y + 4);
    drawn = true;
  }
  g.stroke();
  g.restore();
}

/** Who woke whom, for the chosen task. */
function drawArrows(/** @type {any} */ view, /** @type {any} */ state) {
  const { g, t0, t1, scale } = view;
  const chosen = state.selected;
  if (!chosen) return;
  const { model } = state;
  const { steps, order } = model;
  g.save();
  g.beginPath();
  g.rect(GUTTER, state.scroll, view.room, 1e7);
  g.clip();
  let left = MOST_ARROWS;
  const arrow = (/** @type {number} */ step, /** @type {boolean} */ strong) => {
    const [wakee, waker] = [model.tasks.get(steps.task[step]), model.tasks.get(actorTask(steps.waker[step]))];
    const to = heightOf(state, wakee);
    const from = waker ? heightOf(state, waker) : actorCallback(steps.waker[step]) ? HEIGHT.loop / 2 : undefined;
    if (to === undefined || from === undefined || left-- <= 0) return;
    const x0 = GUTTER + (model.ready(step) - t0) * scale;
    const x1 = GUTTER + (steps.begin[step] - t0) * scale;
    g.strokeStyle = g.fillStyle = COLOURS.arrow;
    g.globalAlpha = strong ? 1 : 0.5;
    g.lineWidth = strong ? 2 : 1;
    const bend = Math.max(12, Math.min(60, (x1 - x0) / 2));
    g.beginPath();
    g.moveTo(x0, from);
    g.bezierCurveTo(x0 + bend, from, x1 - bend, to, x1 - 1, to);
    g.stroke();
    g.beginPath();
    g.moveTo(x1, to);
    g.lineTo(x1 - 6, to - 3.5);
    g.lineTo(x1 - 6, to + 3.5);
    g.fill();
    g.globalAlpha = 1;
  };
  const { task } = chosen;
  let i = Math.max(task.first, (model.stepAt(task, t0) < 0 ? task.first : model.stepAt(task, t0)));
  for (; i < task.last && model.ready(order[i]) <= t1; i++) arrow(order[i], order[i] === chosen.step);
  const wakes = model.wakes(task);
  const times = wakes.times;
  for (let j = firstAbove(times, t0); j < times.length && times[j] <= t1 && left > 0; j++) arrow(wakes.steps[j], false);
  g.restore();
}

/** What is at a point of the canvas. @param {any} state @param {number} x @param {number} y @param {number} width */
function hit(state, x, y, width) {
  if (y < AXIS) return null;
  const { rows } = state.layout;
  const row = rows[rowAt(rows, y - AXIS + state.scroll)];
  if (!row || y - AXIS + state.scroll < row.y) return null;
  if (x < GUTTER) return { row };
  const { model } = state;
  const pixel = (state.t1 - state.t0) / (width - GUTTER);
  const time = state.t0 + (x - GUTTER) * pixel;
  if (row.kind === "loop") return { row, time, ...loopAt(row.loop, time, pixel) };
  if (row.kind === "group") return { row, time };
  const { running, ready, lives } = row.lane.spans;
  const near = 2 * pixel;
  let life = firstAbove(lives.end, time - near);
  if (life >= lives.count || lives.begin[life] > time + near) return { row, time };
  if (life + 1 < lives.count && lives.begin[life + 1] <= time) life++;
  const task = row.lane.tasks[life];
  // The step that runs or is ready then, or one so near that it is meant.
  let at = firstAbove(running.end, time - near);
  if (at < running.count && ready.begin[at] <= time + near && model.steps.task[running.ids[at]] === task.number) {
    const kind = running.begin[at] <= time + near ? "running" : "ready";
    return { row, time, task, kind, step: running.ids[at] };
  }
  const before = at - 1;
  const step = before >= 0 && model.steps.task[running.ids[before]] === task.number ? running.ids[before] : -1;
  const until = at < running.count && model.steps.task[running.ids[at]] === task.number ? ready.begin[at] : task.to;
  return { row, time, task, kind: "waiting", step, until };
}

function loopAt(/** @type {any} */ loop, /** @type {number} */ time, /** @type {number} */ pixel) {
  for (const kind of ["gc", "gilWait", "steps", "callbacks", "poll"]) {
    /** @type {Spans} */
    const spans = loop[kind];
    const at = firstAbove(spans.end, time - pixel);
    if (at < spans.count && spans.begin[at] <= time + pixel) return { what: kind, spans, at };
  }
  return {};
}
