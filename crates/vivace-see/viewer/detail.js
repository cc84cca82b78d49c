// What is known of whatever is under the mouse, and of the task that was chosen.

/** @param {any} state @param {any} under What `hit` found. @returns {string[]} */
function tipLines(state, under) {
  /** @type {Model} */
  const model = state.model;
  const { steps } = model;
  if (under.task) {
    const { task, step, kind } = under;
    const lines = [`${model.label(task)}  ${model.text(task.coroutine)}`];
    if (kind === "running" || kind === "ready") {
      const long = steps.length[step] >= model.meta.blocked;
      lines.push(`ran ${duration(steps.length[step])}${long ? ": the loop was blocked" : ""}`);
      lines.push(`was ready for ${duration(steps.delay[step])} before`);
      lines.push(`woken by ${model.actor(steps.waker[step])}`);
    } else {
      const since = step >= 0 ? model.stepEnd(step) : task.from;
      const reason = step >= 0 ? model.text(steps.reason[step]) : "";
      lines.push(`waits${reason ? ` for ${reason}` : ""}: ${duration(under.until - since)}`);
    }
    return lines;
  }
  if (under.what) {
    const { what, spans, at } = under;
    const took = duration(spans.end[at] - spans.begin[at]);
    if (what === "steps") {
      const task = model.tasks.get(steps.task[spans.ids[at]]);
      return [`${model.label(task)}  ${model.text(task.coroutine)}`, `ran ${took}`];
    }
    if (what === "callbacks") return [`callback ${model.text(spans.ids[at])}`, model.place(spans.ids[at]), `ran ${took}`];
    if (what === "gc") return [`garbage collection, generation ${spans.ids[at]}`, took];
    if (what === "gilWait") return ["the loop waits for the GIL", took];
    return [`nothing to do: waits for events`, took];
  }
  if (under.row?.kind === "group") {
    const { group } = under.row;
    return [
      model.text(group.coroutine) || "unknown coroutine",
      model.place(group.coroutine),
      `${several(group.tasks.length, "task")}, ${group.packed.length} at a time at most, ran ${duration(group.busy)}`,
    ].filter(Boolean);
  }
  return [];
}

/** A list of names and values. */
function facts(/** @type {[string, string | Node][]} */ pairs) {
  const list = element("dl", {});
  for (const [name, value] of pairs) list.append(element("dt", {}, name), element("dd", {}, value));
  return list;
}

