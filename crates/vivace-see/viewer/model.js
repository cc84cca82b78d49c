// Tasks with their steps, loops with what they did, sums.

/** What a waker's number means. */
const actorTask = (/** @type {number} */ waker) => (waker !== 0 && waker % 2 === 0 ? waker / 2 : 0);
const actorCallback = (/** @type {number} */ waker) => (waker % 2 === 1 ? (waker - 1) / 2 : 0);

/** The first index whose value is above `limit`. */
function firstAbove(/** @type {ArrayLike<number>} */ values, /** @type {number} */ limit, low = 0, high = values.length) {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Things that follow each other, with sums of their lengths, so that any part is summed at once. */
class Spans {
  /** @param {Float64Array} begin @param {Float64Array} end @param {Uint32Array} [ids] */
  constructor(begin, end, ids) {
    this.begin = begin;
    this.end = end;
    this.ids = ids;
    this.sums = new Float64Array(begin.length + 1);
    for (let i = 0; i < begin.length; i++) this.sums[i + 1] = this.sums[i] + Math.max(0, end[i] - begin[i]);
  }

  get count() {
    return this.begin.length;
  }

  /** How much of [from, to) is covered. */
  covered(/** @type {number} */ from, /** @type {number} */ to) {
    const first = firstAbove(this.end, from);
    const last = firstAbove(this.begin, to, first);
    if (first >= last) return 0;
    let sum = this.sums[last] - this.sums[first];
    sum -= Math.max(0, from - this.begin[first]);
    sum -= Math.max(0, this.end[last - 1] - to);
    return Math.max(0, sum);
  }
}

/** Of most tasks. @type {{time: number, by: number}[]} */
const NOTHING = [];

class Task {
  constructor(/** @type {number} */ number, /** @type {number} */ loop) {
    this.number = number;
    this.loop = loop;
    this.coroutine = 0;
    this.name = 0;
    this.site = 0;
    this.creator = 0;
    this.created = NaN;
    this.ended = NaN;
    /** "ok", "failed", "cancelled", or empty while it lives. */
    this.outcome = "";
    this.cancels = NOTHING;
    /** Its steps are `model.order[first]` to `model.order[last - 1]`. */
    this.first = 0;
    this.last = 0;
    /** Where it shows itself. */
    this.from = 0;
    this.to = 0;
  }
}

class Model {
  /** @param {ReturnType<typeof decode>} data @param {any} meta */
  constructor({ names, steps, others }, meta) {
    this.names = names;
    this.steps = steps;
    this.meta = meta;
    /** @type {Map<number, Task>} */
    this.tasks = new Map();
    this.end = meta.summary.seconds * 1e9;
    /** @type {{task: Task, steps: number[], times: Float64Array} | null} */
    this.wakesOf = null;
    this.orderSteps();
    this.readOthers(others);
    this.readLoops(others);
    for (const task of this.tasks.values()) {
      const one = task.first < task.last;
      const begin = one ? this.ready(this.order[task.first]) : 0;
      task.from = Number.isNaN(task.created) ? (one ? Math.min(begin, 0) : 0) : task.created;
      task.to = Number.isNaN(task.ended) ? this.end : task.ended;
      if (one) task.to = Math.max(task.to, this.stepEnd(this.order[task.last - 1]));
    }
    let busy = 0;
    for (let i = 0; i < steps.count; i++) busy += steps.length[i];
    this.sums = { steps: steps.count + this.short.steps, busy: busy + this.short.busy, tasks: this.tasks.size, callbacks: this.callbacks };
  }

  /** @param {number} step @returns {number} */
  ready(step) {
    return this.steps.begin[step] - this.steps.delay[step];
  }

  /** @param {number} step @returns {number} */
  stepEnd(step) {
    return this.steps.begin[step] + this.steps.length[step];
  }

  /** @param {number} number @returns {string} */
  text(number) {
    const name = this.names.get(number);
    return name ? shown(name.text) : "";
  }

  /** @param {number} number @returns {string} file:line */
  place(number) {
    const name = this.names.get(number);
    return name && name.file ? `${shown(name.file)}:${name.line}` : "";
  }

  /** @param {Task} task @returns {string} */
  label(task) {
    return this.text(task.name) || `Task ${task.number}`;
  }

  /** @param {number} waker @returns {string} */
  actor(waker) {
    const task = this.tasks.get(actorTask(waker));
    if (task) return `${this.label(task)} ${this.text(task.coroutine)}`;
    if (actorCallback(waker)) return `callback ${this.text(actorCallback(waker))}`;
    return waker ? `task ${actorTask(waker)}` : "outside: timer, I/O or thread";
  }

  /** The step of a task that runs at a time, or ran last before it; -1 if there is none. */
  stepAt(/** @type {Task} */ task, /** @type {number} */ time) {
    let [low, high] = [task.first, task.last];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.steps.begin[this.order[middle]] <= time) low = middle + 1;
      else high = middle;
    }
    return low > task.first ? low - 1 : -1;
  }

  /** The steps that a task has made ready, in the order of time. */
  wakes(/** @type {Task} */ task) {
    if (this.wakesOf?.task === task) return this.wakesOf;
    const waker = task.number * 2;
    const found = [];
    for (let i = 0; i < this.steps.count; i++) if (this.steps.waker[i] === waker) found.push(i);
    found.sort((a, b) => this.ready(a) - this.ready(b));
    this.wakesOf = { task, steps: found, times: Float64Array.from(found, (step) => this.ready(step)) };
    return this.wakesOf;
  }

  /** Steps by task, in the order of time: they come in the order of their ends. */
  orderSteps() {
    const { task, loop, count } = this.steps;
    // Which task each step is of, by the order in which they appear.
    const which = new Uint32Array(count);
    /** @type {Task[]} */
    const tasks = [];
    let largest = 0;
    for (let i = 0; i < count; i++) if (task[i] > largest) largest = task[i];
    // A table, from 1 on, unless their numbers are far apart.
    const places = largest <= count * 4 + 1e6 ? new Uint32Array(largest + 1) : null;
    const others = new Map();
    for (let i = 0; i < count; i++) {
      const number = task[i];
      let place = places ? places[number] : others.get(number) ?? 0;
      if (place === 0) {
        place = tasks.push(new Task(number, loop[i]));
        if (places) places[number] = place;
        else others.set(number, place);
      }
      which[i] = place - 1;
    }
    const next = new Uint32Array(tasks.length + 1);
    for (let i = 0; i < count; i++) next[which[i] + 1]++;
    for (let i = 1; i < next.length; i++) next[i] += next[i - 1];
    for (let i = 0; i < tasks.length; i++) {
      tasks[i].first = next[i];
      tasks[i].last = next[i + 1];
      this.tasks.set(tasks[i].number, tasks[i]);
    }
    this.order = new Uint32Array(count);
    for (let i = 0; i < count; i++) this.order[next[which[i]]++] = i;
  }

  /** @param {Others} others */
  readOthers({ kind, time, subject, detail, loop, count }) {
    this.callbacks = 0;
    this.short = { steps: 0, busy: 0 };
    // What is told of a task comes at once: the last one is most often the next one, too.
    /** @type {Task | undefined} */
    let task;
    const of = (/** @type {number} */ i) => {
      const number = subject[i];
      if (task !== undefined && task.number === number) return task;
      task = this.tasks.get(number);
      if (!task) this.tasks.set(number, (task = new Task(number, loop[i])));
      return task;
    };
    for (let i = 0; i < count; i++) {
      switch (kind[i]) {
        case KIND.created:
          of(i).created = time[i];
          of(i).creator = detail[i] >>> 0;
          break;
        case KIND.coroutine:
          of(i).coroutine = detail[i] >>> 0;
          break;
        case KIND.named:
          of(i).name = detail[i] >>> 0;
          break;
        case KIND.site:
          of(i).site = detail[i] >>> 0;
          break;
        case KIND.ended:
          of(i).ended = time[i];
          of(i).outcome = ["ok", "failed", "cancelled"][detail[i]] ?? "";
          break;
        case KIND.cancelled:
          of(i).cancels = [...of(i).cancels, { time: time[i], by: detail[i] }];
          break;
        case KIND.short:
          this.short.steps += subject[i];
          this.short.busy += detail[i];
          break;
        case KIND.callback:
          this.callbacks++;
          break;
      }
    }
  }

  /** @param {Others} others */
  readLoops(others) {
    const { steps } = this;
    const there = new Uint8Array(1 << 16);
    for (let i = 0; i < steps.count; i++) there[steps.loop[i]] = 1;
    for (let i = 0; i < others.count; i++) there[others.loop[i]] = 1;
    /** @type {number[]} */
    const numbers = [];
    for (let i = 0; i < there.length; i++) if (there[i]) numbers.push(i);
    this.loops = numbers.map((number) => {
      const pick = (/** @type {number} */ kind) => {
        const rows = new Uint32Array(others.count);
        let count = 0;
        let sorted = true;
        for (let i = 0; i < others.count; i++) {
          if (others.kind[i] !== kind || others.loop[i] !== number) continue;
          if (count && others.time[i] < others.time[rows[count - 1]]) sorted = false;
          rows[count++] = i;
        }
        const chosen = rows.subarray(0, count);
        if (!sorted) chosen.sort((a, b) => others.time[a] - others.time[b]);
        const [begin, end] = [new Float64Array(count), new Float64Array(count)];
        const subjects = new Uint32Array(count);
        for (let i = 0; i < count; i++) {
          begin[i] = others.time[chosen[i]];
          end[i] = begin[i] + others.detail[chosen[i]];
          subjects[i] = others.subject[chosen[i]];
        }
        return new Spans(begin, end, subjects);
      };
      const all = new Uint32Array(steps.count);
      let count = 0;
      for (let i = 0; i < steps.count; i++) if (steps.loop[i] === number) all[count++] = i;
      const rows = all.subarray(0, count);
      return {
        number,
        steps: this.spansOf(this.outermost(rows)),
        callbacks: pick(KIND.callback),
        gc: pick(KIND.gc),
        gilWait: pick(KIND.gilWait),
        poll: pick(KIND.poll),
        blocks: pick(KIND.block),
      };
    });
    const limit = this.meta.blocked;
    /** @type {{begin: number, end: number, loop: number, step: number, callback: number}[]} */
    this.blocks = [];
    for (const loop of this.loops) {
      const add = (/** @type {Spans} */ spans, /** @type {boolean} */ isStep) => {
        for (let i = 0; i < spans.count; i++)
          if (spans.end[i] - spans.begin[i] >= limit)
            this.blocks.push({
              begin: spans.begin[i], end: spans.end[i], loop: loop.number,
              step: isStep ? spans.ids[i] : -1, callback: isStep ? 0 : spans.ids[i],
            });
      };
      add(loop.steps, true);
      add(loop.callbacks, false);
    }
    this.blocks.sort((a, b) => a.begin - b.begin);
  }

  /** Steps in the order of time, without those inside another: first steps taken eagerly. */
  outermost(/** @type {Uint32Array} */ rows) {
    const { begin, length } = this.steps;
    sortByBegin(rows, this.steps);
    let end = -Infinity;
    let count = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if (begin[row] + length[row] <= end && begin[row] < end) continue;
      end = begin[row] + length[row];
      rows[count++] = row;
    }
    return rows.subarray(0, count);
  }

  /** @param {Uint32Array} rows @returns {Spans} */
  spansOf(rows) {
    const { begin, length } = this.steps;
    const [from, to] = [new Float64Array(rows.length), new Float64Array(rows.length)];
    for (let i = 0; i < rows.length; i++) {
      from[i] = begin[rows[i]];
      to[i] = from[i] + length[rows[i]];
    }
    return new Spans(from, to, rows);
  }

  /** How much of a time the loops ran something, 0 to 1. */
  utilisation(/** @type {number} */ from, /** @type {number} */ to) {
    let busy = 0;
    for (const loop of this.loops) busy += loop.steps.covered(from, to) + loop.callbacks.covered(from, to);
    return Math.min(1, busy / (to - from) / Math.max(1, this.loops.length));
  }
}
