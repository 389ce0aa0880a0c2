// Which endpoint a path is of, in words that hold nothing of a request.

const CLIENT_ENDPOINTS = ["devices", "keyPackages", "keyMaterial", "update", "submitMessage", "groupInfo", "rooms", "external-sender", "directory", "events", "inbox", "consent", "pseudonyms", "delete-user", "socket"] as const;
const MIMI_ENDPOINTS = ["keyMaterial", "update", "notify", "submitMessage", "groupInfo", "requestConsent", "updateConsent"] as const;

/** An endpoint, or `other`. */
export type EndpointName = (typeof CLIENT_ENDPOINTS)[number] | (typeof MIMI_ENDPOINTS)[number] | "other";

/** The endpoint of a path, and the identifier in it, percent-decoded. */
export function endpointOf(pathname: string): { readonly endpoint: EndpointName; readonly identifier?: string } {
  if (pathname.startsWith("/.well-known/")) return { endpoint: "directory" };
  const parts = pathname.split("/");
  const clients = parts[1] === "client";
  const [name, identifier] = clients ? parts.slice(3, 5) : parts.slice(2, 4);
  const known: readonly string[] = clients ? CLIENT_ENDPOINTS : MIMI_ENDPOINTS;
  if (name === undefined || !known.includes(name)) return { endpoint: "other" };
  return { endpoint: name as EndpointName, ...(identifier === undefined ? {} : { identifier: decoded(identifier) }) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
