// The figure as text: in the draft's own style, and for Mermaid.

import type { Arrow, Lane, Row } from "./log.js";

/** The draft's distance between two lanes, in characters. */
const LANE_WIDTH = 16;
/** How far left of its bar a name begins, in characters. */
const MARGIN = 2;

/**
 * The figure as the draft draws its own: `-` between providers, `~` between a provider and its devices.
 * Each arrow has a line for its label, beside who speaks, and one for itself.
 */
export function draftFigure(lanes: readonly Lane[], rows: readonly Row[]): string {
  const arrows = rows.filter((row): row is Arrow => "kind" in row);
  const columns = columnsOf(lanes, arrows);
  const bars = (): string[] => write(columns.at(-1) ?? 0, columns.map((column) => [column, "|"]));
  const lines = [write((columns.at(-1) ?? 0) + 1, lanes.map(({ name }, index) => [(columns[index] ?? 0) - MARGIN, name])), bars()];
  for (const row of rows) {
    if ("heading" in row) {
      lines.push(bars(), [...row.heading], bars());
      continue;
    }
    const [from, to] = [column(lanes, columns, row.from), column(lanes, columns, row.to)];
    if (from === undefined || to === undefined) continue;
    const [left, right] = [Math.min(from, to), Math.max(from, to)];
    const label = bars();
    put(label, from < to ? from + 2 : from - 1 - row.label.length, row.label);
    const arrow = bars();
    const line = (row.entry.exchange.via === "provider" ? "-" : "~").repeat(right - left - 2);
    put(arrow, left + 1, from < to ? `${line}>` : `<${line}`);
    lines.push(label, arrow);
  }
  lines.push(bars());
  return lines.map((line) => line.join("").trimEnd()).join("\n");
}

/** The figure for Mermaid: a sequence diagram. */
export function mermaidFigure(lanes: readonly Lane[], rows: readonly Row[]): string {
  const id = (lane: string): string => `L${String(lanes.findIndex(({ id }) => id === lane))}`;
  // A semicolon ends a line there, and a number sign begins an entity.
  const text = (words: string): string => words.replace(/[;#]/g, " ");
  const lines = lanes.map(({ id: lane, name, kind }) => `  ${kind === "device" ? "actor" : "participant"} ${id(lane)} as ${text(name)}`);
  for (const row of rows) {
    if ("heading" in row) lines.push(`  Note over ${id(lanes[0]?.id ?? "")},${id(lanes.at(-1)?.id ?? "")}: ${text(row.heading)}`);
    else if (row.from !== "" && row.to !== "") lines.push(`  ${id(row.from)}${row.failed ? "--x" : row.kind === "response" ? "-->>" : row.kind === "socket" ? "-)" : "->>"}${id(row.to)}: ${text(row.label)}`);
  }
  return ["sequenceDiagram", ...lines].join("\n");
}

/** Where each lane's bar is: far enough from the one before for names and for labels between the two. */
function columnsOf(lanes: readonly Lane[], arrows: readonly Arrow[]): number[] {
  const columns: number[] = [];
  for (const [index, lane] of lanes.entries()) {
    const before = lanes[index - 1];
    if (before === undefined) {
      columns.push(MARGIN);
      continue;
    }
    const labels = arrows.filter(({ from, to }) => [from, to].every((end) => end === lane.id || end === before.id)).map(({ label }) => label.length + 3);
    columns.push((columns[index - 1] ?? 0) + Math.max(LANE_WIDTH, ...labels, before.name.length + MARGIN));
  }
  return columns;
}

function column(lanes: readonly Lane[], columns: readonly number[], lane: string): number | undefined {
  return columns[lanes.findIndex(({ id }) => id === lane)];
}

function write(width: number, parts: readonly (readonly [number, string])[]): string[] {
  const line = Array.from({ length: width + 1 }, () => " ");
  for (const [at, text] of parts) put(line, at, text);
  return line;
}

function put(line: string[], at: number, text: string): void {
  for (const [index, character] of [...text].entries()) line[Math.max(0, at) + index] = character;
}
