// Which rows there are: a row for each loop, a group for each coroutine, lanes with its tasks.

const HEIGHT = { loop: 28, group: 22, lane: 16, gap: 6 };
/** Groups with more lanes begin as one row of sums. */
const MANY_LANES = 24;

/** A lane: tasks that follow each other, or the sum of a whole group. */
class Lane {
  /** @param {Model} model @param {Task[]} tasks In the order of time. @param {boolean} isSum */
  constructor(model, tasks, isSum = false) {
    this.model = model;
    this.tasks = tasks;
    this.isSum = isSum;
    /** @type {{running: Spans, ready: Spans, lives: Spans} | null} */
    this.made = null;
  }

  /** Made when it is first drawn: most lanes of a large trace never are. */
  get spans() {
    if (this.made) return this.made;
    const { model, tasks } = this;
    const { order, steps } = model;
    let count = 0;
    for (const task of tasks) count += task.last - task.first;
    const rows = new Uint32Array(count);
    let at = 0;
    for (const task of tasks) {
      rows.set(order.subarray(task.first, task.last), at);
      at += task.last - task.first;
    }
    if (this.isSum) sortByBegin(rows, steps);
    const running = model.spansOf(rows);
    const since = new Float64Array(count);
    for (let i = 0; i < count; i++) since[i] = steps.begin[rows[i]] - steps.delay[rows[i]];
    const ready = new Spans(since, running.begin, rows);
    const lives = new Spans(
      Float64Array.from(tasks, (task) => task.from),
      Float64Array.from(tasks, (task) => task.to),
    );
    // Tasks of a group live, and are ready, at the same time.
    return (this.made = this.isSum ? { running, ready: unionByEnd(ready), lives: unionByBegin(lives) } : { running, ready, lives });
  }
}

/**
 * Rows in the order in which their steps began. Steps come in the order of their ends, which is the
 * same unless one is inside another.
 */
function sortByBegin(/** @type {Uint32Array} */ rows, /** @type {Steps} */ { begin }) {
  let ascending = true;
  for (let i = 1; i < rows.length && ascending; i++) ascending = rows[i] > rows[i - 1];
  if (!ascending) rows.sort();
  for (let i = 1; i < rows.length; i++) {
    if (begin[rows[i]] < begin[rows[i - 1]]) {
      rows.sort((a, b) => begin[a] - begin[b]);
      return;
    }
  }
}

/** When at least one of the spans is there; they are in the order of their begins. */
function unionByBegin(/** @type {Spans} */ spans) {
  const [begin, end] = [[], []];
  for (let i = 0; i < spans.count; i++) {
    if (end.length && spans.begin[i] <= end[end.length - 1]) {
      end[end.length - 1] = Math.max(end[end.length - 1], spans.end[i]);
    } else if (spans.end[i] > spans.begin[i]) {
      begin.push(spans.begin[i]);
      end.push(spans.end[i]);
    }
  }
  return new Spans(Float64Array.from(begin), Float64Array.from(end));
}

/** The same for spans in the order of their ends: from the last to the first. */
function unionByEnd(/** @type {Spans} */ spans) {
  const [begin, end] = [[], []];
  for (let i = spans.count - 1; i >= 0; i--) {
    if (begin.length && spans.end[i] >= begin[begin.length - 1]) {
      begin[begin.length - 1] = Math.min(begin[begin.length - 1], spans.begin[i]);
    } else if (spans.end[i] > spans.begin[i]) {
      begin.push(spans.begin[i]);
      end.push(spans.end[i]);
    }
  }
  return new Spans(Float64Array.from(begin.reverse()), Float64Array.from(end.reverse()));
}

