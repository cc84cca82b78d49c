// Reads the trace, keeps what is in view, listens to keyboard and mouse, and has all drawn.

const KEYS = [
  ["+ −  or wheel", "zoom"], ["← →  or drag", "move in time"], ["↑ ↓  or Shift wheel", "scroll"],
  ["0", "show all"], ["/", "search a task, a function or file:line; Enter goes to the next"],
  ["n  N", "next, previous time that the loop was blocked"], [",  .", "step before, step after"],
  ["c", "critical path of the chosen task"], ["l", "a lane for each task, or shared lanes"],
  ["o", "open or close all groups"], ["t", "light or dark"], ["Esc", "let go"], ["?", "this list"],
];

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

class App {
  constructor(/** @type {Model} */ model) {
    this.groups = groupsOf(model);
    this.state = {
      model, t0: 0, t1: Math.max(1, model.end), scroll: 0, packed: true, query: "", cursor: /** @type {number | null} */ (null),
      selected: /** @type {{task: Task, step: number} | null} */ (null), path: /** @type {Segment[]} */ ([]),
      layout: layOut(model, this.groups, true), matches: /** @type {Task[]} */ ([]),
    };
    this.pending = false;
    this.match = -1;
    this.timeline = byId("timeline");
    this.overview = byId("overview");
  }