/** Fills the panel of the chosen task. @param {HTMLElement} panel @param {any} app */
function fillDetail(panel, app) {
  const { state } = app;
  const chosen = state.selected;
  panel.hidden = !chosen;
  if (!chosen) return;
  /** @type {Model} */
  const model = state.model;
  /** @type {{task: Task, step: number}} */
  const { task, step } = chosen;
  const { steps, order } = model;
  const link = (/** @type {number} */ waker, time = NaN) => {
    const other = model.tasks.get(actorTask(waker));
    const text = model.actor(waker);
    if (!other) return document.createTextNode(text);
    return element("button", {
      className: "link",
      onclick: () => app.choose(other, Number.isNaN(time) ? -1 : model.order[model.stepAt(other, time)] ?? -1, true),
    }, text);
  };
  let [busy, delay, longest, longestDelay] = [0, 0, -1, -1];
  /** @type {Map<number, number>} */
  const waits = new Map();
  for (let i = task.first; i < task.last; i++) {
    const its = order[i];
    busy += steps.length[its];
    delay += steps.delay[its];
    if (longest < 0 || steps.length[its] > steps.length[longest]) longest = its;
    if (longestDelay < 0 || steps.delay[its] > steps.delay[longestDelay]) longestDelay = its;
    const until = i + 1 < task.last ? model.ready(order[i + 1]) : task.to;
    const reason = steps.reason[its];
    waits.set(reason, (waits.get(reason) ?? 0) + Math.max(0, until - model.stepEnd(its)));
  }
  const life = task.to - task.from;
  const share = (/** @type {number} */ part) => `${duration(part)}  (${percent(life > 0 ? part / life : 0)})`;
  const outcome = { ok: "returned", failed: "failed", cancelled: "was cancelled" }[task.outcome];
  const stepLink = (/** @type {number} */ its, /** @type {string} */ text) =>
    element("button", { className: "link", onclick: () => app.choose(task, its, true) }, text);
  panel.replaceChildren(
    element("button", { className: "close", title: "Close (Esc)", onclick: () => app.choose(null) }, "×"),
    element("h2", {}, model.label(task)),
    element("p", { className: "code" }, model.text(task.coroutine), element("br", {}), model.place(task.coroutine)),
    facts([
      ["created", Number.isNaN(task.created) ? "before the trace" : `at ${duration(task.created)}`],
      ...(task.creator ? [/** @type {[string, Node]} */ (["by", link(task.creator, task.created)])] : []),
      ...(task.site ? [/** @type {[string, string]} */ (["in", `${model.text(task.site)} ${model.place(task.site)}`])] : []),
      ["ended", outcome ? `${outcome} at ${duration(task.ended)}` : "still there at the end"],
      ...task.cancels.map((cancel) => /** @type {[string, Node]} */ (["cancel by", element("span", {}, link(cancel.by, cancel.time), ` at ${duration(cancel.time)}`)])),
      ["lived", duration(life)],
      ["steps", grouped(task.last - task.first)],
      ["ran", share(busy)],
      ["was ready", share(delay)],
      ["waited", share(Math.max(0, life - busy - delay))],
      ...(longest >= 0 ? [/** @type {[string, Node]} */ (["longest step", stepLink(longest, duration(steps.length[longest]))])] : []),
      ...(longestDelay >= 0 ? [/** @type {[string, Node]} */ (["longest ready", stepLink(longestDelay, duration(steps.delay[longestDelay]))])] : []),
    ]),
  );
  const list = [...waits].filter(([reason, sum]) => reason && sum > 0).sort((a, b) => b[1] - a[1]).slice(0, 8);
  if (list.length) panel.append(element("h3", {}, "Waited for"), facts(list.map(([reason, sum]) => [duration(sum), `${model.text(reason)}  ${model.place(reason)}`])));
  if (step >= 0) {
    panel.append(
      element("h3", {}, "This step"),
      facts([
        ["began", `at ${duration(steps.begin[step])}`],
        ["ran", duration(steps.length[step]) + (steps.length[step] >= model.meta.blocked ? ": the loop was blocked" : "")],
        ["was ready", duration(steps.delay[step])],
        ["woken by", link(steps.waker[step], model.ready(step))],
        ...(steps.reason[step] ? [/** @type {[string, string]} */ (["then waits", `for ${model.text(steps.reason[step])} ${model.place(steps.reason[step])}`])] : []),
      ]),
      element("p", { className: "buttons" },
        element("button", { onclick: () => app.nextStep(-1), title: "," }, "‹ step before"),
        element("button", { onclick: () => app.nextStep(1), title: "." }, "step after ›")),
    );
  }
  panel.append(element("p", { className: "buttons" },
    element("button", { id: "path", onclick: () => app.togglePath() }, state.path.length ? "Hide the critical path" : "Critical path of this task"),
    element("button", { onclick: () => app.showTask(task) }, "Show its whole life")));
  if (state.path.length) {
    const total = state.path.reduce((/** @type {number} */ sum, /** @type {Segment} */ part) => sum + part.to - part.from, 0);
    const rows = shares(model, state.path).slice(0, 14).map((entry) => {
      const bar = element("span", { className: `bar ${entry.kind}` });
      bar.style.width = `${Math.max(1, (entry.sum / total) * 100)}%`;
      return element("li", {}, element("span", { className: "sum" }, `${duration(entry.sum)}  ${percent(entry.sum / total)}`), entry.text, bar);
    });
    panel.append(element("h3", {}, "Critical path: what it had to wait for"), element("ol", { className: "path" }, ...rows));
  }
}
