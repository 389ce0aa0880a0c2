// The providers that the page's server knows.

/** What `/providers.json` says. */
export interface Network {
  /** Another one each time the providers begin anew. */
  readonly network: string;
  /** Base URLs by domain, in order. */
  readonly providers: Readonly<Record<string, string>>;
}

export async function networkOf(): Promise<Network> {
  const response = await fetch("providers.json");
  return (await response.json()) as Network;
}

/** The base URL of a person's provider; empty when it is not known. */
export function providerOf({ providers }: Network, user: string): string {
  return providers[user.slice(user.indexOf("@") + 1)] ?? "";
}

/** The page of a person's device. */
export function addressOf(user: string, second = false): string {
  return `${location.origin}/?user=${encodeURIComponent(user)}${second ? "&second" : ""}`;
}