  /** Has all drawn once, soon. */
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    this.pending = false;
    drawOverview(this.overview, this.state);
    drawTimeline(this.timeline, this.state);
  }

  get room() {
    return Math.max(1, this.timeline.clientWidth - GUTTER);
  }

  /** Shows a part of the trace. */
  show(/** @type {number} */ from, /** @type {number} */ to) {
    const { model } = this.state;
    const end = Math.max(1, model.end);
    const length = Math.min(end * 1.02, Math.max(200, to - from));
    let begin = from + (to - from - length) / 2;
    begin = Math.max(-end * 0.01, Math.min(begin, end * 1.01 - length));
    this.state.t0 = begin;
    this.state.t1 = begin + length;
    this.draw();
  }

  zoom(/** @type {number} */ factor, /** @type {number} */ around) {
    const { t0, t1 } = this.state;
    this.show(around - (around - t0) * factor, around + (t1 - around) * factor);
  }

  pan(/** @type {number} */ share) {
    const by = (this.state.t1 - this.state.t0) * share;
    this.show(this.state.t0 + by, this.state.t1 + by);
  }

  scrollTo(/** @type {number} */ y) {
    const most = Math.max(0, this.state.layout.height - (this.timeline.clientHeight - AXIS));
    this.state.scroll = Math.max(0, Math.min(y, most));
    this.draw();
  }

  layOut() {
    this.state.layout = layOut(this.state.model, this.groups, this.state.packed);
    this.scrollTo(this.state.scroll);
  }

  /** @param {Task | null} task @param {number} step @param {boolean} reveal Brings it into view. */
  choose(task, step = -1, reveal = false) {
    if (this.state.selected?.task !== task) this.state.path = [];
    this.state.selected = task && { task, step };
    fillDetail(byId("detail"), this);
    if (task && reveal) this.reveal(task, step);
    this.resized();
  }

  reveal(/** @type {Task} */ task, /** @type {number} */ step) {
    let row = this.state.layout.rowOf.get(task);
    if (!row) {
      this.search("");
      row = this.state.layout.rowOf.get(task);
    }
    if (row?.kind === "group" && row.group) {
      row.group.closed = false;
      this.layOut();
      row = this.state.layout.rowOf.get(task);
    }
    if (row && (row.y < this.state.scroll || row.y + row.height > this.state.scroll + this.timeline.clientHeight - AXIS))
      this.scrollTo(row.y - this.timeline.clientHeight / 3);
    const { model, t0, t1 } = this.state;
    const [from, to] = step >= 0 ? [model.ready(step), model.stepEnd(step)] : [task.from, task.to];
    if (from < t0 || to > t1) {
      const half = Math.max((t1 - t0) / 2, (to - from) * 0.7);
      this.show((from + to) / 2 - half, (from + to) / 2 + half);
    } else if (step >= 0 && to - from < (t1 - t0) / this.room) {
      const half = (to - from) * 20;
      this.show((from + to) / 2 - half, (from + to) / 2 + half);
    }
  }

  showTask(/** @type {Task} */ task) {
    const more = (task.to - task.from) * 0.03;
    this.show(task.from - more, task.to + more);
  }

  nextStep(/** @type {number} */ by) {
    const { selected, model } = this.state;
    if (!selected || selected.task.first === selected.task.last) return;
    const { task } = selected;
    let at = selected.step >= 0 ? model.stepAt(task, model.steps.begin[selected.step]) + by : task.first;
    at = Math.max(task.first, Math.min(at, task.last - 1));
    this.choose(task, model.order[at], true);
  }

  nextBlock(/** @type {number} */ by) {
    const { model, t0, t1 } = this.state;
    const middle = (t0 + t1) / 2;
    const found = by > 0
      ? model.blocks.find((block) => (block.begin + block.end) / 2 > middle + 1)
      : model.blocks.filter((block) => (block.begin + block.end) / 2 < middle - 1).pop();
    if (!found) return;
    const half = Math.min((t1 - t0) / 2, (found.end - found.begin) * 2);
    const at = (found.begin + found.end) / 2;
    this.show(at - half, at + half);
    if (found.step >= 0) this.choose(/** @type {Task} */ (model.tasks.get(model.steps.task[found.step])), found.step, true);
  }

  togglePath() {
    const { selected, model, path } = this.state;
    if (!selected) return;
    this.state.path = path.length ? [] : criticalPath(model, selected.task);
    fillDetail(byId("detail"), this);
    this.draw();
  }

  setLanes(/** @type {boolean} */ packed) {
    this.state.packed = packed;
    byId("pack").textContent = packed ? "Lanes: packed" : "Lanes: one a task";
    this.layOut();
  }

  openAll() {
    const open = this.groups.some((group) => group.closed);
    for (const group of this.groups) group.closed = !open;
    this.layOut();
  }

  /** Only tasks whose name, function or place has the words are shown. */
  search(/** @type {string} */ query) {
    const { model } = this.state;
    this.state.query = query;
    if (byId("search").value !== query) byId("search").value = query;
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    /** @type {Map<number, string>} */
    const texts = new Map();
    const text = (/** @type {number} */ name) => {
      let made = texts.get(name);
      if (made === undefined) texts.set(name, (made = `${model.text(name)} ${model.place(name)}`.toLowerCase()));
      return made;
    };
    const wanted = (/** @type {Task} */ task) => {
      const all = `${model.label(task).toLowerCase()} ${text(task.coroutine)} ${text(task.site)}`;
      return words.every((word) => all.includes(word));
    };
    this.groups = words.length ? groupsOf(model, wanted) : groupsOf(model);
    this.state.matches = words.length ? this.groups.flatMap((group) => group.tasks) : [];
    this.match = -1;
    byId("matches").textContent = words.length ? several(this.state.matches.length, "task") : "";
    this.layOut();
  }

  nextMatch(/** @type {number} */ by) {
    const { matches } = this.state;
    if (!matches.length) return;
    this.match = (this.match + by + matches.length) % matches.length;
    byId("matches").textContent = `${this.match + 1} of ${several(matches.length, "task")}`;
    const task = matches[this.match];
    this.choose(task, task.first < task.last ? this.state.model.order[task.first] : -1, true);
  }

  toggleTheme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    readColours();
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === byId("search")) {
      if (event.key === "Enter") this.nextMatch(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") {
        this.search("");
        this.timeline.focus();
      } else return;
      event.preventDefault();
      return;
    }
    const { t0, t1 } = this.state;
    const around = this.state.cursor ?? (t0 + t1) / 2;
    /** @type {Object<string, () => void>} */
    const actions = {
      "+": () => this.zoom(0.6, around), "=": () => this.zoom(0.6, around), "-": () => this.zoom(1 / 0.6, around),
      w: () => this.zoom(0.6, around), s: () => this.zoom(1 / 0.6, around),
      ArrowLeft: () => this.pan(-0.15), ArrowRight: () => this.pan(0.15), a: () => this.pan(-0.15), d: () => this.pan(0.15),
      ArrowUp: () => this.scrollTo(this.state.scroll - 60), ArrowDown: () => this.scrollTo(this.state.scroll + 60),
      PageUp: () => this.scrollTo(this.state.scroll - this.timeline.clientHeight * 0.8),
      PageDown: () => this.scrollTo(this.state.scroll + this.timeline.clientHeight * 0.8),
      0: () => this.show(0, this.state.model.end), Home: () => this.show(0, this.state.model.end),
      "/": () => byId("search").focus(), n: () => this.nextBlock(1), N: () => this.nextBlock(-1),
      ",": () => this.nextStep(-1), ".": () => this.nextStep(1), c: () => this.togglePath(),
      l: () => this.setLanes(!this.state.packed), o: () => this.openAll(), t: () => this.toggleTheme(),
      "?": () => byId("keys").showModal(), Escape: () => this.choose(null),
    };
    const action = actions[event.key];
    if (!action || byId("keys").open) return;
    // Buttons have keys of their own.
    if (event.target instanceof HTMLButtonElement && ["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    action();
  }

  resized() {
    this.scrollTo(this.state.scroll);
  }

  watchTimeline() {
    const canvas = this.timeline;
    const tip = byId("tip");
    /** @type {{x: number, y: number, t0: number, t1: number, scroll: number, moved: boolean} | null} */
    let drag = null;
    const place = (/** @type {MouseEvent} */ event) => {
      const { left, top } = canvas.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    const under = (/** @type {MouseEvent} */ event) => {
      const [x, y] = place(event);
      return hit(this.state, x, y, canvas.clientWidth);
    };
    canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      const { t0, t1, scroll } = this.state;
      drag = { x: event.clientX, y: event.clientY, t0, t1, scroll, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const [x, y] = place(event);
      this.state.cursor = x >= GUTTER ? this.state.t0 + ((x - GUTTER) / this.room) * (this.state.t1 - this.state.t0) : null;
      if (drag) {
        const [right, down] = [event.clientX - drag.x, event.clientY - drag.y];
        drag.moved ||= Math.abs(right) + Math.abs(down) > 4;
        if (drag.moved) {
          tip.hidden = true;
          const by = (-right / this.room) * (drag.t1 - drag.t0);
          this.show(drag.t0 + by, drag.t1 + by);
          this.scrollTo(drag.scroll - down);
          return;
        }
      }
      const found = under(event);
      const lines = found ? tipLines(this.state, found) : [];
      tip.hidden = lines.length === 0;
      tip.replaceChildren(...lines.map((line) => element("div", {}, line)));
      const stage = canvas.getBoundingClientRect();
      tip.style.left = `${Math.max(0, Math.min(x + 14, stage.width - tip.offsetWidth - 4))}px`;
      tip.style.top = `${y + 18 + tip.offsetHeight > stage.height ? y - tip.offsetHeight - 8 : y + 18}px`;
      canvas.style.cursor = found && (found.task || found.row.kind === "group") ? "pointer" : "default";
      this.draw();
    });
    canvas.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      const click = drag && !drag.moved;
      drag = null;
      if (!click) return;
      const found = under(event);
      if (!found) return this.choose(null);
      if (found.row.kind === "group") {
        found.row.group.closed = !found.row.group.closed;
        return this.layOut();
      }
      if (found.task) return this.choose(found.task, found.step);
      if (found.what === "steps") {
        const step = found.spans.ids[found.at];
        return this.choose(this.state.model.tasks.get(this.state.model.steps.task[step]) ?? null, step, true);
      }
      if (found.row.lane?.tasks.length === 1 && !("time" in found)) return this.choose(found.row.lane.tasks[0], -1, true);
      this.choose(null);
    });
    canvas.addEventListener("pointerleave", () => {
      tip.hidden = true;
      this.state.cursor = null;
      this.draw();
    });
    canvas.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      const [x] = place(event);
      if (event.shiftKey || x < GUTTER) return this.scrollTo(this.state.scroll + event.deltaY + event.deltaX);
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) return this.pan(event.deltaX / this.room);
      const { t0, t1 } = this.state;
      this.zoom(Math.exp(event.deltaY * 0.002), t0 + ((x - GUTTER) / this.room) * (t1 - t0));
    }, { passive: false });
  }

  listen() {
    this.watchTimeline();
    watchOverview(this.overview, this);
    addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resized()).observe(byId("stage"));
    byId("search").addEventListener("input", () => this.search(byId("search").value));
    byId("pack").addEventListener("click", () => this.setLanes(!this.state.packed));
    byId("fit").addEventListener("click", () => this.show(0, this.state.model.end));
    byId("theme").addEventListener("click", () => this.toggleTheme());
    byId("help").addEventListener("click", () => byId("keys").showModal());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      readColours();
      this.draw();
    });
    byId("keys").append(
      element("h2", {}, "Keys"),
      facts(KEYS.map(([key, what]) => /** @type {[string, string]} */ ([key, what]))),
      element("p", { className: "legend" },
        ...["running", "ready", "waiting", "blocked", "callback", "gc", "gil"].map((name) =>
          element("span", { className: `key ${name}` }, { gc: "garbage collection", gil: "waits for the GIL" }[name] ?? name))),
      element("form", { method: "dialog" }, element("button", {}, "Close")),
    );
  }
}

async function open() {
  const began = performance.now();
  const meta = JSON.parse(byId("meta").textContent);
  const script = byId("data");
  const bytes = await inflate(fromBase64(script.textContent.trim()));
  // Some steps are counted and not told of; nobody has written more than fit into the bytes.
  const data = decode(bytes, Math.min(meta.summary.counted_steps, bytes.length));
  script.remove();
  const model = new Model(data, meta);
  const app = new App(model);
  const { summary } = meta;
  document.title = `${shown(meta.command)} – vivace trace`;
  byId("command").textContent = shown(meta.command);
  byId("command").title = shown(meta.command);
  byId("summary").textContent = [
    duration(summary.seconds * 1e9), several(summary.tasks, "task"), several(summary.counted_steps, "step"),
    ...(summary.dropped ? [`${several(summary.dropped, "event")} dropped`] : []),
  ].join(" · ");
  readColours();
  app.listen();
  byId("loading").remove();
  app.drawNow();
  byId("timeline").focus();
  return { app, model, sums: model.sums, opened: performance.now() - began };
}

// For tests, and for whoever wants to know more in the browser's console.
globalThis.vivace = open().catch((error) => {
  byId("loading").textContent = `This trace cannot be shown: ${error.message}`;
  throw error;
});
