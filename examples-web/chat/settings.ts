// This person's devices, permissions, pseudonyms and account.

import { Client, type ConsentGrant, type Device, type Pseudonym, type UserUri } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { actionButton, isSure, lineForm } from "./forms.js";
import { View } from "./glue.js";
import { addressOf, type Network } from "./network.js";
import { qrCode } from "./qr.js";
import { storeOf } from "./session.js";
import { day } from "./words.js";

type Consent = Client["consent"];

class Settings extends View {
  static override properties = { ...View.properties, network: { attribute: false } };
  declare network: Network;
  /** Pseudonyms that were not used yet, and those that were given a device of their own here. */
  #pseudonyms: readonly Pseudonym[] = [];
  #used: UserUri[] = [];

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#list();
  }

  async #list(): Promise<void> {
    await this.session.act(async (client) => { this.#pseudonyms = await client.pseudonyms(); return undefined; });
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const { client } = this.session;
    return html`
      <div class="pane-head"><a class="back" href="#/" aria-label="Back to rooms">‹</a><h1 id="title" tabindex="-1">Settings</h1></div>
      <div class="sections">
        ${this.#devices(this.watch.use(client.devices))}
        ${this.#second()}
        ${this.#permissions(this.watch.use(client.consent.granted))}
        ${this.#masks()}
        ${this.#account()}
      </div>`;
  }

  #devices(devices: readonly Device[]): TemplateResult {
    const revoke = async (device: Device): Promise<void> => {
      if (!(await isSure("Shut this device out of all rooms, for good?", "Shut out"))) return;
      await this.session.act(async (client) => { await client.revokeDevice(device.uri); return "The device is shut out."; });
    };
    return html`
      <section aria-labelledby="devices">
        <h2 id="devices">Devices</h2>
        <ul class="plain" aria-label="Your devices">${devices.map((device) => html`
          <li class="row">
            <span><bdi>…/${device.uri.slice(device.uri.lastIndexOf("/") + 1)}</bdi> <span class="quiet">${device.current ? "this one, " : nothing}since ${day(device.registeredAt)}</span></span>
            ${device.current ? nothing : actionButton("Shut out", () => { void revoke(device); }, { name: `Shut out the device ${device.uri}`, kind: "danger" })}
          </li>`)}</ul>
        <p>${actionButton("Look for rooms of my other devices", () => { void this.session.act(async (client) => { await client.findRooms(); return "What is found stands below the rooms."; }); })}</p>
      </section>`;
  }

  #second(): TemplateResult {
    const link = addressOf(this.session.person.user, true);
    return html`
      <section aria-labelledby="second">
        <h2 id="second">Another device</h2>
        <p>Open this address on it, or scan it. There it finds your rooms and joins them, though nobody else is online.</p>
        <div class="row">${qrCode(link, `QR code of the address ${link}`)}<a href=${link} target="_blank">Open a second device here</a></div>
      </section>`;
  }

  #permissions(granted: readonly ConsentGrant[]): TemplateResult {
    const act = (how: (consent: Consent, user: UserUri) => Promise<void>, words: string) => (address: string): Promise<boolean> =>
      this.session.actOn(address, async (user, { consent }) => { await how(consent, user); return `${user} ${words}.`; });
    const revoke = ({ user, room }: ConsentGrant): void => {
      void this.session.act(async ({ consent }) => { await consent.revoke(user, room); return `${user} may not add you${room === undefined ? "" : ` to ${room}`}.`; });
    };
    return html`
      <section aria-labelledby="permissions">
        <h2 id="permissions">Who may add you to rooms</h2>
        <ul class="plain" aria-label="Who may add you">${granted.map((grant) => html`
          <li class="row">
            <span><bdi>${grant.user}</bdi>${grant.room === undefined ? nothing : html`, to <bdi>${grant.room}</bdi>`}</span>
            ${actionButton("Revoke", () => { revoke(grant); }, { name: `Revoke the permission of ${grant.user}${grant.room === undefined ? "" : ` for ${grant.room}`}` })}
          </li>`)}</ul>
        ${lineForm("permission", "Person", "bob@bravo.example", [
          { button: "Allow", act: act((consent, user) => consent.grant(user), "may add you") },
          { button: "Refuse", act: act((consent, user) => consent.revoke(user), "may not add you") },
          { button: "Ask", act: act((consent, user) => consent.request(user), "is asked") },
        ])}
      </section>`;
  }

  #masks(): TemplateResult {
    const more = async (): Promise<void> => {
      if (await this.session.act(async (client) => { await client.pseudonym(); return undefined; })) await this.#list();
    };
    return html`
      <section aria-labelledby="pseudonyms">
        <h2 id="pseudonyms">Pseudonyms</h2>
        <p>An address for one room that nobody but your provider can tell to be yours.</p>
        <ul class="plain" aria-label="Your pseudonyms">
          ${this.#pseudonyms.map((one) => html`<li class="row"><bdi>${one.user}</bdi> ${actionButton("Use", () => { void this.#use(one); }, { name: `Use ${one.user}` })}</li>`)}
          ${this.#used.map((user) => html`<li class="row"><bdi>${user}</bdi> <a href=${addressOf(user)} target="_blank">Open</a></li>`)}
        </ul>
        <p>${actionButton("New pseudonym", () => { void more(); })}</p>
      </section>`;
  }

  /** Gives a pseudonym a device of its own in this browser, which has its key from then on; here it is forgotten. */
  async #use(pseudonym: Pseudonym): Promise<void> {
    const { user } = pseudonym;
    const { provider } = this.session.person;
    const done = await this.session.act(async (client) => {
      const own = await Client.open({ ...pseudonym, provider, store: storeOf({ user, second: false }, this.network.network) });
      await own.close();
      await client.forgetPseudonym(pseudonym);
      this.#used = [...this.#used, user];
      return undefined;
    });
    if (done) await this.#list();
  }

  #account(): TemplateResult {
    const { person } = this.session;
    const erase = async (): Promise<void> => {
      if (!(await isSure(`Delete ${person.user} for good? All its devices leave all rooms, and the name is never given out again.`, "Delete"))) return;
      const done = await this.session.act(async (client) => {
        await client.deleteUser();
        await client.close();
        await Client.delete({ user: client.user, store: storeOf(person, this.network.network) });
        return undefined;
      });
      if (done) location.assign("/");
    };
    return html`
      <section aria-labelledby="account">
        <h2 id="account">Account</h2>
        <p>${actionButton("Delete my account", () => { void erase(); }, { kind: "danger" })}</p>
      </section>`;
  }
}

customElements.define("chat-settings", Settings);
