// Draws what `npm run bench` measured: one panel per room size, two bars per step, on a logarithmic axis.

const COLOURS = { "@mimi-edge/client": "ours", "ts-mls": "other" };
const LABELS = 96;
const PANEL = 232;
const GAP = 20;
const ROW = 30;
const TOP = 64;
const BAR = 11;
const DECADES = [0.1, 1, 10, 100, 1000, 10_000];

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .small { font-size: 10px; fill: #57606a; }
  .head { font-weight: 600; }
  .ours { fill: #0969da; }
  .other { fill: #bf8700; }
  .grid { stroke: #8c959f; stroke-opacity: .35; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9da7b3; }
    .ours { fill: #58a6ff; }
    .other { fill: #e3b341; }
  }`;

/** An SVG of these rows of one cipher suite: `{ stack, members, millis }`. */
export function drawChart(rows) {
  const operations = Object.keys(rows[0].millis);
  const sizes = [...new Set(rows.map(({ members }) => members))];
  const width = LABELS + sizes.length * (PANEL + GAP);
  const height = TOP + operations.length * ROW + 34;
  const parts = [
    legend(),
    ...operations.map((name, index) => text(LABELS - 8, TOP + index * ROW + 19, name, { end: true })),
    ...sizes.flatMap((members, index) => panel(rows.filter((row) => row.members === members), members, LABELS + index * (PANEL + GAP), operations)),
    text(LABELS, height - 6, "milliseconds (median), shorter is better; logarithmic", { className: "small" }),
  ];
  const label = `Time per step of ${Object.keys(COLOURS).join(" and ")} in rooms of ${sizes.join(", ")} members`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">\n<style>${STYLE}\n</style>\n${parts.join("\n")}\n</svg>\n`;
}

function legend() {
  return Object.entries(COLOURS).map(([stack, colour], index) => {
    const x = LABELS + index * 170;
    return `<rect class="${colour}" x="${x}" y="8" width="12" height="12" rx="2"/>${text(x + 18, 18, stack)}`;
  }).join("\n");
}

function panel(rows, members, x, operations) {
  const bottom = TOP + operations.length * ROW;
  const grid = DECADES.map((millis) => {
    const at = x + position(millis);
    return `<line class="grid" x1="${at}" x2="${at}" y1="${TOP}" y2="${bottom}"/>${text(at, bottom + 12, millis < 1000 ? String(millis) : `${millis / 1000} s`, { className: "small", middle: true })}`;
  });
  const bars = operations.flatMap((name, index) => Object.entries(COLOURS).map(([stack, colour], place) => {
    const row = rows.find((row) => row.stack === stack);
    if (row === undefined) return "";
    const millis = row.millis[name];
    const y = TOP + index * ROW + 3 + place * (BAR + 2);
    const length = Math.max(position(millis), 1);
    return `<rect class="${colour}" x="${x}" y="${y}" width="${length}" height="${BAR}" rx="1"/>${text(x + length + 3, y + 9, short(millis), { className: "small" })}`;
  }));
  return [text(x, TOP - 12, `${members} members`, { className: "head" }), ...grid, ...bars];
}

/** Where a time lies on the axis, in units of the drawing. */
function position(millis) {
  const [least, most] = [Math.log10(DECADES[0]), Math.log10(DECADES.at(-1))];
  const share = (Math.log10(Math.max(millis, DECADES[0])) - least) / (most - least);
  return round(share * (PANEL - 36));
}

function short(millis) {
  if (millis >= 1000) return `${(millis / 1000).toFixed(1)} s`;
  return millis.toFixed(millis < 1 ? 2 : millis < 10 ? 1 : 0);
}

function text(x, y, content, { className, end = false, middle = false } = {}) {
  const anchor = end ? ' text-anchor="end"' : middle ? ' text-anchor="middle"' : "";
  return `<text${className === undefined ? "" : ` class="${className}"`} x="${round(x)}" y="${y}"${anchor}>${content}</text>`;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
