// Scaled networks: accuracy over true cost, one series a group, standard errors where there are seeds. Of a grid a group
// is a length of training or a check at a larger phi; of a study of ways it is a way, joined by a line from the baseline.
const grids = () => data.runs.flatMap((run, r) => [...Map.groupBy(run.grid ?? [], (point) => point.group)].map(([group, points]) => ({
  run: r, group, points, first: points[0], shape: SHAPES[(several ? r : group) % 7],
})));

function familyFigure() {
  const layers = grids().flatMap(({ run, group, points, first, shape }) => {
    const look = { x: points.map((p) => p.ratio), y: points.map((p) => p.accuracy), colour: `var(${first.colour})` };
    return [
      ...(first.line ? [{ ...look, kind: "line", name: `line ${group}` }] : []),
      {
        ...look, kind: "points", name: `group ${group}`, items: points.map((p) => trial(run, p.trial)), shape, size: first.last ? 6 : 4.5, back: !first.last,
        error: first.last ? points.map((p) => (p.error === null ? [] : [p.accuracy - p.error, p.accuracy + p.error])) : undefined,
      },
    ];
  });
  const ends = data.runs.flatMap((run) => run.grid ?? []).filter((p) => p.last && !p.line);
  const tips = grids().filter(({ first }) => first.line).map(({ points, first }) => ({ x: points.at(-1).ratio, y: points.at(-1).accuracy, text: first.label }));
  const all = layers.flatMap((layer) => layer.y);
  const lines = grids().some(({ first }) => first.line);
  const errors = layers.flatMap((layer) => (layer.error ?? []).flat());
  const [low, high] = padded(lines ? [Math.min(...all, ...errors), Math.max(...all, ...errors)] : robust(all));
  const across = layers.flatMap((layer) => layer.x);
  const widest = [Math.min(...across) / 1.12, Math.max(...across) * 1.12];
  return {
    x: { title: "multiply-adds, times the baseline's", ...(lines ? { log: true, limits: widest, ticks: [...new Set(grids().flatMap(({ points }) => points.flatMap((p) => p.aim ?? [])))].map((aim) => [aim, aim]) } : {}) },
    y: { title: "accuracy", percent: true, limits: [Math.max(0, low), Math.min(1, high)] }, layers,
    labels: [...tips, ...ends.sort((a, b) => b.accuracy - a.accuracy).map((p) => ({ x: p.ratio, y: p.accuracy, text: p.name }))],
  };
}
function drawFamilyLegend() {
  const seen = new Map(grids().map((one) => [`${one.first.label} ${one.first.colour}`, one]));
  byId("family-legend").replaceChildren(...[...seen.values()].map(({ first, shape }) =>
    legendEntry(`var(${first.colour})`, several ? "●" : MARKS[shape], first.label)));
}
