// Why a task took as long as it did: from its end back to whoever it had to wait for.

/**
 * @typedef {{kind: "running" | "ready" | "waiting", from: number, to: number, task: Task, reason: number}} Segment
 */

const LONGEST_PATH = 200_000;

/**
 * Goes back in time from the end of a task. While it ran, it was its own doing; while it was ready,
 * the loop was busy with others; while it waited, whoever woke it is followed, as far as that was a
 * task. What woke it from outside ends no path: the wait itself is part of it.
 *
 * @param {Model} model @param {Task} task @returns {Segment[]} In the order of time.
 */
function criticalPath(model, task) {
  /** @type {Segment[]} */
  const path = [];
  if (task.first === task.last) return path;
  const { steps, order } = model;
  const start = task.from;
  let current = task;
  let at = task.last - 1;
  let time = model.stepEnd(order[at]);
  const add = (/** @type {Segment["kind"]} */ kind, /** @type {number} */ from, reason = 0) => {
    const begin = Math.max(from, start);
    if (begin < time) path.push({ kind, from: begin, to: time, task: current, reason });
    time = Math.min(time, begin);
  };
  while (time > start && path.length < LONGEST_PATH) {
    const step = order[at];
    add("running", steps.begin[step]);
    const ready = model.ready(step);
    add("ready", ready);
    if (time <= start) break;
    const waker = model.tasks.get(actorTask(steps.waker[step]));
    const before = waker && waker !== current ? model.stepAt(waker, ready) : -1;
    if (waker && before >= 0 && model.stepEnd(order[before]) >= ready) {
      current = waker;
      at = before;
      continue;
    }
    if (at === current.first) {
      add("waiting", start);
      break;
    }
    at -= 1;
    add("waiting", model.stepEnd(order[at]), steps.reason[order[at]]);
  }
  return path.reverse();
}

/** Who has which part of a path: the largest first. */
function shares(/** @type {Model} */ model, /** @type {Segment[]} */ path) {
  /** @type {Map<string, {text: string, kind: string, sum: number}>} */
  const sums = new Map();
  for (const { kind, task, reason, from, to } of path) {
    const who = model.text(task.coroutine) || model.label(task);
    const what = kind === "waiting" && reason ? ` for ${model.text(reason)}` : "";
    const text = `${who}: ${kind}${what}`;
    const entry = sums.get(text) ?? { text, kind, sum: 0 };
    entry.sum += to - from;
    sums.set(text, entry);
  }
  return [...sums.values()].sort((a, b) => b.sum - a.sum);
}
