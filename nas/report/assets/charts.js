// The charts. Points carry [run, trial] or [run, null, reference]; failed trials have a strip of their own at the bottom.
const TICKS = { tickformat: "~s" };
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "pentagon", "hexagon", "star"];

function described(custom) {
  if (!custom) return null;
  const [run, number, index] = custom;
  return number === null ? reference(run, index) : trial(run, number);
}
const indices = (run, wanted) => data.runs[run].trials.status.flatMap((status, i) => (wanted(status, i) ? [i] : []));
const succeeded = (run) => indices(run, (status) => status === "ok");
const failed = (run) => indices(run, (status) => status !== "ok" && status !== "pending");

function trialPoints(run, chosen, x, y, marker, extra = {}) {
  return { type: "scatter", mode: "markers", x, y, marker, customdata: chosen.map((i) => [run, i]), hoverinfo: "none", ...extra };
}
/** One run: later trials are stronger in colour. Several: one colour and one shape a run. */
function marker(run, chosen) {
  const size = chosen.length > 1500 ? 5 : chosen.length > 300 ? 6 : 8;
  if (several) return { size, color: seriesColour(run), symbol: SYMBOLS[run % 7], opacity: 0.6 };
  return { size, color: chosen, colorscale: [[0, css("--early")], [1, css("--late")]], opacity: 0.8 };
}
const failedMarker = () => ({ symbol: "x-thin", size: 8, line: { width: 2, color: css("--failed") } });
const column = (run, name, chosen) => chosen.map((i) => data.runs[run].trials[name][i]);

const anyFailed = () => data.runs.some((_, run) => failed(run).length);

/** Axes of a chart whose failed trials, if there are any, lie in a strip below the others. */
function splitAxes(xaxis, title, format) {
  const yaxis = { ...axis(), title: { text: title }, tickformat: format, zeroline: false };
  if (!anyFailed()) return { xaxis, yaxis };
  const strip = { ...axis(), domain: [0, 0.08], range: [-1, 1], tickvals: [0], ticktext: ["failed"], showgrid: false, zeroline: false, fixedrange: true, tickfont: { color: css("--failed") } };
  return { xaxis: { ...xaxis, anchor: "y2" }, yaxis: { ...yaxis, domain: [0.11, 1] }, yaxis2: strip };
}

function tradeoffFigure() {
  const traces = [];
  const shapes = [];
  const annotations = [];
  data.runs.forEach((run, r) => {
    if (r === 0) {
      for (const curve of run.iso_rewards) {
        traces.push({ type: "scatter", mode: "lines", x: curve.macs, y: curve.accuracy, hoverinfo: "skip", line: { dash: "dot", width: 1, color: css("--muted") } });
        if (curve.macs.length) annotations.push({ x: curve.macs.at(-1), y: curve.accuracy.at(-1), text: curve.reward.toFixed(3), showarrow: false, xanchor: "right", yanchor: "bottom", font: { size: 11, color: css("--muted") } });
      }
    }
    const good = succeeded(r);
    traces.push(trialPoints(r, good, column(r, "macs", good), column(r, "accuracy", good), marker(r, good), { name: "trials" }));
    const bad = failed(r);
    if (bad.length) traces.push(trialPoints(r, bad, column(r, "macs", bad), bad.map(() => 0), failedMarker(), { name: "failed", yaxis: "y2" }));
    const colour = several ? seriesColour(r) : css("--front");
    traces.push({ type: "scatter", mode: "lines+markers", name: "front", x: column(r, "macs", run.front), y: column(r, "accuracy", run.front), customdata: run.front.map((i) => [r, i]), hoverinfo: "none", line: { color: colour, width: 2, shape: "hv" }, marker: { color: colour, size: 9, symbol: "diamond" } });
    if (run.target) shapes.push({ type: "line", yref: "paper", x0: run.target, x1: run.target, y0: 0, y1: 1, line: { color: css("--text"), width: 1.2, dash: "dash" } });
    run.references.forEach((item, i) => {
      if (item.accuracy === null) return;
      traces.push({ type: "scatter", mode: "markers", name: "reference", x: [item.macs], y: [item.accuracy], customdata: [[r, null, i]], hoverinfo: "none", marker: { symbol: "star", size: 16, color: css("--series-5"), line: { width: 1.5, color: css("--text") } } });
      annotations.push({ x: item.macs, y: item.accuracy, text: label(item.name), showarrow: false, yshift: 17, font: { color: css("--text"), size: 12 } });
    });
  });
  shapes.push(...rings("macs", "accuracy"));
  const x = { ...axis(), ...TICKS, title: { text: "multiply-adds", standoff: 10 }, zeroline: false };
  return { data: traces, layout: { shapes, annotations, ...splitAxes(x, "accuracy", ".0%") } };
}

