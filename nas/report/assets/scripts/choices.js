// What was proposed, choice by choice, beside what the policy says; folded below, what the policy said after each batch.
const NO_POLICY = "policy";

/** Share of the networks of a batch (of those in which the decision applies) that took each choice of some decisions. */
function sharesOf(run, decisions) {
  const { tokens, batch } = data.runs[run].trials;
  const batches = data.runs[run].shown_batches;
  const column = new Map(batches.flatMap(([first, last], c) => Array.from({ length: last - first + 1 }, (_, i) => [first + i, c])));
  const counts = new Map();
  const totals = batches.map(() => 0);
  for (let i = 0; i < batch.length; i++) {
    const c = column.get(batch[i]);
    if (c === undefined) continue;
    for (const decision of decisions) {
      const token = tokens[i]?.[decision.index];
      if (token === undefined || !applies(data.runs[run].decisions[decision.index], tokens[i])) continue;
      totals[c] += 1;
      const choice = decision.choices[token];
      if (!counts.has(choice)) counts.set(choice, batches.map(() => 0));
      counts.get(choice)[c] += 1;
    }
  }
  return (choice) => totals.map((total, c) => (total ? (counts.get(choice)?.[c] ?? 0) / total : null));
}
const applies = (decision, tokens) => decision.requires.every(([index, allowed]) => allowed.includes(tokens[index]));

/** Decisions of the same kind in all blocks (op, kernel, ...), with the choices that any of them has. */
function kinds(run) {
  const decisions = data.runs[run].decisions.map((decision, index) => ({ ...decision, index }));
  return [...Map.groupBy(decisions, (decision) => decision.name.split(".").at(-1))].map(([name, own]) =>
    ({ name, decisions: own, choices: [...new Set(own.flatMap((decision) => decision.choices))] }));
}
/** What the policy says of a choice, as the mean over the decisions that offer it; null where it says nothing. */
function policyOf(run, kind, choice) {
  const told = data.runs[run].beliefs;
  if (!told) return null;
  const said = kind.decisions.map((d) => { const c = d.choices.indexOf(choice); return c < 0 ? 0 : told.decisions[d.index].rows[c].at(-1) / 1000; });
  return said.reduce((sum, p) => sum + p, 0) / said.length;
}
const MOST_CHOICES = 8;
function addShares(run, parent) {
  clearCharts(parent);
  const shown = kinds(run).filter((kind) => kind.choices.length <= MOST_CHOICES);
  const { beliefs, shown_batches: batches } = data.runs[run];
  for (const kind of shown) {
    const share = sharesOf(run, kind.decisions);
    const rows = kind.choices.map((choice) => ({ choice, text: `${kind.name} ${choice}`, values: [...share(choice), null, ...(beliefs ? [policyOf(run, kind, choice)] : [])] }));
    const node = element("div", { "data-kind": kind.name, role: "img", "aria-label": `Heat map: share of the choices of ${kind.name} over batches, and the policy's` });
    node.style.height = `${rows.length * 20 + 44}px`;
    parent.append(element("figure", {}, element("figcaption", {}, kind.name), node));
    const columns = [...batches.map(([a, b]) => (a === b ? `batch ${a + 1}` : `batches ${a + 1} to ${b + 1}`)), "", ...(beliefs ? [NO_POLICY] : [])];
    addChart(node, () => heatFigure(rows.map((row) => ({ ...row, name: row.choice })), columns, batches.map(([a]) => a + 1))).draw();
  }
}
function heatFigure(rows, columns, batches) {
  const middle = (i) => i + 0.5;
  const every = Math.ceil(batches.length / 6);
  const named = batches.map((batch, i) => [middle(i), String(batch)]).filter((_, i) => i % every === 0);
  if (columns.at(-1) === NO_POLICY) named.push([middle(columns.length - 1), NO_POLICY]);
  return {
    right: 26,
    x: { bare: true, limits: [0, columns.length], ticks: named },
    y: { bare: true, limits: [-rows.length, 0], ticks: rows.map((row, i) => [-middle(i), row.name]) },
    layers: [{ kind: "heat", rows, columns }],
  };
}

/** The policy's probabilities after each batch, one heat map a block. */
function addPolicy(run, parent) {
  const told = data.runs[run].beliefs;
  clearCharts(parent);
  if (!told) return;
  for (const [block, decisions] of Map.groupBy(told.decisions, (decision) => blockOf(decision.name))) {
    const rows = decisions.flatMap((d, i) => [
      ...(i ? [{ name: "", text: "", values: told.batch.map(() => null) }] : []),
      ...d.choices.map((choice, c) => ({ name: `${d.name.split(".").at(-1)} ${choice}`, text: `${d.name} ${choice}`, values: d.rows[c].map((p) => p / 1000) })),
    ]);
    const node = element("div", { "data-block": block, role: "img", "aria-label": `Heat map: probabilities of the choices of ${block} over batches` });
    node.style.height = `${rows.length * 15 + 44}px`;
    parent.append(element("figure", {}, element("figcaption", {}, block), node));
    addChart(node, () => heatFigure(rows, told.batch.map((b) => `batch ${b + 1}`), told.batch.map((b) => b + 1))).draw();
  }
}

const SIGNALS = {
  entropy: "Entropy of the policy, nats", baseline: "Baseline: moving mean of the reward", repeats: "Share of repeated networks",
  gradient_norm: "Norm of the policy's gradient", advantage_mean: "Advantage, mean", advantage_std: "Advantage, spread",
  loss: "REINFORCE loss of the policy", model_reward: "Reward that the model expects of the policy", trials_since_improvement: "Trials since the best network",
};
const SHARES = new Set(["repeats"]);
function addSignals(parent) {
  clearCharts(parent);
  const names = new Set(data.runs.flatMap((run) => Object.keys(run.signals.lines)));
  const ordered = [...Object.keys(SIGNALS).filter((name) => names.has(name)), ...[...names].filter((name) => !(name in SIGNALS))];
  for (const name of ordered) {
    const title = SIGNALS[name] ?? name.replaceAll("_", " ");
    const node = element("div", { "data-signal": name, role: "img", "aria-label": `Chart: ${title} over batches` });
    node.style.height = "150px";
    parent.append(element("figure", {}, element("figcaption", {}, title), node));
    const own = (run) => name in run.signals.lines;
    addChart(node, () => ({
      x: { whole: true },
      y: SHARES.has(name) ? { percent: true, limits: [-0.05, 1.05], ticks: [0, 0.5, 1].map((v) => [v, v]) } : {},
      layers: data.runs.flatMap((run, r) => (own(run) ? [{ kind: "line", name: run.name, x: run.signals.batch.map((b) => b + 1), y: run.signals.lines[name], colour: series(r) },
        { kind: "points", name: "batches", x: run.signals.batch.map((b) => b + 1), y: run.signals.lines[name], colour: series(r), size: run.signals.batch.length < 40 ? 2.5 : 0.5, texts: run.signals.lines[name].map((v, i) => `batch ${run.signals.batch[i] + 1}: ${v}`) }] : [])),
    })).draw();
  }
}
