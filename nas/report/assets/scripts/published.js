// The released family with its exact costs, joined by a line, and published networks as points.
function publishedFigure(of, title) {
  const points = (rows, look) => {
    const known = rows.filter((row) => row[of] !== null);
    const texts = known.map((row) => `${row.name}: ${row.top1}%, ${amount(row[of])} ${title}`);
    return { kind: "points", x: known.map((row) => row[of]), y: known.map((row) => row.top1 / 100), texts, ...look };
  };
  const family = points(data.family, { name: "family", colour: "var(--series-2)", shape: "diamond", size: 5 });
  const others = points(data.others, { name: "others", colour: "var(--series-1)", size: 4.5 });
  const named = (row) => ({ x: row[of], y: row.top1 / 100, text: row.name.replace("EfficientNet-", "") });
  const across = [...family.x, ...others.x];
  return {
    x: { title, log: true, amounts: true, limits: [Math.min(...across) / 1.3, Math.max(...across) * 1.5] },
    y: { title: "ImageNet top-1", percent: true },
    layers: [{ ...family, kind: "line" }, others, family],
    labels: [...data.family, ...data.others].filter((row) => row[of] !== null).map(named),
  };
}

followTheme();
const sections = [...document.querySelectorAll("main section[data-short]")];
byId("contents").replaceChildren(...sections.map((section) => element("a", { href: "#" + section.id }, section.dataset.short)));
byId("goto").replaceChildren(element("option", { value: "" }, "Go to …"), ...sections.map((section) => element("option", { value: section.id }, section.dataset.short)));
byId("goto").addEventListener("change", () => { location.hash = byId("goto").value; });
byId("published-legend").replaceChildren(legendEntry("var(--series-2)", "◆", "EfficientNet-B0 to B7"), legendEntry("var(--series-1)", "●", "others, as published"));
addChart(byId("macs-chart"), () => publishedFigure("macs", "multiply-adds")).draw();
addChart(byId("params-chart"), () => publishedFigure("params", "parameters")).draw();
document.documentElement.dataset.ready = Math.round(performance.now());
