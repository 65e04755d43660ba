// A grid search: accuracy over true cost, one series a length of training, standard errors where there are seeds.
const rungColour = (rung, last) => (last ? "var(--front)" : rung ? "var(--late)" : "var(--early)");

function familyFigure() {
  const layers = data.runs.flatMap((run, r) => [...Map.groupBy(run.grid ?? [], (point) => point.rung)].map(([rung, points]) => ({
    kind: "points", name: `rung ${rung}`, x: points.map((p) => p.ratio), y: points.map((p) => p.accuracy), items: points.map((p) => trial(r, p.trial)),
    error: points[0].last ? points.map((p) => (p.error === null ? [] : [p.accuracy - p.error, p.accuracy + p.error])) : undefined,
    colour: rungColour(rung, points[0].last), shape: SHAPES[(several ? r : rung) % 7], size: points[0].last ? 6 : 4.5, back: !points[0].last,
  })));
  const last = data.runs.flatMap((run, r) => (run.grid ?? []).filter((p) => p.last).map((p) => ({ ...p, run: r })));
  const [low, high] = padded(robust(layers.flatMap((layer) => layer.y)));
  return {
    x: { title: "multiply-adds, times the baseline's" }, y: { title: "accuracy", percent: true, limits: [Math.max(0, low), Math.min(1, high)] }, layers,
    labels: last.sort((a, b) => b.accuracy - a.accuracy).map((p) => ({ x: p.ratio, y: p.accuracy, text: p.name })),
  };
}
function drawFamilyLegend() {
  const rungs = new Map(data.runs.flatMap((run) => run.grid ?? []).map((p) => [p.rung, p]));
  byId("family-legend").replaceChildren(...[...rungs].map(([rung, p]) =>
    legendEntry(rungColour(rung, p.last), several ? "●" : MARKS[SHAPES[rung % 7]], `${p.fidelity}× the epochs${p.error === null ? "" : `, ${p.seeds} seeds`}`)));
}
