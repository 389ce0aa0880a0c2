// Whether the provider lives, and whether it can work; and its figures, if everybody may have them.

import { configOf, settingsOf, type Env } from "./core.js";
import { metricsText } from "./metrics.js";

const PATHS = ["/healthz", "/readyz", "/metrics"];

/** Whether somebody asks how we are. */
export function isHealthPath(request: Request): boolean {
  return request.method === "GET" && PATHS.includes(new URL(request.url).pathname);
}

/** `/healthz` answers without any work; `/readyz` has the configuration read and something written. */
export async function tellHealth(request: Request, env: Env): Promise<Response> {
  switch (new URL(request.url).pathname) {
    case "/healthz": return Response.json({ status: "alive" });
    case "/readyz": return await readiness(env);
    default: return configOf(env).metrics.public ? prometheus(metricsText()) : new Response(null, { status: 404 });
  }
}

/** A text of metrics as an answer. */
export function prometheus(text: string): Response {
  return new Response(text, { headers: { "content-type": "text/plain; version=0.0.4" } });
}

async function readiness(env: Env): Promise<Response> {
  const checks = { config: await works(() => configOf(env)), keys: await works(() => settingsOf(env)), storage: false };
  checks.storage = checks.config && (await works(() => env.PROVIDER.getByName(configOf(env).domain).touch()));
  const isReady = Object.values(checks).every(Boolean);
  return Response.json({ status: isReady ? "ready" : "not ready", ...checks }, { status: isReady ? 200 : 503 });
}

async function works(act: () => unknown): Promise<boolean> {
  try {
    await act();
    return true;
  } catch {
    return false;
  }
}
