// A grid search: accuracy over true cost, one series a length of training, standard errors where there are seeds.
const rungColour = (rung, last) => (last ? css("--front") : css(rung ? "--late" : "--early"));

function familyFigure() {
  const traces = data.runs.flatMap((run, r) => {
    const rungs = Map.groupBy(run.grid ?? [], (point) => point.rung);
    return [...rungs].map(([rung, points]) => ({
      type: "scatter", mode: "markers", name: `rung ${rung}`, x: points.map((p) => p.ratio), y: points.map((p) => p.accuracy),
      customdata: points.map((p) => [r, p.trial]), hoverinfo: "none",
      error_y: { type: "data", array: points.map((p) => p.error ?? 0), visible: points.some((p) => p.error !== null), thickness: 1.5, width: 4, color: rungColour(rung, points[0].last) },
      marker: { size: points[0].last ? 11 : 8, symbol: several ? SYMBOLS[r % 7] : SYMBOLS[rung % 7], color: rungColour(rung, points[0].last) },
    }));
  });
  const x = { ...axis(), title: { text: "multiply-adds, times the baseline's", standoff: 10 }, zeroline: false };
  return { data: traces, layout: { xaxis: x, yaxis: { ...axis(), title: { text: "accuracy" }, tickformat: ".1%", zeroline: false } } };
}
function drawFamilyLegend() {
  const rungs = new Map(data.runs.flatMap((run) => run.grid ?? []).map((p) => [p.rung, p]));
  byId("family-legend").replaceChildren(...[...rungs].map(([rung, p]) =>
    legendEntry(rungColour(rung, p.last), several ? "●" : SHAPES[rung % 7], `${p.fidelity}× the epochs${p.error === null ? "" : `, ${p.seeds} seeds`}`)));
}