/** Tasks that do not overlap share a lane: the fewest lanes there can be. */
function pack(/** @type {Task[]} */ tasks) {
  /** @type {Task[][]} */
  const lanes = [];
  // A heap of [end, lane], the earliest end first.
  const heap = [];
  const sink = () => {
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let least = i;
      if (left < heap.length && heap[left][0] < heap[least][0]) least = left;
      if (right < heap.length && heap[right][0] < heap[least][0]) least = right;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least], heap[i]];
      i = least;
    }
  };
  for (const task of tasks) {
    if (heap.length && heap[0][0] <= task.from) {
      lanes[heap[0][1]].push(task);
      heap[0][0] = task.to;
      sink();
      continue;
    }
    lanes.push([task]);
    let i = heap.push([task.to, lanes.length - 1]) - 1;
    while (i > 0 && heap[(i - 1) >> 1][0] > heap[i][0]) {
      const parent = (i - 1) >> 1;
      [heap[i], heap[parent]] = [heap[parent], heap[i]];
      i = parent;
    }
  }
  return lanes;
}

/** Tasks of one coroutine. */
class Group {
  constructor(/** @type {Model} */ model, /** @type {number} */ coroutine, /** @type {Task[]} */ tasks) {
    this.model = model;
    this.coroutine = coroutine;
    this.tasks = tasks.sort((a, b) => a.from - b.from || a.number - b.number);
    this.packed = pack(this.tasks).map((lane) => new Lane(model, lane));
    this.sum = new Lane(model, this.tasks, true);
    this.busy = 0;
    for (const task of tasks)
      for (let i = task.first; i < task.last; i++) this.busy += model.steps.length[model.order[i]];
    this.closed = this.packed.length > MANY_LANES;
    /** @type {Lane[] | null} */
    this.single = null;
  }

  /** @param {boolean} packed @returns {Lane[]} */
  lanes(packed) {
    if (packed) return this.packed;
    return (this.single ??= this.tasks.map((task) => new Lane(this.model, [task])));
  }
}

/** @param {Model} model @param {(task: Task) => boolean} [wanted] @returns {Group[]} The busiest first. */
function groupsOf(model, wanted = () => true) {
  /** @type {Map<number, Task[]>} */
  const groups = new Map();
  for (const task of model.tasks.values()) {
    if (!wanted(task)) continue;
    const list = groups.get(task.coroutine);
    if (list) list.push(task);
    else groups.set(task.coroutine, [task]);
  }
  const made = [...groups].map(([coroutine, tasks]) => new Group(model, coroutine, tasks));
  return made.sort((a, b) => b.busy - a.busy || a.coroutine - b.coroutine);
}

/**
 * @typedef {{kind: "loop" | "group" | "lane", y: number, height: number, loop?: any, group?: Group, lane?: Lane}} Row
 */

/** @param {Model} model @param {Group[]} groups @param {boolean} packed */
function layOut(model, groups, packed) {
  /** @type {Row[]} */
  const rows = [];
  /** Where each task is drawn. @type {Map<Task, Row>} */
  const rowOf = new Map();
  let y = 0;
  for (const loop of model.loops) {
    rows.push({ kind: "loop", y, height: HEIGHT.loop, loop });
    y += HEIGHT.loop;
  }
  for (const group of groups) {
    y += HEIGHT.gap;
    /** @type {Row} */
    const head = { kind: "group", y, height: HEIGHT.group, group };
    rows.push(head);
    y += HEIGHT.group;
    if (group.closed) {
      for (const task of group.tasks) rowOf.set(task, head);
      continue;
    }
    for (const lane of group.lanes(packed)) {
      /** @type {Row} */
      const row = { kind: "lane", y, height: HEIGHT.lane, group, lane };
      rows.push(row);
      for (const task of lane.tasks) rowOf.set(task, row);
      y += HEIGHT.lane;
    }
  }
  return { rows, rowOf, height: y + 40 };
}

/** The first row that ends below a height. */
function rowAt(/** @type {Row[]} */ rows, /** @type {number} */ y) {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle].y + rows[middle].height > y) high = middle;
    else low = middle + 1;
  }
  return low;
}
