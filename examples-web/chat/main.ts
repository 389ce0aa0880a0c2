// The page: one pane per person, or the one that the address asks for:
// ?user=alice@alpha.example&provider=http://127.0.0.1:8801 (without `provider`: the domain's own).
// With ?second=alice@alpha.example a second device of hers has a pane too.

import { LitElement, html, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { ChatPane } from "./pane.js";
import "./pane.js";

/** What the page's server says of the providers: `/providers.json`. */
interface Network {
  /** Another one each time the providers begin anew. */
  readonly network: string;
  /** Base URLs by domain, in order. */
  readonly providers: Readonly<Record<string, string>>;
}

/** One device of a person. */
interface Person { readonly user: string; readonly provider: string; readonly second: boolean }

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

  /** Opens a second device; the address says so, so that it is there after a reload. */
  #second({ user }: ChatPane): void {
    const address = new URL(location.href);
    if (!address.searchParams.getAll("second").includes(user)) address.searchParams.append("second", user);
    history.replaceState(null, "", address);
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const people = this.#network === undefined ? [] : peopleOf(this.#network, new URLSearchParams(location.search));
    const [only] = people.every(({ user }) => user === people[0]?.user) ? people : [];
    if (only) document.title = `${only.user} – mimi-edge chat`;
    return html`
      <header>
        <h1>mimi-edge chat</h1>
        <p>${only
          ? html`Each pane is a device of its own, kept in this browser.`
          : html`Three people, three providers. Each pane is a device with keys of its own, kept in this browser; panes
              reach each other through the providers alone.`}</p>
        ${only ? "" : html`<nav class="jump" aria-label="People">${people.map((person) => html`<a href="#${keyOf(person)}">${person.user.slice(0, person.user.indexOf("@"))}${person.second ? " 2" : ""}</a>`)}</nav>`}
      </header>
      <main class=${people.length === 1 ? "one" : "all"} @second-device=${(event: Event) => { this.#second(event.target as ChatPane); }}>
        ${this.#problem ? html`<p class="alert" role="alert">${this.#problem}</p>` : ""}
        ${repeat(people, keyOf, (person) => html`
          <chat-pane id=${keyOf(person)} role="region" aria-labelledby="${keyOf(person)}-name"
            .user=${person.user} .second=${person.second} .provider=${person.provider} .network=${this.#network?.network}></chat-pane>`)}
      </main>
    `;
  }
}

/** Everybody's devices, a person's second one beside the first. */
function peopleOf({ providers }: Network, asked: URLSearchParams): Person[] {
  const user = asked.get("user");
  const people = user !== null
    ? [{ user, provider: asked.get("provider") ?? providers[user.slice(user.indexOf("@") + 1)] ?? "" }]
    : Object.entries(providers).slice(0, NAMES.length).map(([domain, provider], index) => ({ user: `${NAMES[index] ?? ""}@${domain}`, provider }));
  const withSecond = asked.getAll("second");
  return people.flatMap((person) => [false, true].filter((second) => !second || withSecond.includes(person.user)).map((second) => ({ ...person, second })));
}

function keyOf({ user, second }: Person): string {
  return second ? `${user}/2` : user;
}

customElements.define("chat-page", ChatPage);
