// Controllers against each other: mean best-so-far with a band of one standard deviation in the colour of its line.
function benchFigure() {
  const colour = (i) => series(i);
  const limits = data.known === null ? [data.low, data.best] : [Math.min(data.low, data.known), data.best];
  return {
    x: { title: "evaluations", log: true, limits: [1, data.curves[0].x.at(-1)] },
    y: { title: "best reward so far", limits: padded(limits, 0.08) },
    rules: [{ y: data.best, colour: "var(--text)" }, ...(data.known === null ? [] : [{ y: data.known, colour: "var(--muted)" }])],
    labels: [{ x: 2, y: data.best, text: "best known" }, ...(data.known === null ? [] : [{ x: 2, y: data.known, text: data.reference, colour: "var(--muted)" }])],
    layers: [
      ...data.curves.map((curve, i) => ({ kind: "band", name: curve.name, x: curve.x, low: curve.low, high: curve.high, colour: colour(i) })),
      ...data.curves.map((curve, i) => ({ kind: "line", name: curve.name, x: curve.x, y: curve.mean, colour: colour(i), dash: i < 7 ? "" : "6 4" })),
    ],
  };
}

followTheme();
byId("contents").replaceChildren(element("a", { href: "#answer" }, "Result"), element("a", { href: "#curves" }, "Curves"));
byId("goto").hidden = true;
byId("bench-legend").replaceChildren(...data.curves.map((curve, i) => legendEntry(series(i), i < 7 ? "━" : "╍", curve.name)));
addChart(byId("bench-chart"), benchFigure).draw();
document.documentElement.dataset.ready = Math.round(performance.now());
