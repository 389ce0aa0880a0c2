/** Pages of the documentation that are made of tables in the code: settings and metrics. */

import { SETTINGS, variableOf, type Setting } from "./config/settings.js";
import { METRICS } from "./metrics.js";

/** npm/hub/docs/settings.md. */
export function settingsPage(): string {
  const rows = SETTINGS.map((setting) => `| \`${setting.path}\` | ${valueOf(setting)} | ${rangeOf(setting)} | ${setting.about.replaceAll("|", "\\|")} |`);
  const [example] = SETTINGS.filter(({ path }) => path === "limits.bodyBytes");
  return `# Settings

What \`hub.jsonc\` may have: JSON with comments; sections are objects, so \`limits.bodyBytes\` is
\`"limits": { "bodyBytes": 262144 }\`. A name that is none is refused, with the nearest one. Each can be
overridden by an environment variable or binding: \`${example === undefined ? "" : variableOf(example)}\`.
\`mimi-hub config print\` shows what is in force and why, \`mimi-hub config schema\` is the JSON Schema for editors.

| Setting | Default | Allowed | |
|---|---|---|---|
${rows.join("\n")}

Bounds of the protocol hold beside these: identifiers of 255 bytes, one proposal of 64 KiB, a queue of
proposals of 1 MiB, a row of storage of 2 MB (a Commit, or a Welcome with its tree, beyond that is 413).
`;
}

/** npm/hub/docs/metrics.md. */
export function metricsPage(): string {
  const rows = Object.entries(METRICS).map(([name, { type, labels, help }]) => `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`);
  return `# Metrics

In Prometheus' text format at \`/admin/v1/metrics\` (\`mimi-hub metrics\`), and at \`/metrics\` where devices connect when
\`metrics.public\` is true. They count since this instance of the Worker started: on a machine of your own that is the
whole provider; on the edge network each instance has its own, so use its logs there.

| Metric | Type | Labels | |
|---|---|---|---|
${rows.join("\n")}
| \`mimi_rooms\`, \`mimi_followed_rooms\`, \`mimi_users\` | gauge | | How many there are; at \`/admin/v1/metrics\` alone. |

Worth an alert:

\`\`\`yaml
- alert: MimiProviderReports       # a provider that is given up or refuses us, a damaged snapshot, an error of ours
  expr: increase(mimi_reports_total[10m]) > 0
- alert: MimiFanoutRetries         # others do not take what we send
  expr: rate(mimi_fanout_retries_total[5m]) > 1
- alert: MimiFanoutLag           # what rooms accept is long under way to others
  expr: histogram_quantile(0.9, rate(mimi_fanout_lag_seconds_bucket[10m])) > 10
- alert: MimiCommitsRefused
  expr: sum(rate(mimi_commits_total{code=~"notAllowed|invalidProposal"}[10m])) / sum(rate(mimi_commits_total[10m])) > 0.2
- alert: MimiTraps                 # report it to us
  expr: increase(mimi_traps_total[1h]) > 0
\`\`\`
`;
}

function valueOf({ default: usual, type }: Setting): string {
  if (usual === undefined) return "has to be there";
  return type === "object" || (Array.isArray(usual) && usual.length === 0) || usual === "" ? "none" : `\`${JSON.stringify(usual)}\``;
}

function rangeOf({ choices, min, max, unit, type }: Setting): string {
  if (choices !== undefined) return choices.map((choice) => `\`${choice}\``).join(", ");
  if (min !== undefined && max !== undefined && type !== "texts") return `${String(min)} to ${String(max)} ${unit ?? ""}`.trim();
  return type === "texts" ? "a list of texts" : type;
}
