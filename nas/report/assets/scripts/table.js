// All trials: sorted by a column, those that match the page's filter, a page of rows at a time.
const ROWS = 25;
const table = { rows: [], shown: [], sort: "reward", down: true, page: 0 };
const COLUMNS = [
  ...(several ? [{ name: "run", title: "Run", get: (t) => data.runs[t.run].name }] : []),
  { name: "number", title: "Trial", number: true, get: (t) => t.number },
  ...(data.runs?.some((run) => run.grid) ? [{ name: "triple", title: data.runs.some((run) => run.grid?.[0]?.line) ? "Network, epochs, seed" : "Triple, epochs, seed", get: (t) => (t.triple ? `${t.triple.triple}, ${t.triple.fidelity}×, ${t.triple.seed}` : "–") }] : []),
  { name: "reward", title: "Reward", number: true, get: (t) => t.reward, show: decimal },
  { name: "accuracy", title: "Accuracy", number: true, get: (t) => t.accuracy, show: percent },
  { name: "macs", title: "MACs", number: true, get: (t) => t.macs, show: amount },
  { name: "params", title: "Parameters", number: true, get: (t) => t.params, show: amount },
  { name: "seconds", title: "Seconds", number: true, get: (t) => t.seconds, show: (v) => (v === null ? "–" : v.toFixed(1)) },
  { name: "status", title: "Status", get: (t) => t.status },
  { name: "what", title: "Network, or why there is none", wide: true, get: what },
];

/** Stages in short, e.g. `MBConv6 3×3 24×2`; the reason of a trial that failed. */
function what(t) {
  if (t.reason) return t.reason;
  const net = network(t.network);
  return net ? net.stages.map((s) => `${s.op === "mbconv" ? "e" + s.expand : s.op}k${s.kernel}${s.se ? "se" : ""} ${s.channels}×${s.layers}`).join(" · ") : t.key;
}
const texts = new Map();
function haystack(t) {
  const key = `${t.run}.${t.number}`;
  if (!texts.has(key)) texts.set(key, [t.name, t.number, t.status, t.reason, t.key, several ? data.runs[t.run].name : "", what(t)].join(" ").toLowerCase());
  return texts.get(key);
}

function buildTable() {
  byId("table").tHead.rows[0].replaceChildren(...COLUMNS.map((c) => element("th", { scope: "col", class: `${c.number ? "number" : ""} column-${c.name}`.trim(), "data-column": c.name },
    element("button", { type: "button", onclick: () => sortBy(c.name) }, c.title))));
  for (const [id, event] of [["filter", "input"], ["status", "change"]]) byId(id).addEventListener(event, readFilter);
  byId("clear").addEventListener("click", clearFilter);
  byId("page-back").addEventListener("click", () => turnPage(-1));
  byId("page-on").addEventListener("click", () => turnPage(1));
  byId("save-csv").addEventListener("click", () => saveFile("trials.csv", tableCsv(), "text/csv"));
  byId("table").tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) (event.shiftKey ? toggleKept : select)(trial(Number(row.dataset.run), Number(row.dataset.trial)));
  });
  filter.listeners.push(filterTable);
}
function fillTable() {
  table.rows = data.runs.flatMap((run, r) => run.trials.macs.map((_, i) => trial(r, i)));
  texts.clear();
  const statuses = [...new Set(table.rows.map((t) => t.status))].sort();
  byId("status").replaceChildren(element("option", { value: "" }, "all"), ...statuses.map((s) => element("option", { value: s }, s)));
  byId("status").value = filter.status;
  changeFilter();
}
function readFilter() {
  filter.words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  filter.status = byId("status").value;
  changeFilter();
}
function clearFilter() {
  byId("filter").value = byId("status").value = "";
  filter.choices.clear();
  readFilter();
}
function sortBy(name) {
  table.down = table.sort === name ? !table.down : COLUMNS.find((c) => c.name === name).number === true && name !== "number";
  table.sort = name;
  filterTable();
}
function filterTable() {
  const { get } = COLUMNS.find((c) => c.name === table.sort);
  const matching = table.rows.filter(pass);
  const sign = table.down ? -1 : 1;
  const keyed = matching.map((t) => [get(t), t]);
  // What has no value comes last, whatever the direction.
  keyed.sort(([a, s], [b, t]) => (a === null) - (b === null) || sign * ((a > b) - (a < b)) || s.number - t.number);
  table.shown = keyed.map(([, t]) => t);
  table.page = 0;
  showPage();
}
function turnPage(by) {
  table.page = Math.min(Math.max(0, table.page + by), Math.max(0, Math.ceil(table.shown.length / ROWS) - 1));
  showPage();
}
function showPage() {
  const start = table.page * ROWS;
  const rows = table.shown.slice(start, start + ROWS);
  byId("table").tBodies[0].replaceChildren(...rows.map(tableRow));
  for (const head of byId("table").tHead.rows[0].cells) {
    const sorted = head.dataset.column === table.sort;
    if (sorted) head.setAttribute("aria-sort", table.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
    const button = head.firstChild;
    button.textContent = COLUMNS.find((c) => c.name === head.dataset.column).title + (sorted ? (table.down ? " ↓" : " ↑") : "");
  }
  byId("count").textContent = `${table.shown.length.toLocaleString("en")} of ${table.rows.length.toLocaleString("en")} trials`;
  byId("clear").hidden = !filtering();
  byId("page").textContent = rows.length ? `${start + 1} to ${start + rows.length}` : "no trial matches";
  byId("page-back").disabled = table.page === 0;
  byId("page-on").disabled = start + ROWS >= table.shown.length;
  markRow();
}
function tableRow(t) {
  const cells = COLUMNS.map((c) => {
    const value = c.get(t);
    const text = c.show ? c.show(value) : String(value);
    const style = [c.number ? "number" : "", c.wide ? "wide" : "", c.name === "status" && t.status !== "ok" ? "bad" : ""].join(" ").trim();
    return element("td", { class: `${style} column-${c.name}`.trim() }, c.name === "number" ? element("button", { type: "button", "aria-label": `Select trial ${text}` }, text) : text);
  });
  return element("tr", { "data-run": t.run, "data-trial": t.number }, ...cells);
}
function markRow() {
  const item = selection.item;
  for (const row of byId("table").tBodies[0].rows) {
    const own = item && Number(row.dataset.run) === item.run && Number(row.dataset.trial) === item.number;
    row.classList.toggle("selected", Boolean(own));
    if (own) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}
function tableCsv() {
  const quoted = (value) => (/[",\n\r]/.test(String(value ?? "")) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
  const head = ["run", "trial", "reward", "accuracy", "macs", "params", "status", "reason", "seconds", "repeat_of", "key"];
  const rows = table.shown.map((t) => [data.runs[t.run].name, t.number, t.reward, t.accuracy, t.macs, t.params, t.status, t.reason, t.seconds, t.repeatOf, t.key]);
  return [head, ...rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
}
