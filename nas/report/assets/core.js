// What every part of the page shares: the data, the selection, the theme, small tools. User text only ever becomes
// textContent.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function amount(value) {
  for (const [unit, size] of [["B", 1e9], ["M", 1e6], ["K", 1e3]]) {
    if (value >= size) return Number((value / size).toPrecision(4)) + unit;
  }
  return String(value);
}
const percent = (value) => (value === null ? "–" : (100 * value).toFixed(2) + "%");
const decimal = (value) => (value === null ? "–" : value.toFixed(4));
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const seriesColour = (run) => css(`--series-${(run % 7) + 1}`);
// Plotly reads a few HTML tags in its labels; names are to be shown as they are.
const label = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const several = data.runs.length > 1;

/** One trial as an object; the page holds trials as columns. */
function trial(run, number) {
  const t = data.runs[run].trials;
  return {
    run, number, macs: t.macs[number], params: t.params[number], accuracy: t.accuracy[number],
    reward: t.reward[number], status: t.status[number], reason: data.runs[run].reasons[t.reason[number]],
    seconds: t.seconds[number], repeatOf: t.repeat_of[number], network: t.network[number], key: t.key[number],
    name: `Trial ${number}`,
  };
}
const reference = (run, index) => ({ run, reference: index, ...data.runs[run].references[index] });

const selection = { item: null, listeners: [] };
function select(item, quietly = false) {
  selection.item = item;
  if (!quietly) {
    const name = item.reference === undefined ? `trial-${item.run}-${item.number}` : `reference-${item.run}-${item.reference}`;
    history.replaceState(null, "", "#" + name);
    const jump = byId("jump");
    jump.hidden = false;
    jump.textContent = `${item.name} · ${percent(item.accuracy)} · ${amount(item.macs)} MACs: show the network`;
  }
  for (const listener of selection.listeners) listener(item);
}
/** The next trial of the same run; from a reference, its run's best or first. */
function step(by) {
  const item = selection.item;
  const count = data.runs[item.run].trials.macs.length;
  const start = item.number === undefined ? data.runs[item.run].best ?? 0 : item.number + by;
  select(trial(item.run, (start + count) % count));
}
function selectedByAddress() {
  const [, kind, run, index] = /^#(trial|reference)-(\d+)-(\d+)$/.exec(location.hash) ?? [];
  if (kind === "trial" && data.runs[run]?.trials.macs[index] !== undefined) return trial(Number(run), Number(index));
  if (kind === "reference" && data.runs[run]?.references[index]) return reference(Number(run), Number(index));
  return null;
}

// A chart is drawn when it comes near the screen, and again when the theme changes.
const charts = [];
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    charts.find((chart) => chart.node === entry.target).draw();
  }
}, { rootMargin: "300px" });
const sized = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.dataset.drawn) Plotly.Plots.resize(target);
});
/** Register a chart: `figure()` gives {data, layout}; `onPoint(customdata)` is called for a point that is clicked. */
function addChart(node, figure, describe) {
  const chart = {
    node,
    async draw() {
      const { data: traces, layout } = figure();
      await Plotly.react(node, traces, themed(layout, node), { displayModeBar: false, responsive: false });
      if (!node.dataset.drawn && describe) listen(node, describe);
      node.dataset.drawn = "yes";
    },
  };
  charts.push(chart);
  seen.observe(node);
  sized.observe(node);
  return chart;
}
/** Drop the charts inside `parent`, which is about to be filled anew. */
function clearCharts(parent) {
  for (let i = charts.length - 1; i >= 0; i--) if (parent.contains(charts[i].node)) charts.splice(i, 1);
  parent.replaceChildren();
}
const redraw = () => charts.forEach((chart) => chart.node.dataset.drawn && chart.draw());

function listen(node, describe) {
  node.on("plotly_hover", (event) => {
    const item = describe(event.points[0].customdata);
    if (item) showTooltip(item, event.event);
  });
  node.on("plotly_unhover", hideTooltip);
  node.on("plotly_click", (event) => {
    const item = describe(event.points[0].customdata);
    if (item) select(item);
  });
  node.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    step(by);
  });
}

const axis = () => ({ gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"), automargin: "left" });
function themed(layout, node) {
  const narrow = node.clientWidth < 520;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
    font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 13, color: css("--muted") },
    margin: { l: narrow ? 46 : 64, r: narrow ? 12 : 24, t: 18, b: 62 },
    ...layout,
  };
}

function showTooltip(item, event) {
  const tip = byId("tooltip");
  const facts = item.status === "ok"
    ? `${percent(item.accuracy)}, ${amount(item.macs)} MACs, reward ${decimal(item.reward)}`
    : `${item.status}: ${item.reason}`;
  const run = several ? `${data.runs[item.run].name}: ` : "";
  tip.replaceChildren(element("b", {}, run + item.name), facts, element("div", {}, ...networkLines(item.network)));
  tip.hidden = false;
  const x = Math.min(event.clientX + 16, innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 16 + tip.offsetHeight < innerHeight;
  tip.style.left = Math.max(8, x) + "px";
  tip.style.top = Math.max(8, below ? event.clientY + 16 : event.clientY - tip.offsetHeight - 12) + "px";
}
const hideTooltip = () => { byId("tooltip").hidden = true; };

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "☀" : "☾";
  colourDots();
  if (byId("trials")) {
    drawLegends();
    drawSelected();
  }
  if (byId("family")) drawFamilyLegend();
  redraw();
}
function colourDots() {
  for (const dot of document.querySelectorAll(".dot[data-run]")) dot.style.background = seriesColour(Number(dot.dataset.run));
}
function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
