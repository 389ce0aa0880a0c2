// The page: one pane per person, or the one that the address asks for:
// ?user=alice@alpha.example&provider=http://127.0.0.1:8801 (without `provider`: the domain's own).

import { LitElement, html, type TemplateResult } from "lit";
import "./pane.js";

/** What the page's server says of the providers: `/providers.json`. */
interface Network {
  /** Another one each time the providers begin anew. */
  readonly network: string;
  /** Base URLs by domain, in order. */
  readonly providers: Readonly<Record<string, string>>;
}

interface Person { readonly user: string; readonly provider: string }

const NAMES = ["alice", "bob", "cathy"];

class ChatPage extends LitElement {
  #network: Network | undefined;
  #problem = "";

  protected override createRenderRoot(): this { return this; }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#load();
  }

  async #load(): Promise<void> {
    try {
      const response = await fetch("providers.json");
      this.#network = (await response.json()) as Network;
    } catch {
      this.#problem = "The page's server does not answer. Reload the page when it runs.";
    }
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const people = this.#network === undefined ? [] : peopleOf(this.#network, new URLSearchParams(location.search));
    const [only] = people.length === 1 ? people : [];
    if (only) document.title = `${only.user} – mimi-edge chat`;
    return html`
      <header>
        <h1>mimi-edge chat</h1>
        <p>${only
          ? html`A device of its own, kept in this browser.`
          : html`Three people, three providers. Each pane is a device with keys of its own, kept in this browser; panes
              reach each other through the providers alone.`}</p>
        ${only ? "" : html`<nav class="jump" aria-label="People">${people.map(({ user }) => html`<a href="#${user}">${user.slice(0, user.indexOf("@"))}</a>`)}</nav>`}
      </header>
      <main class=${only ? "one" : "all"}>
        ${this.#problem ? html`<p class="alert" role="alert">${this.#problem}</p>` : ""}
        ${people.map(({ user, provider }) => html`
          <chat-pane id=${user} role="region" aria-labelledby="${user}-name" .user=${user} .provider=${provider} .network=${this.#network?.network}></chat-pane>`)}
      </main>
    `;
  }
}

function peopleOf({ providers }: Network, asked: URLSearchParams): Person[] {
  const user = asked.get("user");
  if (user !== null) return [{ user, provider: asked.get("provider") ?? providers[user.slice(user.indexOf("@") + 1)] ?? "" }];
  return Object.entries(providers).flatMap(([domain, provider], index) => {
    const name = NAMES[index];
    return name === undefined ? [] : [{ user: `${name}@${domain}`, provider }];
  });
}

customElements.define("chat-page", ChatPage);
