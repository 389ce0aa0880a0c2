// Who is in a room and what one may do about it, what is still to be done, and how safe the room is.

import type { Change, Participant, Role, Room, RoomState } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { actionButton, isSure, lineForm } from "./forms.js";
import { View } from "./glue.js";
import { hrefOf, narrow } from "./place.js";
import { changeWords, count, domainOf, nameOf, obstacleWords, roleWords, trustWords } from "./words.js";
import "./security.js";

/** Roles that a person can be given here. */
const GIVEN: readonly Role[] = ["owner", "admin", "regular_user", "visitor"];

/** What cannot be taken back once it is asked for. */
const FOR_GOOD: readonly Change["what"][] = ["create", "leave", "join"];

/** The id of the words that say why nothing can be changed. */
const WHY = "cannot-change";

class People extends View {
  static override properties = { ...View.properties, room: { attribute: false } };
  declare room: Room;

  protected override render(): TemplateResult {
    const state = this.watch.use(this.room.state);
    const why = state.can("add") ? undefined : WHY;
    const present = state.participants.filter(({ roles }) => !roles.includes("banned"));
    return html`
      <div class="pane-head"><a class="back" href=${hrefOf({ view: "room", room: this.room.uri })} aria-label="Back to ${state.name}">‹</a><h2 aria-level=${this.watch.use(narrow) ? 1 : 2}>People <span class="quiet">(${present.length})</span></h2></div>
      ${why === undefined ? nothing : html`<p class="quiet" id=${WHY}>${obstacleWords(state)}</p>`}
      <ul class="plain people-list" aria-label="People">
        ${repeat(state.participants, ({ user }) => user, (whom) => this.#person(state, whom, why))}
        ${state.pending.map((change) => this.#pending(change))}
      </ul>
      ${lineForm("add-person", "Add a person", "bob@bravo.example", [{ button: "Add", act: (text) => this.#add(text) }], why)}
      <chat-security .session=${this.session} .room=${this.room}></chat-security>
      ${this.#roomMenu(state, why)}
    `;
  }

