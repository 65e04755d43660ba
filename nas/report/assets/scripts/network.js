// The selected network: its facts, its drawing stage by stage, its YAML.
const STAGE = ["op", "expand", "kernel", "stride", "channels", "layers", "se", "skip", "inChannels", "inSide", "side", "macs", "params"];
const FRAME = ["resolution", "classes", "stem", "head", "activation", "dropout", "stemMacs", "stemStride", "stemKernel", "stemPool"];

const fields = (names, row) => Object.fromEntries(names.map((name, i) => [name, row[i]]));

/** A network as an object, or null where it is not known. */
function network(index) {
  if (index === null) return null;
  const [frame, macs, params, ...stages] = data.networks.networks[index];
  const whole = fields(FRAME, data.networks.frames[frame]);
  const built = stages.map((stage) => fields(STAGE, data.networks.stages[stage]));
  const headMacs = macs - whole.stemMacs - built.reduce((sum, stage) => sum + stage.macs, 0);
  return { ...whole, macs, params, headMacs, stages: built };
}
const operator = (stage) => `${stage.op === "mbconv" ? "MBConv" + stage.expand : stage.op} ${stage.kernel}×${stage.kernel}`;

function networkLines(index) {
  const net = network(index);
  if (!net) return [];
  return net.stages.map((s, i) =>
    element("div", {}, `${i + 1}  ${operator(s)}${s.se ? " + SE" : ""}, ${s.channels} channels × ${s.layers}`));
}

function drawingRows(net) {
  const first = Math.ceil(net.resolution / net.stemStride);
  const last = net.stages.at(-1).side;
  return [
    { title: `conv ${net.stemKernel}×${net.stemKernel}`, notes: net.stemPool ? "stem, pool" : "stem", channels: net.stem, side: first, macs: net.stemMacs, layers: 1, fill: "--early" },
    ...net.stages.map((s) => ({
      title: operator(s), layers: s.layers, channels: s.channels, side: s.side, macs: s.macs, se: s.se,
      notes: [s.stride === 2 ? "stride 2" : "", s.se ? "SE" : "", s.skip === "none" ? "no skip" : s.skip === "pool" ? "pool skip" : ""].filter(Boolean).join(", "),
      fill: s.op !== "mbconv" ? "--series-2" : s.expand === 1 ? "--series-3" : "--series-1",
    })),
    { title: net.head ? "conv 1×1, classifier" : "classifier", notes: `${net.classes} classes`, channels: net.head || net.stages.at(-1).channels, side: last, macs: net.headMacs, layers: 1, fill: "--early" },
  ];
}

/** One row a stage: layers as stacked cards whose width grows with the channels, then the share of the MACs as a bar. */
function drawNetwork(net, width) {
  const rows = drawingRows(net);
  const height = 52;
  const most = Math.max(...rows.map((row) => row.macs));
  const widest = Math.max(...rows.map((row) => Math.sqrt(row.channels)));
  const narrow = width < 350;
  const shapes = narrow ? width * 0.21 : 96;
  const gap = narrow ? 3 : 5;
  const bars = narrow ? 40 : 52;
  const image = svg("svg", { viewBox: `0 0 ${width} ${rows.length * height + 22}`, role: "img", "aria-label": describeNetwork(net) });
  image.append(svg("text", { x: shapes + 12, y: 12, class: "muted" }, narrow ? "channels at side²" : "operator, channels at side²"));
  image.append(svg("text", { x: width, y: 12, "text-anchor": "end", class: "muted" }, "MACs"));
  rows.forEach((row, i) => {
    const top = 22 + i * height;
    const cards = Math.min(row.layers, 6);
    const card = Math.max(10, (shapes - 5 * gap) * (Math.sqrt(row.channels) / widest));
    if (i) image.append(svg("line", { x1: shapes / 2, x2: shapes / 2, y1: top - 12, y2: top + 8, stroke: "var(--line)", "stroke-width": 2 }));
    for (let layer = cards - 1; layer >= 0; layer--) {
      const x = (shapes - card - (cards - 1) * gap) / 2 + layer * gap;
      image.append(svg("rect", { x, y: top + 6, width: card, height: 30, rx: 5, fill: `var(${row.fill})`, stroke: "var(--card)", "stroke-width": 1.5 }));
    }
    const label = `${row.title}${row.layers > 1 ? `  × ${row.layers}` : ""}`;
    image.append(svg("text", { x: shapes + 12, y: top + 17, "font-weight": 600 }, label));
    const place = `${row.channels} at ${row.side}²${row.notes ? " · " + row.notes : ""}`;
    image.append(svg("text", { x: shapes + 12, y: top + 35, class: "muted" }, place));
    const share = (100 * row.macs) / net.macs;
    image.append(svg("text", { x: width, y: top + 17, "text-anchor": "end" }, `${share.toFixed(1)}%`));
    const bar = Math.max(1, (bars * row.macs) / most);
    image.append(svg("rect", { x: width - bar, y: top + 25, width: bar, height: 5, rx: 2.5, fill: "var(--late)" }));
  });
  return image;
}
function describeNetwork(net) {
  const stages = net.stages.map((s, i) => `stage ${i + 1} ${operator(s)}${s.se ? " with SE" : ""}, ${s.channels} channels, ${s.layers} layers, ${s.side} pixels`);
  return `Network of ${amount(net.macs)} multiply-adds: ${stages.join("; ")}`;
}

