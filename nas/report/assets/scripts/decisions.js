// Which decisions mattered: differences between the choices of each, and every network as a line through its choices.
const FIRST_DECISIONS = 8;
function addEffects(run, all, parent) {
  const tables = data.runs[run].effects.slice(0, all ? undefined : FIRST_DECISIONS);
  clearCharts(parent);
  const rows = tables.flatMap((t, d) => t.choices.flatMap((choice, c) => (t.count[c] ? [{ table: t, d, c, text: `${t.name} = ${choice} (${t.count[c]})` }] : [])));
  for (const [measured, title, look] of [["accuracy", "Accuracy", { percent: true, signed: true }], ["macs", "Multiply-adds", { amounts: true, signed: true }]]) {
    const node = element("div", { "data-effect": measured, role: "img", "aria-label": `Chart: effect of each choice on ${title}, with 95 % intervals` });
    node.style.height = `${rows.length * 19 + 48}px`;
    parent.append(element("figure", {}, element("figcaption", {}, title), node));
    addChart(node, () => effectsFigure(rows, measured, look)).draw();
  }
}
function effectsFigure(rows, measured, look) {
  const middle = rows.map((row) => row.table[measured][row.c][0]);
  const reach = rows.map((row) => row.table[measured][row.c][1] ?? 0);
  const ends = [...middle, ...middle.map((m, i) => m - reach[i]), ...middle.map((m, i) => m + reach[i])];
  const limits = padded([Math.min(0, ...ends), Math.max(0, ...ends)]);
  return {
    x: { ...look, limits },
    y: { bare: true, limits: [-rows.length, 0], ticks: rows.map((row, i) => [-i - 0.5, row.text]) },
    rules: [{ x: 0, colour: "var(--muted)" }],
    layers: [{
      kind: "points", name: measured, across: true, x: middle, y: rows.map((_, i) => -i - 0.5), size: 4.5,
      colour: rows.map((row) => (row.d % 2 ? "var(--series-2)" : "var(--series-1)")),
      error: middle.map((m, i) => [m - reach[i], m + reach[i]]),
      texts: rows.map((row, i) => `${row.text}: ${tickText({ ...look }, [], middle[i])}`),
    }],
  };
}

const MOST_AXES = 10;
const MOST_LINES = 400;
/** The decisions that mattered most, in the order of the network. */
function axesOf(run, width) {
  const { decisions, effects } = data.runs[run];
  const rank = new Map(effects.map((table, i) => [table.name, i]));
  return decisions.map((decision, index) => ({ ...decision, index })).filter((d) => rank.has(d.name))
    .sort((a, b) => rank.get(a.name) - rank.get(b.name)).slice(0, Math.min(MOST_AXES, Math.max(3, Math.floor(width / 75)))).sort((a, b) => a.index - b.index);
}
/** Every network as a line through its choices to its reward; a click on a choice keeps only what took it. */
function drawParallel(run, node) {
  const [width, height] = [node.clientWidth, node.clientHeight];
  const axes = axesOf(run, width);
  if (!width || !axes.length) return node.replaceChildren();
  const best = succeeded(run).map((i) => trial(run, i)).sort((a, b) => b.reward - a.reward).slice(0, MOST_LINES);
  const [low, high] = robust(best.map((item) => item.reward));
  const share = (item) => Math.min(1, Math.max(0, (item.reward - low) / (high - low || 1)));
  const first = textWidth(axes[0].name.split(".").at(-1)) * 0.55 + 8;  // set in so that its name is whole
  const [left, right, top, bottom] = [Math.max(34, first), width - 58, 46, height - 14];
  const x = (a) => left + (a * (right - left)) / axes.length;
  const y = (count, token) => bottom - ((token + 0.5) / count) * (bottom - top);
  const image = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Choices that can be picked" });
  const lines = svg("g", { fill: "none" });
  for (const item of best.reverse()) {
    const spread = ((item.number * 0.618) % 1 - 0.5) * 10;  // networks of one choice lie side by side
    const points = axes.map((d, a) => (applies(d, item.tokens) ? [x(a), y(d.choices.length, item.tokens[d.index]) + spread] : null)).filter(Boolean);
    points.push([right, bottom - share(item) * (bottom - top)]);
    const line = svg("path", { class: "thread", d: "M" + points.map((p) => p.map((v) => v.toFixed(1)).join(" ")).join("L"), stroke: `color-mix(in srgb, var(--late) ${Math.round(100 * share(item))}%, var(--early))` });
    line.item = item;
    lines.append(line);
  }
  image.append(lines);
  axes.forEach((d, a) => drawChoices(image, run, d, x(a), (token) => y(d.choices.length, token), top, bottom));
  image.append(svg("line", { class: "axis", x1: right, x2: right, y1: top, y2: bottom }), svg("text", { class: "tick name", x: right, y: 30, "text-anchor": "middle" }, "reward"));
  for (const [value, at] of [[high, top], [low, bottom]]) image.append(svg("text", { class: "tick", x: right + 8, y: at + 4 }, value.toFixed(3)));
  node.replaceChildren(image);
  markThreads(node);
}
function drawChoices(image, run, decision, x, y, top, bottom) {
  image.append(svg("line", { class: "axis", x1: x, x2: x, y1: top, y2: bottom }));
  const [block, name] = [blockOf(decision.name), decision.name.split(".").at(-1)];
  image.append(svg("text", { class: "tick", x, y: 14, "text-anchor": "middle" }, block), svg("text", { class: "tick name", x, y: 30, "text-anchor": "middle" }, name));
  decision.choices.forEach((choice, token) => {
    const picked = Boolean(filter.choices.get(decision.index)?.has(token));
    const toggle = () => toggleChoice(decision.index, token);
    const label = svg("text", { class: "choice", x, y: y(token) + 4, "text-anchor": "middle", role: "button", tabindex: 0, "aria-pressed": picked, "aria-label": `${decision.name} ${choice}`, "data-choice": `${decision.name}=${choice}` }, choice);
    label.addEventListener("click", toggle);
    label.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      toggle();
      document.querySelector(`[data-choice="${CSS.escape(`${decision.name}=${choice}`)}"]`)?.focus();
    });
    image.append(label);
  });
}
/** The compared networks in their colours on top; what does not match the filter is pale. */
function markThreads(node) {
  const active = filtering();
  for (const line of node.querySelectorAll(".thread")) {
    const shown = compared().find((item) => same(item, line.item));
    line.classList.toggle("pale", active && !pass(line.item));
    line.classList.toggle("kept", Boolean(shown));
    line.style.stroke = shown ? colourOf(shown) : "";
  }
}
