// What passes between this device, its provider and the others: the protocol inspector, from when it is first opened.

import { init, inspect } from "@mimi-edge/client/low";
import { html, type TemplateResult } from "lit";
import { readTrace, type Exchange } from "../inspector/exchange.js";
import { MimiInspector } from "../inspector/inspector.js";
import { View } from "./glue.js";
import type { Network } from "./network.js";
import { hrefOf, narrow, place, withoutPanel } from "./place.js";

class Protocol extends View {
  static override properties = { ...View.properties, network: { attribute: false } };
  declare network: Network;
  #ends: (() => void)[] = [];

  override connectedCallback(): void {
    super.connectedCallback();
    const tell = (exchange: Exchange): void => { this.querySelector<MimiInspector>("mimi-inspector")?.tell(exchange); };
    void this.#follow(tell).then((ends) => { this.#ends = ends; });
  }

  /** Providers in development tell all that they send and get; of others, one sees what this device does. */
  async #follow(tell: (exchange: Exchange) => void): Promise<(() => void)[]> {
    await init();
    if (await tells(this.session.person.provider)) return Object.values(this.network.providers).map((provider) => readTrace(provider, tell));
    return [this.session.exchange.subscribe((exchange) => { if (exchange) tell({ ...exchange, via: "client", endedAt: exchange.at }); })];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const end of this.#ends.splice(0)) end();
  }

  protected override render(): TemplateResult {
    return html`
      <div class="pane-head">
        <h2 aria-level=${this.watch.use(narrow) ? 1 : 2}>Protocol</h2>
        <a class="close" href=${hrefOf(withoutPanel(this.watch.use(place)))} aria-label="Close the protocol">✕</a>
      </div>
      <mimi-inspector .decode=${inspect}></mimi-inspector>`;
  }
}

async function tells(provider: string): Promise<boolean> {
  const asked = new AbortController();
  try {
    return (await fetch(new URL("/dev/trace", provider), { signal: asked.signal })).ok;
  } catch {
    return false;
  } finally {
    asked.abort();
  }
}

customElements.define("chat-protocol", Protocol);
