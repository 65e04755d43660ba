// What every part of the page shares: the data, the selection, the filter, small tools. User text only ever becomes
// textContent.
let data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

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
function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function amount(value) {
  for (const [unit, size] of [["B", 1e9], ["M", 1e6], ["K", 1e3]]) {
    if (value >= size) return Number((value / size).toPrecision(4)) + unit;
  }
  return String(Number(value.toPrecision(4)));
}
const percent = (value) => (value === null ? "–" : (100 * value).toFixed(2) + "%");
const decimal = (value) => (value === null ? "–" : value.toFixed(4));
const series = (run) => `var(--series-${(run % 7) + 1})`;
const several = data.runs?.length > 1;

/** One trial as an object; the page holds trials as columns. */
function trial(run, number) {
  const { trials, reasons, grid_trials: triples } = data.runs[run];
  const t = Object.fromEntries(Object.entries(trials).map(([name, values]) => [name, values[number]]));
  const own = triples?.[number];
  const name = own ? `Trial ${number}, ${own.triple}, ${own.fidelity}× epochs, seed ${own.seed}` : `Trial ${number}`;
  return { ...t, run, number, reason: reasons[t.reason], repeatOf: t.repeat_of, name, triple: own };
}
const reference = (run, index) => ({ run, reference: index, ...data.runs[run].references[index] });
const indices = (run, wanted) => data.runs[run].trials.status.flatMap((status, i) => (wanted(status, i) ? [i] : []));
const succeeded = (run) => indices(run, (status) => status === "ok");
const failed = (run) => indices(run, (status) => status !== "ok" && status !== "pending");
const column = (run, name, chosen) => chosen.map((i) => data.runs[run].trials[name][i]);
const blockOf = (decision) => (decision.includes(".") ? decision.split(".")[0] : "network");

// The selected network, and those that are kept beside it. Its address: #trial=20, #trial=1.20 in the second of several
// runs, #trial=r0 for a reference; &keep=3,7 for the others.
const MOST_KEPT = 5;
const selection = { item: null, kept: [], listeners: [] };
const same = (a, b) => a && b && a.run === b.run && a.number === b.number && a.reference === b.reference;
const addressOf = (item) => (several ? item.run + "." : "") + (item.reference === undefined ? item.number : "r" + item.reference);
/** The kept networks, and the selected one after them. */
function compared() {
  const { item, kept } = selection;
  return !item || kept.some((other) => same(item, other)) ? kept : [...kept, item];
}
const kept = (item) => selection.kept.findIndex((other) => same(item, other));

function select(item, quietly = false) {
  selection.item = item;
  if (!quietly) writeAddress();
  for (const listener of selection.listeners) listener(item);
}
/** Keep the network to compare it with others, or let it go; beyond five the first one goes. */
function toggleKept(item) {
  const at = kept(item);
  if (at >= 0) selection.kept.splice(at, 1);
  else selection.kept = [...selection.kept, item].slice(-MOST_KEPT);
  select(at >= 0 ? selection.item : item);
}
function writeAddress() {
  const keep = selection.kept.map(addressOf).join(",");
  history.replaceState(null, "", `#trial=${addressOf(selection.item)}${keep ? "&keep=" + keep : ""}`);
}
function itemAt(address) {
  const [, run = 0, isReference, index] = /^(?:(\d+)\.)?(r?)(\d+)$/.exec(address ?? "") ?? [];
  if (index === undefined || !data.runs[run]) return null;
  if (isReference) return data.runs[run].references[index] ? reference(Number(run), Number(index)) : null;
  return data.runs[run].trials.macs[index] === undefined ? null : trial(Number(run), Number(index));
}
/** Select what the address names; false where it names nothing. */
function selectByAddress() {
  const named = new URLSearchParams(location.hash.slice(1));
  const item = itemAt(named.get("trial"));
  if (named.has("keep")) selection.kept = named.get("keep").split(",").map(itemAt).filter(Boolean).slice(0, MOST_KEPT);
  if (item) select(item, true);
  return item !== null;
}
/** The next trial of the same run; from a reference, its run's best or first. */
function step(by) {
  const item = selection.item;
  const count = data.runs[item.run].trials.macs.length;
  const start = item.number === undefined ? data.runs[item.run].best ?? 0 : item.number + by;
  select(trial(item.run, (start + count) % count));
}

// What the table and the charts show strongly: text, status, choices of decisions. Everything else is pale.
const filter = { words: [], status: "", choices: new Map(), listeners: [] };
function matches(t) {
  if (filter.status && t.status !== filter.status) return false;
  for (const [index, tokens] of filter.choices) if (!tokens.has(t.tokens[index])) return false;
  if (!filter.words.length) return true;
  const text = haystack(t);
  return filter.words.every((word) => text.includes(word));
}
const filtering = () => filter.words.length > 0 || filter.status !== "" || filter.choices.size > 0;
const changeFilter = () => filter.listeners.forEach((listener) => listener());
function toggleChoice(decision, token) {
  const tokens = filter.choices.get(decision) ?? new Set();
  if (!tokens.delete(token)) tokens.add(token);
  if (tokens.size) filter.choices.set(decision, tokens);
  else filter.choices.delete(decision);
  changeFilter();
}

function showTooltip(item, event) {
  const tip = byId("tooltip");
  const facts = item.status === "ok"
    ? `${percent(item.accuracy)}, ${amount(item.macs)} MACs, reward ${decimal(item.reward)}`
    : `${item.status}: ${item.reason}`;
  const run = several ? `${data.runs[item.run].name}: ` : "";
  tip.replaceChildren(element("b", {}, run + item.name), facts, element("div", {}, ...networkLines(item.network)));
  placeTooltip(event);
}
function placeTooltip(event) {
  const tip = byId("tooltip");
  tip.hidden = false;
  const x = Math.min(event.clientX + 16, innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 16 + tip.offsetHeight < innerHeight;
  tip.style.left = Math.max(8, x) + "px";
  tip.style.top = Math.max(8, below ? event.clientY + 16 : event.clientY - tip.offsetHeight - 12) + "px";
}
const hideTooltip = () => { byId("tooltip").hidden = true; };

function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
async function copyText(text, node, said) {
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(node);
    said.textContent = "Marked";
  }
}

const dark = matchMedia("(prefers-color-scheme: dark)");
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "☀" : "☾";
}
function followTheme() {
  setTheme(localStorage.getItem("theme") ?? (dark.matches ? "dark" : "light"));
  byId("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", theme);
    setTheme(theme);
  });
  dark.addEventListener("change", (event) => {
    if (!localStorage.getItem("theme")) setTheme(event.matches ? "dark" : "light");
  });
}
