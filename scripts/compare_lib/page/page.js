// Draws the plots. Colours are variables of the style sheet, so that they follow the reader's light or dark.
const result = JSON.parse(document.getElementById("result").textContent);
const names = { java: "Java", ours: "ours", relay: "bare relay", haproxy: "HAProxy", "haproxy-java": "HAProxy before Java's" };
const colour = (name) => `var(--${name})`;
const short = (value) =>
  value >= 100 ? d3.format(",.0f")(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const time = (us) => (us >= 1e6 ? `${us / 1e6} s` : us >= 1000 ? `${us / 1000} ms` : `${us} µs`);
const style = { background: "transparent", color: "var(--text)", fontSize: "12px", fontFamily: "inherit" };

function card(parent, title, sub, legend, draw) {
  const figure = document.createElement("figure");
  const caption = figure.appendChild(document.createElement("figcaption"));
  caption.appendChild(document.createElement("h3")).textContent = title;
  if (sub) caption.appendChild(document.createElement("p")).textContent = sub;
  if (legend) {
    const line = caption.appendChild(document.createElement("div"));
    line.className = "legend";
    for (const [name, fill] of legend) {
      const entry = line.appendChild(document.createElement("span"));
      entry.appendChild(document.createElement("i")).style.background = fill;
      entry.append(name);
    }
  }
  document.getElementById(parent).append(figure);
  // Once it is in the page its width is known.
  figure.append(draw((figure.clientWidth || 480) - 34));
}

function bars(width, rows, { runs = [], limit, format = short }) {
  // Behind the bar and the dots.
  const end = (row) => d3.max([row.value, ...runs.filter((run) => run.label === row.label).map((run) => run.value)]);
  return Plot.plot({
    width, height: 34 + rows.length * 34, marginLeft: 92, marginRight: 64, marginBottom: 8, marginTop: limit ? 18 : 8, style,
    x: { axis: null, domain: [0, d3.max([...rows.map((row) => row.value), ...runs.map((run) => run.value), limit ?? 0])] },
    y: { label: null, tickSize: 0, domain: rows.map((row) => row.label), padding: 0.25, tickFormat: (label) => label.replace(" before ", "\nbefore ") },
    marks: [
      Plot.barX(rows, { x: "value", y: "label", fill: (row) => colour(row.name), rx2: 3 }),
      Plot.dot(runs, { x: "value", y: "label", r: 2.5, fill: "var(--text)", fillOpacity: 0.45, stroke: "var(--card)", strokeWidth: 0.5 }),
      limit ? Plot.ruleX([limit], { stroke: "var(--no)", strokeDasharray: "4 3" }) : null,
      Plot.text(rows, { x: end, y: "label", text: (row) => format(row.value), textAnchor: "start", dx: 7, fontWeight: 600,
        stroke: "var(--card)", strokeWidth: 5, fill: "var(--text)" }),
      limit ? Plot.text([limit], { x: (value) => value, frameAnchor: "top", dy: -14, text: () => "limit", fill: "var(--no)" }) : null,
    ],
  });
}

for (const [key, workload] of Object.entries(result.workloads)) {
  const targets = Object.entries(workload.targets).map(([name, of]) => ({ name, label: names[name], ...of }));
  const rows = targets.map(({ name, label, cpu_us_per_message: value }) => ({ name, label, value }));
  const runs = targets.flatMap(({ label, runs }) => runs.map((value) => ({ label, value })));
  const rates = targets.map((of) => `${of.label} ${d3.format(",.0f")(of.messages_per_second)}/s`).join(" · ");
  card("cpu", `${key}: ${workload.title}`, `µs of CPU; ${rates}`, null, (width) => bars(width, rows, { runs }));
}

// The powers of ten around some values.
const decades = (values) => {
  const [least, most] = d3.extent(values, Math.log10);
  return d3.range(Math.floor(least), Math.ceil(most) + 1).map((power) => 10 ** power);
};

// Percentiles as their distance from all: 99.9 % is at 1000.
const rank = (percentile) => 1 / (1 - percentile / 100);
function curves(width, lines) {
  const points = lines.flatMap(({ name, fill, curve }) =>
    curve.filter(([percentile, us]) => percentile < 100 && us > 0).map(([percentile, us]) => ({ name, fill, percentile, us, rank: rank(percentile) })));
  const most = d3.max(points, (point) => point.rank);
  const percentiles = [50, 90, 99, 99.9, 99.99, 99.999, 99.9999].filter((percentile) => rank(percentile) <= most * 1.01);
  const ticks = decades(points.map((point) => point.us));
  return Plot.plot({
    width, height: 300, marginLeft: 56, marginRight: 16, marginBottom: 42, style,
    x: { type: "log", label: "percentile", labelOffset: 38, domain: [1, most], ticks: percentiles.map(rank), tickFormat: (value) => `${+(100 - 100 / value).toFixed(4)}`, grid: false },
    y: { type: "log", label: null, grid: true, ticks, domain: d3.extent(ticks), tickFormat: time },
    marks: [
      Plot.line(points, { x: "rank", y: "us", z: "name", stroke: "fill", strokeWidth: 2.2, curve: "monotone-x" }),
      Plot.ruleX(points, Plot.pointerX({ x: "rank", stroke: "var(--soft)", strokeDasharray: "2 2" })),
      Plot.dot(points, Plot.pointer({ x: "rank", y: "us", fill: "fill", r: 4 })),
      Plot.tip(points, Plot.pointer({ x: "rank", y: "us", fill: "var(--card)", stroke: "var(--line)",
        title: (point) => `${point.name}\n${+point.percentile.toFixed(4)} %: ${short(point.us)} µs` })),
    ],
  });
}

const drawn = (lines) => lines.filter((line) => line.curve && line.curve.length);
const legend = (lines) => lines.map((line) => [line.name, line.fill]);
const halves = drawn(Object.entries(result.latency).map(([name, of]) => ({
  name: `${name}, ${d3.format(",.0f")(of.rate)}/s`, curve: of.medians.latency_percentiles,
  fill: name.includes("Java's") ? "var(--extra)" : colour(of.service),
})));
const panels = [];
if (halves.length) panels.push(["Publish to receipt, at half of saturation", "16 clients, 1 KiB", halves]);
const through = drawn(Object.entries(result.end_to_end.targets ?? {}).map(([name, of]) => ({
  name: names[name], fill: colour(name), curve: of.latency_percentiles })));
if (through.length) {
  const rate = d3.format(",.0f")(result.end_to_end.rate);
  panels.push(["Publish to delivery, through a real broker", `both at ${rate}/s, half of what goes through Java's`, through]);
}
for (const [key, workload] of Object.entries(result.workloads)) {
  const lines = drawn(["java", "ours"].filter((name) => name in workload.targets).map((name) => ({
    name: names[name], fill: colour(name), curve: workload.targets[name].latency_percentiles })));
  if (lines.length && key === "W5") panels.push([`${key}: ${workload.title}`, "", lines]);
}
for (const [title, sub, lines] of panels) card("latency", title, sub, legend(lines), (width) => curves(width, lines));
if (!panels.length) document.getElementById("latency-section").remove();

const idle = Object.entries(result.idle).map(([name, of]) => ({ name, label: names[name], value: of.bytes_each }));
if (idle.length) {
  const limit = result.judged.find((row) => row.key === "W7").limit;
  card("size", "Resident bytes of an idle producer", `of ${d3.format(",")(result.idle.ours.connections)}`, null,
    (width) => bars(width, idle, { limit, format: d3.format(",.0f") }));
}

const sizes = Object.entries(result.sweep).flatMap(([size, targets]) =>
  Object.entries(targets).map(([name, of]) => ({ size: +size, name, us: of.cpu_us_per_message })));
if (sizes.length) {
  const bytes = (value) => (value >= 1024 ? `${value / 1024} KiB` : `${value} B`);
  const ticks = decades(sizes.map((point) => point.us));
  const present = Object.keys(names).filter((name) => sizes.some((point) => point.name === name));
  card("size", "CPU for each message, by payload", "publish with two properties and a key; both axes are logarithmic",
    present.map((name) => [names[name], colour(name)]), (width) => Plot.plot({
      width, height: 300, marginLeft: 56, marginRight: 24, marginBottom: 42, style,
      x: { type: "log", base: 2, label: "payload", labelOffset: 38, ticks: [...new Set(sizes.map((point) => point.size))], tickFormat: bytes },
      y: { type: "log", label: null, grid: true, ticks, domain: d3.extent(ticks), tickFormat: time },
      marks: [
        Plot.line(sizes, { x: "size", y: "us", z: "name", stroke: (point) => colour(point.name), strokeWidth: 2.2 }),
        Plot.dot(sizes, { x: "size", y: "us", fill: (point) => colour(point.name), r: 3.5 }),
        Plot.tip(sizes, Plot.pointer({ x: "size", y: "us", fill: "var(--card)", stroke: "var(--line)",
          title: (point) => `${names[point.name]}, ${bytes(point.size)}\n${short(point.us)} µs` })),
      ],
    }));
}
if (!document.querySelector("#size figure")) document.getElementById("size").closest("section").remove();
if (!document.querySelector("#counted-section figure")) document.getElementById("counted-section").remove();
