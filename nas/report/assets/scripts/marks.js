// What lies over a chart: rules, labels that never overlap, rings around what is selected, the pale rest of a filter; and
// the pointer and the keys.
function drawRules({ image, x, y, box, strip }, rules) {
  for (const rule of rules) {
    const look = { class: "rule", stroke: rule.colour, "stroke-dasharray": "5 4" };
    if (rule.x !== undefined && !x.out(rule.x)) image.append(svg("line", { ...look, x1: x.at(rule.x), x2: x.at(rule.x), y1: box.top, y2: Math.max(box.bottom, strip) }));
    if (rule.y !== undefined && !y.out(rule.y)) image.append(svg("line", { ...look, x1: box.left, x2: box.right, y1: y.at(rule.y), y2: y.at(rule.y) }));
  }
}

/** Labels {x, y, text, colour}, most important first: each takes the first free place around its point, or none. */
function drawLabels({ image, x, y, box, spots }, labels, rules) {
  const taken = [];
  const crosses = (place) => rules.filter((rule) => rule.x !== undefined
    ? x.at(rule.x) > place.left && x.at(rule.x) < place.right : y.at(rule.y) > place.top && y.at(rule.y) < place.bottom).length;
  const free = (a) => a.left >= box.left && a.right <= box.right && a.top >= box.top && a.bottom <= box.bottom
    && taken.every((b) => a.right < b.left || a.left > b.right || a.bottom < b.top || a.top > b.bottom);
  for (const { x: value, y: height, text, colour } of labels) {
    if (x.out(value) || y.out(height)) continue;
    const [px, py, wide] = [x.at(value), y.at(height), textWidth(text)];
    const places = [[-wide / 2, -12], [12, 4], [-wide - 12, 4], [-wide / 2, 22], [10, -10], [-wide - 10, -10], [10, 18], [-wide - 10, 18]]
      .map(([dx, dy]) => ({ left: px + dx - 2, right: px + dx + wide + 2, top: py + dy - 12, bottom: py + dy + 3, dx, dy }));
    const crowd = (place) => spots.filter((s) => s.x > place.left - 4 && s.x < place.right + 4 && s.y > place.top - 4 && s.y < place.bottom + 4).length;
    const place = places.filter(free).sort((a, b) => crowd(a) + crosses(a) - crowd(b) - crosses(b))[0];
    if (!place) continue;
    taken.push(place);
    image.append(svg("text", { class: "label", x: px + place.dx, y: py + place.dy, style: `fill: ${colour ?? "var(--text)"}` }, text));
  }
}

/** A ring around the selected network, and one in its own colour around each that is kept. */
function drawRings(chart) {
  if (!chart.rings) return;
  chart.rings.replaceChildren();
  for (const item of compared()) {
    const spot = chart.spots.find((one) => same(one.item, item));
    if (!spot) continue;
    const at = kept(item);
    const mine = same(item, selection.item);
    const look = { fill: "none", stroke: at < 0 ? "var(--text)" : series(at), "stroke-width": mine ? 3 : 2 };
    chart.rings.append(svg("circle", { class: mine ? "ring" : "ring kept", cx: spot.x, cy: spot.y, r: mine ? 9 : 7, ...look }));
  }
}
/** What does not match the filter is pale. */
function paleChart(chart) {
  const active = filtering();
  for (const { mark, item } of chart.spots ?? []) {
    if (mark && item?.number !== undefined) mark.classList.toggle("pale", active && !pass(item));
  }
}
const passed = { at: null };
/** Whether a trial matches the filter, worked out once for all charts. */
function pass(item) {
  passed.at ??= data.runs.map((run, r) => run.trials.macs.map((_, i) => matches(trial(r, i))));
  return passed.at[item.run][item.number];
}
filter.listeners.push(() => {
  passed.at = null;
  charts.forEach(paleChart);
});
selection.listeners.push(() => charts.forEach(drawRings));

function nearest(chart, event) {
  const frame = chart.node.getBoundingClientRect();
  const scale = chart.width / frame.width;
  const [px, py] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
  let found = null;
  let best = NEAR ** 2;
  for (const spot of chart.spots ?? []) {
    const far = (spot.x - px) ** 2 + (spot.y - py) ** 2 + (spot.back ? 4 : 0);
    if (far < best) [found, best] = [spot, far];
  }
  return found;
}
function listen(node, chart) {
  node.addEventListener("pointermove", (event) => {
    const spot = nearest(chart, event);
    if (spot?.item) showTooltip(spot.item, event);
    else if (spot?.text) {
      byId("tooltip").textContent = spot.text;
      placeTooltip(event);
    } else hideTooltip();
    node.style.cursor = spot?.item ? "pointer" : "";
  });
  node.addEventListener("pointerleave", hideTooltip);
  node.addEventListener("click", (event) => {
    const item = nearest(chart, event)?.item;
    if (item) (event.shiftKey ? toggleKept : select)(item);
  });
  if (node.tabIndex < 0) return;
  node.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") toggleKept(selection.item);
    if (!by) return;
    event.preventDefault();
    step(by);
  });
}

function legendEntry(colour, shape, text) {
  const mark = element("span", { "aria-hidden": "true", style: `color: ${colour}` }, shape);
  return element("span", {}, mark, text);
}