/** The best so far of each run; random search, where it is among the runs, is the dashed control. */
function progressFigure() {
  const traces = [];
  data.runs.forEach((run, r) => {
    const good = succeeded(r);
    traces.push(trialPoints(r, good, good, column(r, "reward", good), marker(r, good), { name: "trials" }));
    const bad = failed(r);
    if (bad.length) traces.push(trialPoints(r, bad, bad, bad.map(() => 0), failedMarker(), { name: "failed", yaxis: "y2" }));
  });
  data.runs.forEach((run, r) => {
    const control = several && run.is_random;
    const colour = several ? (control ? css("--muted") : seriesColour(r)) : css("--front");
    traces.push({ type: "scatter", mode: "lines", name: "best", x: run.best_so_far.map((s) => s[0]), y: run.best_so_far.map((s) => s[1]), hoverinfo: "skip", line: { shape: "hv", width: 2.5, color: colour, dash: control ? "dash" : "solid" } });
  });
  const x = { ...axis(), title: { text: "trial", standoff: 10 }, zeroline: false, rangemode: "tozero" };
  return { data: traces, layout: { shapes: rings("number", "reward"), ...splitAxes(x, "reward") } };
}

/** A ring around the selected trial; for a failed one, in the strip. */
function rings(x, y) {
  const item = selection.item;
  if (!item || item[x] === undefined || item.status === "pending") return [];
  const yref = item.status === "ok" ? "y" : "y2";
  const around = { xref: "x", yref, xsizemode: "pixel", ysizemode: "pixel", xanchor: item[x], yanchor: yref === "y" ? item[y] : 0 };
  return [{ name: "ring", type: "circle", ...around, x0: -9, x1: 9, y0: -9, y1: 9, line: { width: 2.5, color: css("--text") } }];
}
function moveRing(chart, x, y) {
  if (!chart.node.dataset.drawn) return;
  const others = (chart.node.layout.shapes ?? []).filter((shape) => shape.name !== "ring");
  Plotly.relayout(chart.node, { shapes: [...others, ...rings(x, y)] });
}

function runLegend(node, extra) {
  const entries = several
    ? data.runs.map((run, r) => legendEntry(seriesColour(r), SHAPES[r % 7], run.is_random ? `${run.name} (random search, the control)` : run.name))
    : [];
  node.replaceChildren(...entries, ...extra);
}
const SHAPES = ["●", "◆", "■", "▲", "⬟", "⬢", "★"];
function legendEntry(colour, shape, text) {
  const mark = element("span", { "aria-hidden": "true" }, shape);
  mark.style.color = colour;
  return element("span", {}, mark, text);
}
function drawLegends() {
  const bad = () => (anyFailed() ? [legendEntry(css("--failed"), "×", "failed or diverged")] : []);
  const own = () => (several ? [] : [legendEntry(css("--late"), "●", "trial, later ones stronger")]);
  const references = data.runs.some((run) => run.references.some((item) => item.accuracy !== null));
  const star = references ? [legendEntry(css("--series-5"), "★", "known network")] : [];
  const line = several ? [] : [legendEntry(css("--front"), "◆", "Pareto front")];
  runLegend(byId("tradeoff-legend"), [...own(), ...line, ...star, legendEntry(css("--text"), "┆", "target"), legendEntry(css("--muted"), "┈", "equal reward"), ...bad()]);
  runLegend(byId("progress-legend"), [...own(), ...(several ? [] : [legendEntry(css("--front"), "━", "best so far")]), ...bad()]);
}

const SIGNALS = {
  entropy: "Entropy of the policy, nats", baseline: "Baseline", repeats: "Share of repeated networks",
  gradient_norm: "Gradient norm", advantage_mean: "Advantage, mean", advantage_std: "Advantage, spread", loss: "Loss",
};
const SHARES = new Set(["repeats"]);
function addSignals(parent) {
  const names = new Set(data.runs.flatMap((run) => Object.keys(run.signals.lines)));
  const ordered = [...Object.keys(SIGNALS).filter((name) => names.has(name)), ...[...names].filter((name) => !(name in SIGNALS))];
  for (const name of ordered) {
    const title = SIGNALS[name] ?? name.replaceAll("_", " ");
    const node = element("div", { "data-signal": name, role: "img", "aria-label": `Chart: ${title} over batches` });
    node.style.height = "170px";
    parent.append(element("figure", {}, element("figcaption", {}, title), node));
    addChart(node, () => ({
      data: data.runs.flatMap((run, r) => (name in run.signals.lines ? [{
        type: "scatter", mode: run.signals.batch.length < 40 ? "lines+markers" : "lines", name: label(run.name),
        x: run.signals.batch, y: run.signals.lines[name], line: { width: 2, color: seriesColour(r) }, marker: { size: 5, color: seriesColour(r) },
      }] : [])),
      layout: { margin: { l: 48, r: 14, t: 10, b: 28 }, hovermode: "x", xaxis: axis(), yaxis: { ...axis(), nticks: 4, ...(SHARES.has(name) ? { range: [-0.05, 1.05], tickformat: ".0%" } : {}) } },
    }));
  }
}

