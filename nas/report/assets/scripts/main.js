// Puts the page together.
function contents() {
  const titles = [...document.querySelectorAll("main section[data-short]")].filter((section) => section.checkVisibility());
  byId("contents").replaceChildren(...titles.map((section) => element("a", { href: "#" + section.id }, section.dataset.short)));
  byId("goto").replaceChildren(element("option", { value: "" }, "Go to …"), ...titles.map((section) => element("option", { value: section.id }, section.dataset.short)));
}

/** A choice of the run that a section shows, where there are several. */
function runPicker(parent, onPick) {
  const picked = { run: 0 };
  const menu = element("select", { "aria-label": "Run" }, ...data.runs.map((run, r) => element("option", { value: r }, run.name)));
  menu.addEventListener("change", () => { picked.run = Number(menu.value); onPick(picked.run); });
  if (several) parent.prepend(menu);
  return () => onPick(picked.run);
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
  byId("failures").replaceChildren(...(lines.length ? [element("ul", { "aria-label": "Why trials failed" },
    ...lines.map(([line, count]) => element("li", {}, element("span", { class: "bad" }, `${count} × `), line)))] : []));
}

/** Everything that a reader may want later is drawn when its fold is opened. */
function onOpen(id, draw) {
  byId(id).addEventListener("toggle", () => byId(id).open && draw());
  return () => byId(id).open && draw();
}
function choicesSection() {
  const state = { run: 0 };
  const policy = onOpen("policy", () => { addSignals(byId("signals")); addPolicy(state.run, byId("heat-maps")); });
  return runPicker(byId("choices-pick"), (run) => {
    state.run = run;
    byId("choices-note").textContent = data.runs[run].beliefs_text;
    addShares(run, byId("shares"));
    policy();
  });
}
function decisionsSection() {
  const state = { run: 0, all: false };
  const button = byId("all-decisions");
  const show = () => {
    const count = data.runs[state.run].effects.length;
    byId("decisions-none").hidden = count > 0;
    addEffects(state.run, state.all, byId("effects"));
    button.hidden = count <= FIRST_DECISIONS;
    button.textContent = state.all ? `Show the first ${FIRST_DECISIONS}` : `Show all ${count} decisions`;
    drawParallel(state.run, byId("parallel-chart"));
  };
  button.addEventListener("click", () => { state.all = !state.all; show(); });
  const again = () => drawParallel(state.run, byId("parallel-chart"));
  new ResizeObserver(again).observe(byId("parallel-chart"));
  filter.listeners.push(again);
  selection.listeners.push(() => markThreads(byId("parallel-chart")));
  return runPicker(byId("decisions-pick"), (run) => { state.run = run; filter.choices.clear(); show(); });
}

/** What draws each part of the page anew from the data, in order. */
function showTrials() {
  buildTable();
  const draws = [fillTable];
  if (byId("tradeoff")) {
    draws.push(drawLegends, showFailures, sharingSection);
    for (const [id, figure] of [["tradeoff-chart", tradeoffFigure], ["progress-chart", progressFigure], ["sharing-chart", sharingFigure]]) draws.push(addChart(byId(id), figure).draw);
  }
  byId("curves").hidden = !hasCurves();
  const curves = addChart(byId("curves-chart"), curvesFigure);
  selection.listeners.push(showNetwork, markRow, showCompared, curves.draw);
  if (byId("choices")) draws.push(choicesSection(), decisionsSection());
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("to-best").addEventListener("click", () => select(trial(...bestTrial())));
  byId("keep").addEventListener("click", () => toggleKept(selection.item));
  byId("copy").addEventListener("click", () => copyText(byId("yaml").textContent, byId("yaml"), byId("copied")));
  byId("save-yaml").addEventListener("click", () => saveFile("architecture.yaml", byId("yaml").textContent, "application/yaml"));
  new ResizeObserver(drawSelected).observe(byId("drawing"));
  new IntersectionObserver(([entry]) => { jump.away = !entry.isIntersecting; showJump(); }).observe(byId("network"));
  addEventListener("hashchange", selectByAddress);
  keepFirst();
  if (!selectByAddress()) select(trial(...bestTrial()), true);
  selection.listeners.push(() => { jump.wanted = true; showJump(); });
  return draws;
}
/** A way to the drawing, once something was selected while the drawing is out of sight. */
const jump = { away: false, wanted: false };
function showJump() { byId("jump").hidden = !(jump.away && jump.wanted); }
/** At first the best network stands beside the known one. */
function keepFirst() {
  const [run, number] = bestTrial();
  const known = data.runs[run].references[0];
  selection.kept = [trial(run, number), ...(known ? [reference(run, 0)] : [])].filter((item) => item.network !== null);
}
/** [run, number] of the highest reward of all runs; the first trial where none succeeded. */
function bestTrial() {
  const found = data.runs.flatMap((run, r) => (run.best === null ? [] : [[r, run.best]]));
  const reward = ([r, i]) => data.runs[r].trials.reward[i];
  return found.sort((a, b) => reward(b) - reward(a))[0] ?? [data.runs.findIndex((run) => run.trials.macs.length), 0];
}

/** A served page asks its own server whether the journals have grown, and for the data alone if so. */
function watch(draws) {
  setInterval(async () => {
    if (document.hidden) return;
    const stamp = await fetch("stamp").then((answer) => answer.text()).catch(() => data.stamp);
    if (stamp === data.stamp) return;
    const news = await fetch("news").then((answer) => answer.json());
    if (news.data.sections !== data.sections) return location.reload();
    data = news.data;
    const answer = new DOMParser().parseFromString(news.answer, "text/html").getElementById("answer");
    byId("answer").replaceWith(answer);
    byId("settings")?.toggleAttribute("open", false);
    for (const draw of draws) draw();
    if (selection.item) select(itemAt(addressOf(selection.item)), true);
  }, 2000);
}

followTheme();
const draws = [];
if (byId("trials")) draws.push(...showTrials());
if (byId("family")) draws.push(drawFamilyLegend, addChart(byId("family-chart"), familyFigure).draw);
contents();
for (const draw of draws) draw();
byId("goto").addEventListener("change", () => { location.hash = byId("goto").value; });
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copyText(button.dataset.copy, button.previousElementSibling, button);
});
if (data.live) watch(draws);
document.documentElement.dataset.ready = Math.round(performance.now());
