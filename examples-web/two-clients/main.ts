// Two clients: Alice at alpha.example, Bob at bravo.example, their providers, and everything that passes
// between the four. The page has no server: it is its own network (network.ts).

import { inspect } from "@mimi-edge/client/low";
import { LitElement, html, nothing, type TemplateResult } from "lit";
import { createRef, ref } from "lit/directives/ref.js";
import { parseTrace } from "../inspector/exchange.js";
import { MimiInspector } from "../inspector/inspector.js";
import { startProviders } from "./network.js";
import { person, type Person } from "./people.js";
import { STEPS, say } from "./steps.js";

const ALPHA = "alpha.example";
const BRAVO = "bravo.example";

class TwoClients extends LitElement {
  readonly #inspector = createRef<MimiInspector>();
  #people: { readonly alice: Person; readonly bob: Person } | undefined;
  /** What came of each step that is over. */
  readonly #results: string[] = [];
  #busy = true;
  #status = "Alice, Bob and their providers are being started.";
  #alert: string | undefined;

  protected override createRenderRoot(): HTMLElement { return this; }

  protected override firstUpdated(): void { void this.#do(() => this.#start()); }

  async #start(): Promise<string> {
    const inspector = this.#inspector.value;
    inspector?.head("Devices register, and leave KeyPackages for those who want to add them");
    const [alpha, bravo] = await startProviders([ALPHA, BRAVO], (line) => { inspector?.tell(parseTrace(line)); });
    if (alpha === undefined || bravo === undefined) throw new Error("no providers");
    const changed = (): void => { this.requestUpdate(); };
    const [alice, bob] = await Promise.all([person("Alice", alpha, changed), person("Bob", bravo, changed)]);
    this.#people = { alice, bob };
    return "Alice and Bob are there, each with a device. Begin with step 1.";
  }

  protected override render(): TemplateResult {
    return html`
      <header>
        <h1>Two clients and their providers, in one page</h1>
        <p>Alice's device, Bob's device and both providers run here as WebAssembly: the built packages, unchanged.
          Go through the steps, watch what passes, and open it: the encrypted parts are all that hides the talk from the hub.</p>
        <p role="status">${this.#status}</p>
        <p role="alert">${this.#alert ?? nothing}</p>
      </header>
      <main>
        <section class="steps" aria-labelledby="steps">
          <h2 id="steps">Steps</h2>
          <ol>${STEPS.map((step, index) => this.#step(step, index))}</ol>
        </section>
        <div class="stage">
          <section class="people" aria-label="Devices">
            ${this.#people ? [this.#person(this.#people.alice, this.#people.bob), this.#person(this.#people.bob, this.#people.alice)] : nothing}
          </section>
          <section class="protocol" aria-labelledby="protocol">
            <h2 id="protocol">What passes</h2>
            <mimi-inspector ${ref(this.#inspector)} .decode=${inspect}></mimi-inspector>
          </section>
        </div>
      </main>`;
  }

  #step({ title, words }: (typeof STEPS)[number], index: number): TemplateResult {
    const result = this.#results[index];
    const isNext = index === this.#results.length;
    return html`
      <li class=${isNext ? "next" : result === undefined ? "later" : "done"}>
        <button type="button" ?disabled=${!isNext || this.#busy || !this.#people} @click=${() => this.#do(() => this.#play(index))}>${index + 1}. ${title}</button>
        ${isNext || index === this.#results.length - 1 ? html`<p>${words}</p>` : nothing}
        ${result === undefined ? nothing : html`<p class="result"><span aria-hidden="true">✓</span> ${result}</p>`}
      </li>`;
  }

  async #play(index: number): Promise<string> {
    const step = STEPS[index];
    if (step === undefined || this.#people === undefined) return "";
    this.#inspector.value?.head(`${String(index + 1)}. ${step.title}`);
    const result = await step.act(this.#people);
    this.#results.push(result);
    return result;
  }

  #person(one: Person, other: Person): TemplateResult {
    const state = one.room()?.state.get();
    const id = one.name.toLowerCase();
    const speak = (event: Event): void => {
      event.preventDefault();
      const box = (event.currentTarget as HTMLFormElement).querySelector("input");
      const text = box?.value.trim();
      if (!box || !text) return;
      box.value = "";
      this.#inspector.value?.head(`${one.name} says “${text}”`);
      void this.#do(() => say(one, text, other));
    };
    return html`
      <article aria-labelledby=${id}>
        <h3 id=${id}>${one.name}'s device</h3>
        <p class="quiet"><bdi>${one.client.user}</bdi></p>
        ${state === undefined ? html`<p>In no room.</p>` : html`
          <dl>
            <div><dt>Room</dt><dd>${one.room()?.uri}</dd></div>
            <div><dt>People</dt><dd>${state.participants.map(({ user }) => user).join(", ")}</dd></div>
            <div><dt>Epoch</dt><dd>${String(state.epoch)}</dd></div>
            <div><dt>Epoch authenticator</dt><dd class="code">${hex(state.authenticator)}</dd></div>
          </dl>
          ${state.phase === "left" ? html`<p>No longer in the room.</p>` : nothing}
          <ol class="messages" aria-label="What ${one.name} reads">
            ${one.messages.map(({ mine, sender, text }) => html`<li class=${mine ? "mine" : "theirs"}><bdi>${mine ? "You" : sender}</bdi>: <bdi>${text}</bdi></li>`)}
          </ol>
          ${state.can("send") && state.participants.length > 1 ? html`
            <form @submit=${speak}>
              <label for="${id}-text">Say something</label>
              <input id="${id}-text" autocomplete="off" enterkeyhint="send">
              <button ?disabled=${this.#busy}>Send</button>
            </form>` : nothing}`}
      </article>`;
  }

  /** Does one thing at a time, and says what came of it. */
  async #do(act: () => Promise<string>): Promise<void> {
    this.#busy = true;
    this.#alert = undefined;
    this.requestUpdate();
    try {
      this.#status = await act();
    } catch (error) {
      console.error(error);
      this.#alert = `That did not work: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      this.#busy = false;
      this.requestUpdate();
    }
  }
}

/** The first eight bytes: enough to compare by eye. */
function hex(bytes: Uint8Array): string {
  return `${[...bytes.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")} …`;
}

customElements.define("two-clients", TwoClients);
