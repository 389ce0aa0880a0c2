// Who one is: a provider and a name.

import { MimiError, uri } from "@mimi-edge/client";
import { LitElement, html, nothing, type TemplateResult } from "lit";
import { addressOf, type Network } from "./network.js";

/** Where this browser keeps the addresses that were used in it. */
const USED = "mimi-edge chat people";

class SignIn extends LitElement {
  static override properties = { network: { attribute: false } };
  declare network: Network;
  #problem = "";

  protected override createRenderRoot(): this { return this; }

  #submit(event: SubmitEvent): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    try {
      const user = uri.user(`${String(form.get("name")).trim().toLowerCase()}@${String(form.get("provider"))}`);
      localStorage.setItem(USED, JSON.stringify([user, ...used().filter((other) => other !== user)].slice(0, 8)));
      location.assign(addressOf(user));
    } catch (error) {
      if (!MimiError.is(error)) throw error;
      this.#problem = "A name has no spaces, no @ and no /.";
      this.requestUpdate();
      this.querySelector<HTMLInputElement>("#name")?.focus();
    }
  }

  protected override render(): TemplateResult {
    const domains = Object.keys(this.network.providers);
    const here = used().filter((user) => domains.includes(user.slice(user.indexOf("@") + 1)));
    return html`
      <main class="card">
        <h1>Sign in to mimi</h1>
        <form @submit=${(event: SubmitEvent) => { this.#submit(event); }}>
          <fieldset>
            <legend>Provider</legend>
            ${domains.map((domain, index) => html`<label class="choice"><input type="radio" name="provider" value=${domain} ?checked=${index === 0}> ${domain}</label>`)}
          </fieldset>
          <label for="name">Name</label>
          <input id="name" name="name" required autocomplete="username" autocapitalize="off" spellcheck="false" placeholder="alice"
            aria-invalid=${this.#problem === "" ? nothing : "true"} aria-describedby=${this.#problem === "" ? nothing : "name-problem"}>
          ${this.#problem === "" ? nothing : html`<p class="alert" role="alert" id="name-problem">${this.#problem}</p>`}
          <button class="main">Sign in</button>
        </form>
        <p class="quiet">These providers are for trying things out and ask for no password. Keys are made in this browser and stay in it.</p>
        ${here.length === 0 ? nothing : html`
          <h2>On this browser</h2>
          <ul class="plain">${here.map((user) => html`<li><a href=${addressOf(user)}><bdi>${user}</bdi></a></li>`)}</ul>`}
        <p><a href="three.html">Three people side by side</a></p>
      </main>
    `;
  }
}

function used(): readonly string[] {
  try {
    return (JSON.parse(localStorage.getItem(USED) ?? "[]") as unknown[]).map(String);
  } catch {
    return [];
  }
}

customElements.define("chat-sign-in", SignIn);
