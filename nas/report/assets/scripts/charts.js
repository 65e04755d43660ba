// Accuracy against multiply-adds, and reward over trials: one point a trial, what failed in a strip below.
const MARKS = { circle: "●", diamond: "◆", square: "■", triangle: "▲", pentagon: "⬟", hexagon: "⬢", star: "★" };
const shapeOf = (run) => (several ? SHAPES[run % 7] : "circle");
const sizeFor = (count) => (count > 1500 ? 2.5 : count > 300 ? 3 : 4.5);
/** One run: later trials are stronger in colour. Several: one colour and one shape a run. */
function shades(run, chosen) {
  if (several) return series(run);
  const last = Math.max(1, chosen.at(-1) ?? 1);
  return chosen.map((i) => `color-mix(in srgb, var(--late) ${10 * Math.round((10 * i) / last)}%, var(--early))`);
}
/** Chosen trials that succeeded, by two of their columns. */
function pointsOf(run, chosen, x, y) {
  const items = chosen.map((i) => trial(run, i));
  const across = x === "number" ? chosen : column(run, x, chosen);
  return [{ kind: "points", name: "trials", x: across, y: column(run, y, chosen), items, colour: shades(run, chosen), shape: shapeOf(run), size: sizeFor(chosen.length), back: true }];
}
function trialLayers(run, x, y) {
  const [good, bad] = [succeeded(run), failed(run)];
  const items = (chosen) => chosen.map((i) => trial(run, i));
  const across = (chosen) => (x === "number" ? chosen : column(run, x, chosen));
  const layers = pointsOf(run, good, x, y);
  if (bad.length) layers.push({ kind: "points", name: "failed", failed: true, x: across(bad), y: [], items: items(bad), size: 4, back: true });
  return layers;
}
const values = (name) => data.runs.flatMap((_, r) => column(r, name, succeeded(r)));
const knownReferences = () => data.runs.flatMap((run, r) => run.references.map((_, i) => reference(r, i)).filter((item) => item.accuracy !== null));

/** What an axis is called; runs of different settings never share one silently. */
const named = (what) => (new Set(data.runs.map((run) => run.scale)).size > 1 ? `${what}, no match between runs` : what);

function tradeoffFigure() {
  const known = knownReferences();
  const limits = robust([...values("accuracy")]);
  for (const { accuracy } of known) [limits[0], limits[1]] = [Math.min(limits[0], accuracy), Math.max(limits[1], accuracy)];
  const [low, high] = padded(limits);
  const curves = several ? [] : data.runs[0].iso_rewards;
  const layers = [
    ...curves.map((curve) => ({ kind: "line", name: "equal reward", x: curve.macs, y: curve.accuracy, cut: true, colour: "var(--muted)", dash: "1 4", width: 1.2 })),
    ...data.runs.flatMap((_, r) => trialLayers(r, "macs", "accuracy")),
    ...data.runs.flatMap((run, r) => {
      const [x, y] = [column(r, "macs", run.front), column(r, "accuracy", run.front)];
      const colour = several ? series(r) : "var(--front)";
      return [{ kind: "line", name: "front line", x, y, colour, steps: true },
        { kind: "points", name: "front", x, y, items: run.front.map((i) => trial(r, i)), colour, shape: "diamond", size: 5 }];
    }),
    { kind: "points", name: "reference", x: known.map((k) => k.macs), y: known.map((k) => k.accuracy), items: known, colour: "var(--series-5)", shape: "star", size: 7, edged: true },
  ];
  const targets = new Set(data.runs.map((run) => run.target).filter(Boolean));
  const all = [...values("macs"), ...known.map((k) => k.macs), ...targets, ...data.runs.flatMap((_, r) => column(r, "macs", failed(r)))];
  const across = padded([Math.min(...all), Math.max(...all)], 0.06);
  const labels = [...Map.groupBy(known, (k) => `${k.name} ${k.macs} ${k.accuracy}`).values()].map(([k, ...others]) =>
    ({ x: k.macs, y: k.accuracy, text: several && !others.length ? `${k.name} (${data.runs[k.run].name})` : k.name }));
  for (const curve of curves) {
    const inside = curve.macs.map((_, i) => i).filter((i) => curve.accuracy[i] >= low && curve.accuracy[i] <= high && curve.macs[i] <= across[1]);
    if (inside.length) labels.push({ x: curve.macs[inside.at(-1)], y: curve.accuracy[inside.at(-1)], text: curve.reward.toFixed(3), colour: "var(--muted)" });
  }
  return {
    x: { title: "multiply-adds", amounts: true, limits: across },
    y: { title: named("accuracy"), percent: true, limits: [low, Math.min(high, 1.01)] },
    layers, labels, rules: [...targets].map((target) => ({ x: target, colour: "var(--text)" })),
  };
}

/** The best so far of each run; random search, where it is among the runs, is the dashed control. */
function progressFigure() {
  const best = data.runs.map((run, r) => {
    const control = several && run.is_random;
    const colour = several ? (control ? "var(--muted)" : series(r)) : "var(--front)";
    return { kind: "line", name: "best", x: run.best_so_far.map((s) => s[0]), y: run.best_so_far.map((s) => s[1]), colour, width: 2.5, dash: control ? "6 4" : "", steps: true };
  });
  const last = Math.max(1, ...data.runs.map((run) => run.trials.macs.length - 1));
  return {
    x: { title: "trial", limits: [-0.02 * last, 1.02 * last], whole: true },
    y: { title: named("reward"), limits: padded(robust(values("reward"))) },
    layers: [...data.runs.flatMap((_, r) => trialLayers(r, "number", "reward")), ...best.filter((line) => line.x.length)],
  };
}

const guessed = (run) => succeeded(run).filter((i) => data.runs[run].trials.shared_loss[i] !== null);
/** What was trained, against what shared weights had said of it. */
function sharingFigure() {
  return {
    x: { title: "loss by shared weights, nats" },
    y: { title: named("accuracy"), percent: true },
    layers: data.runs.flatMap((_, r) => pointsOf(r, guessed(r), "shared_loss", "accuracy")),
  };
}
/** The section, where any of the runs had shared weights. */
function sharingSection() {
  byId("sharing").hidden = !data.runs.some((_, r) => guessed(r).length);
  const texts = data.runs.filter((run) => run.shared_text).map((run) => (several ? `${run.name}: ` : "") + run.shared_text);
  byId("sharing-note").textContent = texts.join(" ");
}

function drawLegends() {
  const bad = () => data.runs.some((_, r) => failed(r).length) ? [legendEntry("var(--failed)", "×", "failed or diverged")] : [];
  const runs = () => several
    ? data.runs.map((run, r) => legendEntry(series(r), MARKS[shapeOf(r)], run.is_random ? `${run.name} (random search, the control)` : run.name))
    : [legendEntry("var(--late)", "●", "trial, later ones stronger")];
  const star = knownReferences().length ? [legendEntry("var(--series-5)", "★", "known network")] : [];
  const reached = values("accuracy");
  const outside = Math.min(...reached) < robust(reached)[0];
  const low = () => (outside ? [legendEntry("var(--early)", "▼", "below the axis")] : []);
  byId("tradeoff-legend").replaceChildren(...runs(), ...(several ? [] : [legendEntry("var(--front)", "◆", "Pareto front")]), ...star,
    legendEntry("var(--text)", "┆", "target"), ...(several ? [] : [legendEntry("var(--muted)", "┈", "equal reward")]), ...low(), ...bad());
  byId("progress-legend").replaceChildren(...runs(), ...(several ? [] : [legendEntry("var(--front)", "━", "best so far")]), ...low(), ...bad());
}
