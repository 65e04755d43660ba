// Charts as SVG. A figure is {x, y, layers, rules, labels, strip}: axes, what is drawn, and what failed in a strip below.
// Layers: line {x, y, colour, dash, steps}, band {x, low, high, colour}, points {x, y, items, colour, shape, size, error,
// failed}, heat {rows}. Colours are CSS, so a theme changes them without drawing anew.
const charts = [];
const SHAPES = ["circle", "diamond", "square", "triangle", "pentagon", "hexagon", "star"];
const STRIP = 24;
const NEAR = 24;
const measure = document.createElement("canvas").getContext("2d");
function textWidth(text) {
  measure.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return measure.measureText(text).width;
}

function polygon(corners, r, inner = 1) {
  const count = inner === 1 ? corners : 2 * corners;
  return "M" + Array.from({ length: count }, (_, i) => {
    const [angle, far] = [(2 * Math.PI * i) / count - Math.PI / 2, i % 2 ? r * inner : r];
    return `${(far * Math.cos(angle)).toFixed(2)} ${(far * Math.sin(angle)).toFixed(2)}`;
  }).join("L") + "Z";
}
const glyphs = {
  circle: (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  diamond: (r) => polygon(4, 1.25 * r), square: (r) => `M${-r} ${-r}H${r}V${r}H${-r}Z`, triangle: (r) => polygon(3, 1.35 * r),
  pentagon: (r) => polygon(5, 1.15 * r), hexagon: (r) => polygon(6, 1.15 * r), star: (r) => polygon(5, 1.5 * r, 0.45),
  cross: (r) => `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`,
  down: (r) => `M${-r} ${-r}H${r}L0 ${r}Z`, up: (r) => `M${-r} ${r}H${r}L0 ${-r}Z`,
};

/** Round numbers from low to high, about `count` of them. */
function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const unit = [1, 2, 5, 10].find((n) => n * power >= raw * 0.999) * power;
  const first = Math.ceil(low / unit - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / unit + 1e-9) - first + 1) }, (_, i) => Number(((first + i) * unit).toPrecision(12)));
}
function logTicks(low, high) {
  const all = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) all.push(power, 2 * power, 5 * power);
  return all.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}
/** Limits that let the better half of the values take at least a third of the axis; the others are marked at its edge. */
function robust(values) {
  const sorted = [...values].sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  const [least, middle, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)];
  const low = most > middle ? Math.max(least, middle - 2 * (most - middle)) : least;
  const inside = sorted.find((value) => value >= low);
  return [inside, most];
}
function padded([low, high], share = 0.05) {
  const pad = (high - low || Math.abs(high) || 1) * share;
  return [low - pad, high + pad];
}

/** A scale: `at` gives pixels, `out` says on which side of the axis a value lies. */
function scaleOf(axis, from, to, values) {
  const [low, high] = axis.limits ?? padded([Math.min(...values), Math.max(...values)].map((v) => (Number.isFinite(v) ? v : 0)));
  const way = axis.log ? Math.log : (value) => value;
  const share = (value) => (way(value) - way(low)) / (way(high) - way(low) || 1);
  const room = Math.max(3, Math.abs(to - from) / (axis.vertical ? 46 : 86));
  return {
    low, high, out: (value) => (value < low ? -1 : value > high ? 1 : 0),
    at: (value) => from + Math.min(1, Math.max(0, share(value))) * (to - from),
    ticks: axis.ticks ?? (axis.log ? logTicks(low, high) : ticks(low, high, room).filter((v) => !axis.whole || Number.isInteger(v))).map((value) => [value, value]),
  };
}
function tickText(axis, all, value) {
  if (typeof value === "string") return value;
  if (!axis.percent) return axis.amounts ? (value < 0 ? "−" : axis.signed && value ? "+" : "") + amount(Math.abs(value)) : String(value);
  const step = all.length > 1 ? Math.abs(all[1][0] - all[0][0]) : 0.1;
  return (value < 0 ? "−" : axis.signed && value > 0 ? "+" : "") + (100 * Math.abs(value)).toFixed(step >= 0.00999 ? 0 : step >= 0.000999 ? 1 : 2) + "%";
}

