// The page: the sign-in, or the device of the person whom the address names, as in
// ?user=alice@alpha.example (with &second: a device beside the first).

import { LitElement, html, type TemplateResult } from "lit";
import { MimiError } from "@mimi-edge/client";
import { networkOf, providerOf, type Network } from "./network.js";
import { Session, type Person } from "./session.js";
import { errorWords } from "./words.js";
import "./shell.js";
import "./sign-in.js";

type Stage =
  | { readonly at: "loading" | "sign-in" | "opening" }
  | { readonly at: "open"; readonly session: Session }
  | { readonly at: "failed"; readonly words: string };

class ChatPage extends LitElement {
  #network: Network | undefined;
  #stage: Stage = { at: "loading" };

  protected override createRenderRoot(): this { return this; }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#start();
  }

  async #start(): Promise<void> {
    this.#show({ at: "loading" });
    try {
      this.#network = await networkOf();
    } catch {
      this.#show({ at: "failed", words: "The page's server does not answer." });
      return;
    }
    const asked = new URLSearchParams(location.search);
    const user = asked.get("user");
    if (user === null) this.#show({ at: "sign-in" });
    else await this.#open({ user, provider: asked.get("provider") ?? providerOf(this.#network, user), second: asked.has("second") }, this.#network);
  }

  async #open(person: Person, { network }: Network): Promise<void> {
    document.title = `${person.user} – mimi`;
    this.#show({ at: "opening" });
    try {
      const session = await Session.open(person, network);
      session.broken.subscribe((error) => { if (error) this.#show({ at: "failed", words: errorWords(error) }); });
      this.#show({ at: "open", session });
    } catch (error) {
      if (!MimiError.is(error)) console.error(error);
      this.#show({ at: "failed", words: errorWords(error) });
    }
  }

  #show(stage: Stage): void {
    this.#stage = stage;
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const stage = this.#stage;
    switch (stage.at) {
      case "open": return html`<chat-shell .session=${stage.session} .network=${this.#network}></chat-shell>`;
      case "sign-in": return html`<chat-sign-in .network=${this.#network}></chat-sign-in>`;
      case "failed": return html`
        <main class="card"><h1>mimi</h1>
          <p class="alert" role="alert">${stage.words}</p>
          <p class="buttons"><button class="main" @click=${() => this.#start()}>Try again</button> <a href="?">Somebody else</a></p>
        </main>`;
      default: return html`<main class="card"><h1>mimi</h1><p role="status">${stage.at === "loading" ? "Loading…" : "Opening this device…"}</p></main>`;
    }
  }
}

customElements.define("chat-page", ChatPage);
