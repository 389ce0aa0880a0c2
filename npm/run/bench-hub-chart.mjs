// Draws what `npm run bench:hub` measured: per second, the hub beside what it is measured against.
const WIDTH = 720;
const LABELS = 190;
const BAR = 12;
const GROUP = 54;
const TOP = 40;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .small { font-size: 10px; fill: #57606a; }
  .hub { fill: #0969da; }
  .bare { fill: #bf8700; }
  .openmls { fill: #8250df; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9da7b3; }
    .hub { fill: #58a6ff; }
    .bare { fill: #e3b341; }
    .openmls { fill: #bc8cff; }
  }`;

/** An SVG of the figures; the axis is logarithmic, from 1 to 10,000 per second. */
export function drawHubChart({ commits, messages }) {
  const groups = [
    ...commits.map(({ members, hub, bare, openmlsMillis }) => [`commits, ${members} members`, { hub: hub.perSecond, bare: bare.perSecond, openmls: 1_000 / openmlsMillis }]),
    ...messages.map(({ devices, hub, bare }) => [`messages, ${devices} device${devices === 1 ? "" : "s"}`, { hub: hub.perSecond, bare: bare.perSecond }]),
  ];
  const height = TOP + groups.length * GROUP + 20;
  const legend = ["hub", "bare", "openmls"].map((name, index) => {
    const words = { hub: "hub", bare: "bare room object", openmls: "openmls alone" }[name];
    return `<rect class="${name}" x="${LABELS + index * 150}" y="8" width="12" height="12" rx="2"/><text x="${LABELS + index * 150 + 18}" y="18">${words}</text>`;
  });
  const bars = groups.flatMap(([label, rates], index) => [
    `<text x="${LABELS - 8}" y="${TOP + index * GROUP + 24}" text-anchor="end">${label}</text>`,
    ...Object.entries(rates).map(([name, rate], place) => bar(name, rate, TOP + index * GROUP + place * (BAR + 2))),
  ]);
  const foot = `<text class="small" x="${LABELS}" y="${height - 4}">per second, longer is better; logarithmic</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Commits and messages per second of a hub, a bare room object and openmls alone">\n<style>${STYLE}\n</style>\n${[...legend, ...bars, foot].join("\n")}\n</svg>\n`;
}

function bar(name, rate, y) {
  const length = Math.max(1, Math.round((Math.log10(Math.max(rate, 1)) / 4) * (WIDTH - LABELS - 60)));
  return `<rect class="${name}" x="${LABELS}" y="${y}" width="${length}" height="${BAR}" rx="1"/><text class="small" x="${LABELS + length + 4}" y="${y + 10}">${rate.toFixed(0)}</text>`;
}