/** One heat map a block: a row a choice, a column a batch. */
function addHeatMaps(run, parent) {
  const told = data.runs[run].beliefs;
  clearCharts(parent);
  byId("beliefs-scale").hidden = !told;
  byId("beliefs-note").textContent = data.runs[run].beliefs_text;
  if (!told) return;
  const blocks = Map.groupBy(told.decisions, (decision) => (decision.name.includes(".") ? decision.name.split(".")[0] : "network"));
  for (const [block, decisions] of blocks) {
    const rows = decisions.flatMap((d, i) => [
      ...(i ? [{ text: " ".repeat(i), values: told.batch.map(() => null) }] : []),
      ...d.choices.map((choice, c) => ({ text: label(`${d.name.split(".").at(-1)} ${choice}`), values: d.rows[c].map((p) => p / 1000) })),
    ]).reverse();
    const node = element("div", { "data-block": block, role: "img", "aria-label": `Heat map: probabilities of the choices of ${block} over batches` });
    node.style.height = `${rows.length * 15 + 52}px`;
    parent.append(element("figure", {}, element("figcaption", {}, block), node));
    addChart(node, () => ({
      data: [{
        type: "heatmap", z: rows.map((row) => row.values), x: told.batch, y: rows.map((_, i) => i), customdata: rows.map((row) => told.batch.map(() => row.text)),
        zmin: 0, zmax: 1, showscale: false, hoverongaps: false, hovertemplate: "%{customdata}<br>batch %{x}: %{z:.3f}<extra></extra>",
        colorscale: [[0, css("--heat-0")], [0.5, css("--heat-1")], [1, css("--heat-2")]],
      }],
      layout: {
        margin: { l: 92, r: 14, t: 8, b: 32 }, xaxis: { ...axis(), showgrid: false, zeroline: false },
        yaxis: { ...axis(), showgrid: false, zeroline: false, automargin: false, ticks: "", tickvals: rows.map((_, i) => i), ticktext: rows.map((row) => row.text), tickfont: { size: 11 } },
      },
    }));
  }
}

const FIRST_DECISIONS = 8;
function addEffects(run, all, parent) {
  const tables = data.runs[run].effects.slice(0, all ? undefined : FIRST_DECISIONS);
  clearCharts(parent);
  const rows = tables.flatMap((t, d) => t.choices.flatMap((choice, c) => (t.count[c] ? [{ table: t, d, c, text: label(`${t.name} = ${choice} (${t.count[c]})`) }] : []))).reverse();
  if (!rows.length) {
    parent.append(element("p", { class: "note" }, "Too few networks have been measured to tell: at least three are needed."));
    return;
  }
  for (const [measure, title, format] of [["accuracy", "Accuracy", "+.1%"], ["macs", "Multiply-adds", "+~s"]]) {
    const node = element("div", { "data-effect": measure, role: "img", "aria-label": `Chart: effect of each choice on ${title}, with 95 % intervals` });
    node.style.height = `${rows.length * 21 + 70}px`;
    parent.append(element("figure", {}, element("figcaption", {}, title), node));
    addChart(node, () => ({
      data: [{
        type: "scatter", mode: "markers", x: rows.map((row) => row.table[measure][row.c][0]), y: rows.map((_, i) => i),
        error_x: { type: "data", array: rows.map((row) => row.table[measure][row.c][1] ?? 0), thickness: 1.5, width: 3, color: css("--muted") },
        marker: { size: 9, color: rows.map((row) => (row.d % 2 ? css("--series-2") : css("--series-1"))) },
        text: rows.map((row) => row.text), hovertemplate: `%{text}<br>%{x:${format}}<extra></extra>`,
      }],
      layout: {
        margin: { l: 30, r: 18, t: 8, b: 36 }, xaxis: { ...axis(), tickformat: format, zeroline: true, zerolinecolor: css("--muted") },
        yaxis: { ...axis(), showgrid: false, zeroline: false, range: [-0.7, rows.length - 0.3], tickvals: rows.map((_, i) => i), ticktext: rows.map((row) => row.text), tickfont: { size: 11 } },
      },
    }));
  }
}
