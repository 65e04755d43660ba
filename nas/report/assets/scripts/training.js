// One training: curves over epochs, and the confusion matrix as a heat map.
const { curves, matrix } = data;
const epochs = { title: "epoch", whole: true, limits: [0.9, Math.max(2, curves.epoch.length) + 0.1] };
const curve = (name, y, colour, dash = "") => [
  { kind: "line", name, x: curves.epoch, y, colour, dash, width: 2.5 },
  ...(y.length > 1 ? [] : [{ kind: "points", name, x: curves.epoch, y, colour, size: 4 }]),
];
const accuracyFigure = () => ({ x: epochs, y: { percent: true }, layers: curve("validation", curves.validation_accuracy, "var(--series-2)") });
const lossFigure = () => ({ x: epochs, y: {}, layers: [...curve("training", curves.loss, "var(--series-1)", "6 4"), ...curve("validation", curves.validation_loss, "var(--series-2)")] });

/** Names of columns stand only where they have room. */
function matrixFigure() {
  const { names, rows } = matrix;
  const wide = byId("matrix").clientWidth / names.length;
  const fits = names.every((name) => textWidth(name) < wide);
  const short = (name) => (name.length > 14 ? name.slice(0, 13) + "…" : name);
  return {
    right: 26,
    x: { bare: true, limits: [0, names.length], ticks: names.map((name, i) => [i + 0.5, fits ? name : names.length > 20 && i % 5 ? "" : String(i + 1)]) },
    y: { bare: true, limits: [-names.length, 0], ticks: names.map((name, i) => [-i - 0.5, fits ? short(name) : `${short(name)} ${i + 1}`]) },
    layers: [{ kind: "heat", columns: names, rows: rows.map((values, i) => ({ values, text: names[i] })) }],
  };
}

followTheme();
const sections = [...document.querySelectorAll("main section[data-short]")];
byId("contents").replaceChildren(...sections.map((section) => element("a", { href: "#" + section.id }, section.dataset.short)));
byId("goto").replaceChildren(element("option", { value: "" }, "Go to …"), ...sections.map((section) => element("option", { value: section.id }, section.dataset.short)));
byId("goto").addEventListener("change", () => { location.hash = byId("goto").value; });
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copyText(button.dataset.copy, button.previousElementSibling, button);
});
byId("matrix").style.height = `${Math.max(160, Math.min(34, 900 / matrix.names.length) * matrix.names.length + 40)}px`;
for (const [id, figure] of [["accuracy-chart", accuracyFigure], ["loss-chart", lossFigure], ["matrix", matrixFigure]]) addChart(byId(id), figure).draw();
document.documentElement.dataset.ready = Math.round(performance.now());