const float = (value) => (Number.isInteger(value) ? value.toFixed(1) : String(value));
function networkYaml(item) {
  const net = network(item.network);
  const stages = net.stages.map((s) =>
    `- {op: ${s.op}, expand: ${s.expand}, kernel: ${s.kernel}, stride: ${s.stride}, channels: ${s.channels}, layers: ${s.layers}, se: ${float(s.se)}, skip: ${s.skip}}`);
  const scores = item.accuracy === null ? "" : `, accuracy: ${float(item.accuracy)}, reward: ${float(item.reward)}`;
  return [
    "format: nas-architecture/1",
    `name: ${JSON.stringify(item.reference === undefined ? `${data.runs[item.run].name}-${item.number}` : item.name)}`,
    `resolution: ${net.resolution}`, `classes: ${net.classes}`, `stem: ${net.stem}`,
    ...(net.stemStride === 2 ? [] : [`stem_stride: ${net.stemStride}`]),
    ...(net.stemKernel === 3 ? [] : [`stem_kernel: ${net.stemKernel}`]),
    ...(net.stemPool ? ["stem_pool: true"] : []), "stages:", ...stages,
    `head: ${net.head}`, `activation: ${net.activation}`, `dropout: ${float(net.dropout)}`,
    `metrics: {macs: ${net.macs}, params: ${net.params}${scores}}`, "",
  ].join("\n");
}

function showNetwork(item) {
  const failed = item.status === "ok" ? null : element("span", { class: "bad" }, `${item.status}${item.reason ? ": " + item.reason : ""}`);
  const repeated = item.repeatOf != null ? element("span", {}, `the same network as trial ${item.repeatOf}`) : null;
  const run = several ? `${data.runs[item.run].name}: ` : "";
  const parts = [
    element("b", {}, run + item.name + (item.number === data.runs[item.run].best && item.number !== undefined ? ", the best" : "")),
    element("span", {}, `accuracy ${percent(item.accuracy)} · reward ${decimal(item.reward)}`),
    element("span", {}, `${item.macs.toLocaleString("en")} MACs · ${item.params.toLocaleString("en")} parameters`),
    failed, repeated,
  ];
  byId("network-facts").replaceChildren(...parts.filter(Boolean));
  byId("keep").textContent = kept(item) < 0 ? "Keep to compare" : "Let go";
  const jump = byId("jump");
  jump.textContent = `${item.name} · ${percent(item.accuracy)} · ${amount(item.macs)} MACs: show the network`;
  drawSelected();
  byId("yaml").textContent = item.network === null ? "The search space cannot be read." : networkYaml(item);
}
function drawSelected() {
  const item = selection.item;
  const net = item && network(item.network);
  byId("drawing").replaceChildren(net ? drawNetwork(net, Math.max(280, byId("drawing").clientWidth)) : "");
}
