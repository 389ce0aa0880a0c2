// Which web applications may use the client API from a browser.

import { configOf, type Env } from "./core.js";
import { REQUEST_ID } from "./log.js";

/** The origin that a page's request comes from: one that may ask, one that may not, or none. */
export type Origin = { readonly admitted: string } | "refused" | "none";

/** Reads it. In development a page on any loopback origin may ask. */
export function originOf(request: Request, env: Env): Origin {
  const origin = request.headers.get("origin");
  if (origin === null) return "none";
  const isAdmitted = configOf(env).clients.origins.includes(origin) || (env.DEV === "1" && isLoopback(origin));
  return isAdmitted ? { admitted: origin } : "refused";
}

/** The answer with what a browser has to know; without it, it keeps the answer from the page. */
export function withCors(origin: Origin, response: Response): Response {
  if (response.status === 101 || origin === "none") return response;
  const answer = new Response(response.body, response);
  answer.headers.set("vary", "origin");
  if (origin === "refused") return answer;
  answer.headers.set("access-control-allow-origin", origin.admitted);
  answer.headers.set("access-control-allow-methods", "GET, POST");
  answer.headers.set("access-control-allow-headers", `authorization, content-type, ${REQUEST_ID}`);
  answer.headers.set("access-control-expose-headers", `www-authenticate, retry-after, ${REQUEST_ID}`);
  answer.headers.set("access-control-max-age", "600");
  return answer;
}

function isLoopback(origin: string): boolean {
  try {
    return ["localhost", "127.0.0.1", "[::1]"].includes(new URL(origin).hostname);
  } catch {
    return false;
  }
}