/** Register a chart, to be drawn by `draw()`; `figure()` gives what it shows now. */
function addChart(node, figure) {
  const chart = { node, figure, draw: () => drawChart(chart) };
  charts.push(chart);
  listen(node, chart);
  sized.observe(node);
  return chart;
}
const sized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const chart = charts.find((one) => one.node === target);
    if (chart && target.clientWidth && target.clientWidth !== chart.width) chart.draw();
  }
});
/** Drop the charts inside `parent`, which is about to be filled anew. */
function clearCharts(parent) {
  for (let i = charts.length - 1; i >= 0; i--) if (parent.contains(charts[i].node)) charts.splice(i, 1);
  parent.replaceChildren();
}

const numbers = (layers, names) => layers.flatMap((layer) => names.flatMap((name) => layer[name] ?? [])).filter((v) => v !== null);
function drawChart(chart) {
  const { node } = chart;
  const [width, height] = [node.clientWidth, node.clientHeight];
  if (!width || !height) return;
  chart.width = width;
  const figure = chart.figure();
  node.figure = figure;
  const good = figure.layers.filter((layer) => !layer.failed);
  const strip = good.length < figure.layers.length ? STRIP : 0;
  const bottom = height - (figure.x.title ? 46 : 26);
  const y = scaleOf({ ...figure.y, vertical: true }, bottom - strip, 14, numbers(good, ["y", "low", "high"]));
  const named = y.ticks.map(([at, text]) => [at, tickText(figure.y, y.ticks, text)]);
  const left = Math.ceil(Math.max(...named.map(([, text]) => textWidth(text)), strip ? 40 : 24) + 14 + (figure.y.title ? 20 : 0));
  const right = width - (figure.right ?? 16);
  const x = scaleOf(figure.x, left, right, numbers(figure.layers, ["x"]));
  const image = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  Object.assign(chart, { x, y, spots: [], box: { left, right, top: 14, bottom: bottom - strip }, image, strip: bottom - STRIP / 2 });
  drawAxes(chart, figure, named, bottom);
  for (const layer of figure.layers) drawLayer[layer.kind](chart, layer);
  drawRules(chart, figure.rules ?? []);
  drawLabels(chart, figure.labels ?? [], figure.rules ?? []);
  chart.rings = svg("g", {});
  image.append(chart.rings);
  node.replaceChildren(image);
  drawRings(chart);
  paleChart(chart);
}
function drawAxes({ image, x, y, box, strip }, figure, named, bottom) {
  const text = (value, attributes) => image.append(svg("text", { class: "tick", ...attributes }, value));
  for (const [value, label] of named) {
    const at = y.at(value);
    if (!figure.y.bare) image.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: at, y2: at }));
    text(label, { x: box.left - 8, y: at + 4, "text-anchor": "end" });
  }
  for (const [value, label] of x.ticks) {
    const at = x.at(value);
    const wanted = tickText(figure.x, x.ticks, label);
    const half = textWidth(wanted) / 2;
    if (!figure.x.bare) image.append(svg("line", { class: "grid", x1: at, x2: at, y1: box.top, y2: bottom }));
    if (at + half < box.right + 16) text(wanted, { x: at, y: bottom + 17, "text-anchor": "middle" });
  }
  if (figure.x.title) text(figure.x.title, { class: "tick name", x: (box.left + box.right) / 2, y: bottom + 38, "text-anchor": "middle" });
  if (figure.y.title) text(figure.y.title, { class: "tick name", transform: `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" });
  if (box.bottom < bottom) text("failed", { class: "tick bad", x: box.left - 8, y: strip + 4, "text-anchor": "end" });
}
/** The path through points that may leave the axes, cut at their edges. */
function pathOf({ x, y }, layer, ys) {
  let path = "";
  layer.x.forEach((value, i) => {
    if (ys[i] === null) return;
    const [px, py] = [x.at(value).toFixed(1), y.at(ys[i]).toFixed(1)];
    path += !path ? `M${px} ${py}` : layer.steps ? `H${px}V${py}` : `L${px} ${py}`;
  });
  return path || "M0 0";
}
const drawLayer = {
  line(chart, layer) {
    const inside = layer.cut ? layer.x.map((_, i) => !chart.y.out(layer.y[i]) && !chart.x.out(layer.x[i])) : null;
    const kept = inside ? { ...layer, x: layer.x.filter((_, i) => inside[i]), y: layer.y.filter((_, i) => inside[i]) } : layer;
    const look = { fill: "none", stroke: layer.colour, "stroke-width": layer.width ?? 2, "stroke-dasharray": layer.dash ?? "", opacity: layer.opacity ?? 1 };
    chart.image.append(svg("path", { class: "line", d: pathOf(chart, kept, kept.y), ...look }));
  },
  band(chart, layer) {
    const back = { ...layer, x: [...layer.x].reverse() };
    const d = pathOf(chart, layer, layer.high) + pathOf(chart, back, [...layer.low].reverse()).replace("M", "L") + "Z";
    chart.image.append(svg("path", { class: "band", d, fill: layer.colour, opacity: 0.15 }));
  },
  points(chart, layer) {
    const { image, x, y, spots } = chart;
    const colours = Array.isArray(layer.colour) ? layer.colour : null;
    layer.x.forEach((value, i) => {
      const side = layer.failed ? 0 : y.out(layer.y[i]);
      const [px, py] = [x.at(value), layer.failed ? chart.strip : y.at(layer.y[i])];
      const [low, high] = layer.error?.[i] ?? [];
      if (low !== undefined && !layer.across) image.append(svg("line", { class: "error", x1: px, x2: px, y1: y.at(low), y2: y.at(high) }));
      if (low !== undefined && layer.across) image.append(svg("line", { class: "error", x1: x.at(low), x2: x.at(high), y1: py, y2: py }));
      const shape = layer.failed ? "cross" : side < 0 ? "down" : side > 0 ? "up" : layer.shape ?? "circle";
      const look = layer.failed ? { fill: "none", stroke: "var(--failed)", "stroke-width": 2 } : { fill: colours ? colours[i] : layer.colour };
      const mark = svg("path", { class: "point" + (side ? " edge" : ""), d: glyphs[shape](layer.size ?? 4), transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})`, ...look });
      if (layer.edged) mark.setAttribute("stroke", "var(--text)");
      image.append(mark);
      if (layer.items || layer.texts) spots.push({ x: px, y: py, mark, item: layer.items?.[i], text: layer.texts?.[i], back: layer.back });
    });
  },
  /** Rows of values from 0 to 1 from top to bottom; a null leaves a gap. */
  heat(chart, layer) {
    const { image, box, spots } = chart;
    const tall = (box.bottom - box.top) / layer.rows.length;
    const wide = (box.right - box.left) / layer.columns.length;
    layer.rows.forEach((row, r) => row.values.forEach((value, c) => {
      if (value === null) return;
      const [cx, cy] = [box.left + c * wide, box.top + r * tall];
      const mark = svg("rect", { class: "cell", x: cx.toFixed(1), y: cy.toFixed(1), width: (wide + 0.3).toFixed(1), height: Math.max(1, tall - 1).toFixed(1), fill: heatColour(value) });
      image.append(mark);
      spots.push({ x: cx + wide / 2, y: cy + tall / 2, text: `${row.text}, ${layer.columns[c]}: ${(100 * value).toFixed(0)}%` });
    }));
  },
};
const heatColour = (value) => (value < 0.5 ? `color-mix(in srgb, var(--heat-1) ${Math.round(200 * value)}%, var(--heat-0))` : `color-mix(in srgb, var(--heat-2) ${Math.round(200 * value - 100)}%, var(--heat-1))`);
