// The kept networks: their training curves, and their stages side by side.
const PALE_CURVES = 100;

/** Validation accuracy after each epoch: of the compared networks in their colours, of the best of the others pale. */
function curvesFigure() {
  const curve = (item) => (item.curve?.length > 1 ? item.curve : null);
  const line = (item, look) => ({ kind: "line", x: curve(item).map((_, i) => i + 1), y: curve(item), ...look });
  const all = data.runs.flatMap((run, r) => succeeded(r).map((i) => trial(r, i))).filter(curve);
  const others = all.sort((a, b) => b.reward - a.reward).slice(0, PALE_CURVES);
  const shown = compared().filter(curve);
  const ends = { kind: "points", name: "ends", shape: "circle", size: 3.5 };
  return {
    x: { title: "epoch", whole: true, limits: [0.9, Math.max(2, ...all.map((item) => item.curve.length)) + 0.1] },
    y: { title: "validation accuracy", percent: true },
    layers: [
      ...others.map((item) => line(item, { name: "others", colour: "var(--early)", width: 1, opacity: 0.5 })),
      { ...ends, x: others.map((item) => item.curve.length), y: others.map((item) => item.curve.at(-1)), items: others, colour: "var(--early)", back: true },
      ...shown.map((item) => line(item, { name: item.name, colour: colourOf(item), width: 2.5 })),
      { ...ends, x: shown.map((item) => item.curve.length), y: shown.map((item) => item.curve.at(-1)), items: shown, colour: shown.map(colourOf) },
    ],
  };
}
const hasCurves = () => data.runs.some((run) => run.trials.curve.some((curve) => curve?.length > 1));
const colourOf = (item) => (kept(item) < 0 ? "var(--text)" : series(kept(item)));
const titleOf = (item) => (several ? data.runs[item.run].name + ": " : "") + item.name + (item.number === data.runs[item.run].best ? ", the best" : "");

const stageText = (s) => [operator(s), `${s.channels}×${s.layers}`, s.se ? `SE ${s.se}` : "", s.stride === 2 ? "stride 2" : "", s.skip === "none" ? "no skip" : s.skip === "pool" ? "pool skip" : ""].filter(Boolean).join(" · ");
const FACTS = [["Accuracy", (i) => percent(i.accuracy)], ["Reward", (i) => decimal(i.reward)], ["MACs", (i) => amount(i.macs)], ["Parameters", (i) => amount(i.params)]];
/** One column a network; what differs from the first is marked. */
function showCompared() {
  const items = compared();
  const nets = items.map((item) => network(item.network));
  byId("compared").tHead.replaceChildren(element("tr", {}, element("th", { scope: "col" }, "Stage"), ...items.map(comparedHead)));
  const stages = Math.max(0, ...nets.map((net) => net?.stages.length ?? 0));
  const frame = (net) => `${net.stem} · ${net.head} · ${net.activation}`;
  const rows = [
    ...FACTS.map(([name, get]) => [name, items.map(get), false]),
    ["Pixels", nets.map((net) => (net ? `${net.resolution}²` : "–")), true],
    ["Stem, head", nets.map((net) => (net ? frame(net) : "–")), true],
    ...Array.from({ length: stages }, (_, i) => [String(i + 1), nets.map((net) => (net?.stages[i] ? stageText(net.stages[i]) : "none")), true]),
  ];
  byId("compared").tBodies[0].replaceChildren(...rows.map(([name, cells, marked]) => element("tr", {}, element("th", { scope: "row" }, name),
    ...cells.map((cell) => element("td", { class: marked && cell !== cells[0] ? "changed" : "" }, cell)))));
}
function comparedHead(item) {
  const at = kept(item);
  const dot = element("span", { class: "dot", style: `background: ${colourOf(item)}` });
  const button = element("button", { type: "button", "aria-label": `${at < 0 ? "Keep" : "Let go of"} ${titleOf(item)}`, onclick: () => toggleKept(item) }, at < 0 ? "keep" : "×");
  return element("th", { scope: "col" }, dot, titleOf(item), " ", button);
}
