// Puts the page together.
function contents() {
  const titles = [...document.querySelectorAll("main section > h2")];
  byId("contents").replaceChildren(...titles.map((title) => element("a", { href: "#" + title.parentElement.id }, title.textContent)));
}

/** A choice of the run that a section shows, where there are several. */
function runPicker(parent, text, onPick) {
  if (!several) return onPick(0);
  const menu = element("select", {}, ...data.runs.map((run, r) => element("option", { value: r }, run.name)));
  menu.addEventListener("change", () => onPick(Number(menu.value)));
  parent.prepend(element("label", {}, text + " ", menu));
  onPick(0);
}

function showFailures() {
  const counts = new Map();
  data.runs.forEach((run, r) => {
    for (const i of failed(r)) {
      const t = trial(r, i);
      const line = `${several ? run.name + ": " : ""}${t.status}: ${t.reason}`;
      counts.set(line, (counts.get(line) ?? 0) + 1);
    }
  });
  const lines = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12);
  if (!lines.length) return;
  byId("failures").append(element("ul", { "aria-label": "Why trials failed" },
    ...lines.map(([line, count]) => element("li", {}, element("span", { class: "bad" }, `${count} × `), line))));
}

function showEffects(parent) {
  const button = element("button", { type: "button" });
  const state = { run: 0, all: false };
  const show = () => {
    addEffects(state.run, state.all, byId("effects-charts"));
    const count = data.runs[state.run].effects.length;
    button.hidden = count <= FIRST_DECISIONS;
    button.textContent = state.all ? `Show the first ${FIRST_DECISIONS}` : `Show all ${count} decisions`;
  };
  button.addEventListener("click", () => { state.all = !state.all; show(); });
  parent.append(button);
  runPicker(parent, "Run", (run) => { state.run = run; show(); });
}

function showTrials() {
  const tradeoff = addChart(byId("tradeoff-chart"), tradeoffFigure, described);
  const progress = addChart(byId("progress-chart"), progressFigure, described);
  const controls = data.runs.filter((run) => several && run.is_random).map((run) => run.name);
  if (controls.length) byId("control-note").textContent = ` The dashed line is random search, the control (${controls.join(", ")}).`;
  showFailures();
  addSignals(byId("signals"));
  runPicker(byId("beliefs-pick"), "Run", (run) => addHeatMaps(run, byId("heat-maps")));
  showEffects(byId("effects-pick"));
  buildTable();
  selection.listeners.push(showNetwork, markRow, () => moveRing(tradeoff, "macs", "accuracy"), () => moveRing(progress, "number", "reward"));
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("to-best").addEventListener("click", () => select(trial(...bestTrial())));
  byId("copy").addEventListener("click", copyYaml);
  byId("save-yaml").addEventListener("click", () => saveFile("architecture.yaml", byId("yaml").textContent, "application/yaml"));
  new ResizeObserver(drawSelected).observe(byId("drawing"));
  select(selectedByAddress() ?? trial(...bestTrial()), true);
}
/** [run, number] of the highest reward of all runs; the first trial where none succeeded. */
function bestTrial() {
  const found = data.runs.flatMap((run, r) => (run.best === null ? [] : [[r, run.best]]));
  const reward = ([r, i]) => data.runs[r].trials.reward[i];
  return found.sort((a, b) => reward(b) - reward(a))[0] ?? [data.runs.findIndex((run) => run.trials.macs.length), 0];
}
async function copyYaml() {
  try {
    await navigator.clipboard.writeText(byId("yaml").textContent);
    byId("copied").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(byId("yaml"));
    byId("copied").textContent = "Marked: copy it with Ctrl-C";
  }
}

/** A served page asks its own server whether the journals have grown, and loads itself again. */
function watch() {
  setInterval(async () => {
    if (document.hidden || document.activeElement === byId("filter")) return;
    const stamp = await fetch("stamp").then((answer) => answer.text()).catch(() => data.stamp);
    if (stamp !== data.stamp) location.reload();
  }, 2000);
}

const wanted = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
document.documentElement.dataset.theme = wanted;
contents();
if (byId("trials")) showTrials();
if (byId("family")) addChart(byId("family-chart"), familyFigure, described);
if (byId("difference")) {
  const [run, number] = bestTrial();
  showDifference(trial(run, number), reference(run, 0));
}
setTheme(wanted);
byId("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", theme);
  setTheme(theme);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  if (!localStorage.getItem("theme")) setTheme(event.matches ? "dark" : "light");
});
if (data.live) watch();
document.documentElement.dataset.ready = Math.round(performance.now());