  #person(state: RoomState, whom: Participant, why: string | undefined): TemplateResult {
    const { user, roles, devices, trust } = whom;
    const [icon, words] = trustWords(trust);
    const isOwn = user === this.session.client.user;
    return html`
      <li data-user=${user}>
        <p class="row">
          <span><bdi class="name">${nameOf(user)}</bdi> <span class="domain">${domainOf(user)}</span>${isOwn ? html` <span class="quiet">you</span>` : nothing}</span>
          <span class="quiet"><span class="roles">${roleWords(roles)}</span> · <span class="devices">${count(devices.length, "device")}</span></span>
        </p>
        ${isOwn ? nothing : html`<p class="trust ${trust}"><span aria-hidden="true">${icon}</span> ${words}</p>${this.#menu(state, whom, why)}`}
      </li>`;
  }

  #menu(state: RoomState, { user, roles }: Participant, why: string | undefined): TemplateResult {
    const id = `role-${user}`;
    const banned = roles.includes("banned");
    const choose = (event: Event): void => {
      const chosen = GIVEN.find((role) => role === (event.currentTarget as HTMLSelectElement).value);
      if (chosen !== undefined) void this.#setRoles(user, [chosen], `is ${roleWords([chosen])} now`);
    };
    return html`
      <details class="menu">
        <summary aria-label="Change ${user}">Change</summary>
        ${banned ? nothing : html`
          <p class="row"><label for=${id}>Role</label>
            <select id=${id} ?disabled=${why !== undefined} aria-describedby=${why ?? nothing} @change=${choose}>
              ${GIVEN.map((role) => html`<option value=${role} ?selected=${roles.at(-1) === role} ?disabled=${!state.can({ setRoles: [role], of: user })}>${roleWords([role])}</option>`)}
            </select></p>`}
        <p class="buttons">
          ${actionButton("Safety number", () => { void this.session.compare(user); }, { name: `Safety number with ${user}` })}
          ${banned
            ? actionButton("Lift the ban", () => { void this.#setRoles(user, ["regular_user"], "may be in the room again"); }, { why })
            : actionButton("Ban", () => { void this.#sure(`Ban ${user} from ${state.name}?`, "Ban", () => this.#setRoles(user, ["banned"], "is banned")); }, { why, name: `Ban ${user}` })}
          ${actionButton("Remove", () => { void this.#sure(`Remove ${user} from ${state.name}?`, "Remove", () => this.#remove(user)); }, { why, name: `Remove ${user}` })}
        </p>
      </details>`;
  }

  #pending(change: Change): TemplateResult {
    const { user } = change;
    const words = changeWords(change);
    const isAsked = change.state === "waiting-consent";
    const cancel = (): void => { void this.session.act(async () => ((await change.cancel()) ? "It will not be done." : "It cannot be stopped any more.")); };
    return html`
      <li class="pending">
        <p class="row">
          <span>${user === undefined ? nothing : html`<bdi class="name">${nameOf(user)}</bdi> <span class="domain">${domainOf(user)}</span> `}<span class="chip">${isAsked ? "asked, waiting" : words}</span></span>
          ${FOR_GOOD.includes(change.what) ? nothing : actionButton("Cancel", cancel, { name: `Cancel: ${words} ${user ?? ""}`.trim() })}
        </p>
      </li>`;
  }

  #roomMenu(state: RoomState, why: string | undefined): TemplateResult {
    const { session, room } = this;
    const own = state.participants.find(({ user }) => user === session.client.user)?.devices ?? [];
    const others = own.filter((device) => device !== session.client.device);
    const cannotLeave = state.can("leave") ? undefined : WHY;
    const leave = (): Promise<boolean> => session.act(async () => { await room.leave(); return `You are out of ${state.name}.`; });
    const renew = (): void => { void session.act(async () => { await room.updateKeys(); return "This device has new keys in the room."; }); };
    return html`
      <section aria-labelledby="this-room">
        <h2 id="this-room">This room</h2>
        ${policyView(state)}
        ${lineForm("ban-person", "Ban somebody who is not here", "eve@charlie.example", [{ button: "Ban", act: (text) => this.#ban(text) }], why)}
        <p class="buttons">
          ${actionButton("Renew keys", renew, { why })}
          ${others.map((device) => actionButton(`Take out …/${device.slice(device.lastIndexOf("/") + 1)}`, () => {
            void session.act(async () => { await room.removeDevice(device); return "The device is out of the room."; });
          }, { why, name: `Take out your device ${device}` }))}
          ${actionButton("Leave", () => { void this.#sure(`Leave ${state.name} with all your devices?`, "Leave", leave); }, { why: cannotLeave, name: `Leave ${state.name}`, kind: "danger" })}
        </p>
      </section>`;
  }

  async #add(address: string): Promise<boolean> {
    return await this.session.actOn(address, async (user) => {
      const result = await this.room.add(user, { requestConsent: true });
      return result.state === "added" ? `${user} was added, with ${count(result.devices, "device")}.` : `${user} is asked; it goes on by itself once that is allowed.`;
    });
  }

  async #ban(address: string): Promise<boolean> {
    return await this.session.actOn(address, async (user) => {
      await this.room.setRoles(user, ["banned"]);
      return `${user} is banned.`;
    });
  }

  async #setRoles(user: Participant["user"], roles: readonly Role[], done: string): Promise<boolean> {
    return await this.session.act(async () => { await this.room.setRoles(user, roles); return `${user} ${done}.`; });
  }

  async #remove(user: Participant["user"]): Promise<boolean> {
    return await this.session.act(async () => { await this.room.remove(user); return `${user} is out of the room.`; });
  }

  async #sure(question: string, yes: string, act: () => Promise<boolean>): Promise<void> {
    if (await isSure(question, yes)) await act();
  }
}

/** The room's base policy: a text when it is one. Its format is the application's. */
function policyView({ policy }: RoomState): TemplateResult {
  return html`
    <details class="menu"><summary>Policy</summary>
      ${policy === undefined ? html`<p class="quiet">No base policy is set: the hub's own rules apply.</p>` : html`<pre>${new TextDecoder().decode(policy)}</pre>`}
    </details>`;
}

customElements.define("chat-people", People);
