// Counters and histograms in Prometheus' text format, of this instance of the Worker since it started: on one's own
// machine that is all of the provider.

type Labels = Readonly<Record<string, string | number>>;

interface Metric { readonly type: "counter" | "histogram" | "gauge"; readonly help: string; readonly labels: readonly string[] }

/** Every metric that there is. */
export const METRICS = {
  mimi_requests_total: { type: "counter", help: "Requests that were answered, by listener (client, mimi), endpoint and HTTP status.", labels: ["listener", "endpoint", "status"] },
  mimi_request_seconds: { type: "histogram", help: "How long answers took, by listener.", labels: ["listener"] },
  mimi_commits_total: { type: "counter", help: "Answers to updates, by code: success, wrongEpoch, notAllowed, invalidProposal, pendingProposals, hubUnresponsive.", labels: ["code"] },
  mimi_messages_total: { type: "counter", help: "Answers to submitted messages, by code: accepted, notAllowed, epochTooOld.", labels: ["code"] },
  mimi_auth_failures_total: { type: "counter", help: "Requests that were not signed in (client) or not admitted (mimi), by listener.", labels: ["listener"] },
  mimi_calls_total: { type: "counter", help: "Requests to other providers, by endpoint and status; 0 when there was no answer.", labels: ["endpoint", "status"] },
  mimi_call_seconds: { type: "histogram", help: "How long other providers took to answer.", labels: [] },
  mimi_fanout_retries_total: { type: "counter", help: "Requests of the outbox that have to be sent again.", labels: ["class"] },
  mimi_fanout_lag_seconds: { type: "histogram", help: "How long after its acceptance by a room of ours something was at another provider.", labels: [] },
  mimi_reports_total: { type: "counter", help: "Things that an operator should know, each also a line of level warn: a provider that is given up or refuses us, a damaged snapshot, an error of ours.", labels: [] },
  mimi_sockets: { type: "gauge", help: "Sockets of devices that are open.", labels: [] },
  mimi_traps_total: { type: "counter", help: "How often the core was replaced after a trap.", labels: [] },
} as const satisfies Record<string, Metric>;

type Name = keyof typeof METRICS;
type Counter = { [N in Name]: (typeof METRICS)[N]["type"] extends "histogram" ? never : N }[Name];
type Histogram = Exclude<Name, Counter>;

/** Upper bounds of the histograms, in seconds. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

const values = new Map<Name, Map<string, number>>();
const observed = new Map<Histogram, Map<string, { readonly counts: number[]; sum: number; count: number }>>();

/** Adds to a counter or gauge. */
export function count(name: Counter, labels: Labels = {}, by = 1): void {
  const series = values.get(name) ?? new Map<string, number>();
  values.set(name, series);
  const key = written(labels);
  series.set(key, (series.get(key) ?? 0) + by);
}

/** Notes how long something took. */
export function observe(name: Histogram, seconds: number, labels: Labels = {}): void {
  const series = observed.get(name) ?? new Map();
  observed.set(name, series);
  const key = written(labels);
  const one = series.get(key) ?? { counts: BOUNDS.map(() => 0), sum: 0, count: 0 };
  series.set(key, one);
  for (const [index, bound] of BOUNDS.entries()) if (seconds <= bound) one.counts[index] = (one.counts[index] ?? 0) + 1;
  one.sum += seconds;
  one.count += 1;
}

/** All of them as text; `more` are gauges that somebody else knows. */
export function metricsText(more: Readonly<Record<string, { readonly help: string; readonly value: number }>> = {}): string {
  const lines: string[] = [];
  for (const [name, { type, help }] of Object.entries(METRICS) as [Name, Metric][]) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    if (type === "histogram") lines.push(...histogramLines(name as Histogram));
    else lines.push(...[...(values.get(name) ?? [])].map(([labels, value]) => `${name}${labels} ${String(value)}`));
  }
  for (const [name, { help, value }] of Object.entries(more)) lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${String(value)}`);
  return `${lines.join("\n")}\n`;
}

function histogramLines(name: Histogram): string[] {
  return [...(observed.get(name) ?? [])].flatMap(([labels, { counts, sum, count: all }]) => {
    const inside = labels.slice(1, -1);
    const bucket = (bound: string, number: number): string => `${name}_bucket{${inside === "" ? "" : `${inside},`}le="${bound}"} ${String(number)}`;
    return [...BOUNDS.map((bound, index) => bucket(String(bound), counts[index] ?? 0)), bucket("+Inf", all), `${name}_sum${labels} ${String(sum)}`, `${name}_count${labels} ${String(all)}`];
  });
}

/** Labels as Prometheus writes them; their values are words of ours. */
function written(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${String(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
