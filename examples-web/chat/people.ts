// The people of a room, and what one may do with them and with the room.

import type { Change, Participant, Role, Room, RoomState } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { actionButton, lineForm } from "./forms.js";
import type { ChatPane } from "./pane.js";
import { changeWords, count, obstacleWords, roleWords } from "./words.js";

/** Roles that a person can be given here. */
const GIVEN: readonly Role[] = ["owner", "admin", "regular_user", "visitor"];

/** What cannot be taken back once it is asked for. */
const FOR_GOOD: readonly Change["what"][] = ["create", "leave", "join"];

export function peopleView(pane: ChatPane, room: Room, state: RoomState): TemplateResult {
  const others = (whom: Participant): TemplateResult | typeof nothing => (whom.user === pane.user || state.phase !== "joined" ? nothing : personMenu(pane, room, state, whom));
  return html`
    <ul class="people" aria-label="People">
      ${repeat(state.participants, ({ user }) => user, (whom) => html`
        <li>
          <span><bdi>${whom.user}</bdi> <span class="quiet">${roleWords(whom.roles)}${whom.devices.length === 1 ? nothing : ` · ${count(whom.devices.length, "device")}`}</span></span>
          ${others(whom)}
        </li>`)}
    </ul>
    ${pendingView(pane, state.pending)}
    ${state.phase === "joined" && !state.leaving ? html`
      ${lineForm(`${pane.key}-add`, "Add a person", "bob@bravo.example", "Add", (text) => pane.add(room, text))}
      ${roomMenu(pane, room, state)}` : nothing}
  `;
}

function pendingView(pane: ChatPane, pending: readonly Change[]): TemplateResult | typeof nothing {
  if (pending.length === 0) return nothing;
  return html`
    <ul class="people" aria-label="Being done">
      ${pending.map((change) => html`
        <li class="pending">
          <span>${changeWords(change)}${change.user === undefined ? nothing : html` <bdi>${change.user}</bdi>`}</span>
          ${FOR_GOOD.includes(change.what) ? nothing : actionButton("Cancel", () => { void cancel(pane, change); }, { name: `Cancel: ${changeWords(change)} ${change.user ?? ""}`.trim() })}
        </li>`)}
    </ul>
  `;
}

async function cancel(pane: ChatPane, change: Change): Promise<void> {
  await pane.act(async () => ((await change.cancel()) ? "It will not be done." : "It cannot be stopped any more."));
}

function personMenu(pane: ChatPane, room: Room, state: RoomState, { user, roles }: Participant): TemplateResult {
  const banned = roles.includes("banned");
  const why = state.can("remove") ? undefined : obstacleWords(state);
  const setRoles = (given: readonly Role[], done: string): void => {
    void pane.act(async () => { await room.setRoles(user, given); return `${user} ${done}.`; });
  };
  const choose = (event: Event): void => {
    const select = event.currentTarget as HTMLSelectElement;
    const chosen = GIVEN.find((role) => role === select.value);
    if (chosen !== undefined) setRoles([chosen], `is ${roleWords([chosen])} now`);
  };
  const remove = (): void => { void pane.act(async () => { await room.remove(user); return `${user} is out of the room.`; }); };
  const id = `${pane.key}-role-${user}`;
  return html`
    <details class="menu">
      <summary aria-label="Change ${user}">Change</summary>
      <div class="buttons">
        ${banned ? actionButton("Lift the ban", () => { setRoles(["regular_user"], "may be in the room again"); }, { why }) : html`
          <label for=${id}>Role</label>
          <select id=${id} ?disabled=${why !== undefined} title=${why ?? nothing} @change=${choose}>
            ${GIVEN.map((role) => html`<option value=${role} ?selected=${roles.at(-1) === role}>${roleWords([role])}</option>`)}
          </select>
          ${actionButton("Ban", () => { setRoles(["banned"], "is banned"); }, { why })}`}
        ${actionButton("Remove", remove, { why })}
      </div>
    </details>
  `;
}

function roomMenu(pane: ChatPane, room: Room, state: RoomState): TemplateResult {
  const { name } = state;
  const own = state.participants.find(({ user }) => user === pane.user)?.devices ?? [];
  const lost = own.filter((device) => device !== pane.client?.device);
  const leave = (): void => { void pane.act(async () => { await room.leave(); return `You are out of ${name}.`; }); };
  const renew = (): void => { void pane.act(async () => { await room.updateKeys(); return "This device has new keys in the room."; }); };
  return html`
    <details class="menu">
      <summary>This room</summary>
      <div class="buttons">
        ${actionButton("Leave", leave, { name: `Leave ${name}`, why: state.can("leave") ? undefined : obstacleWords(state) })}
        ${actionButton("Renew keys", renew, { why: state.can("add") ? undefined : obstacleWords(state) })}
        ${lost.map((device) => actionButton(`Take out …/${device.slice(device.lastIndexOf("/") + 1)}`, () => {
          void pane.act(async () => { await room.removeDevice(device); return "The device is out of the room."; });
        }, { name: `Take out your device ${device}` }))}
      </div>
      ${lineForm(`${pane.key}-ban`, "Ban somebody", "eve@charlie.example", "Ban", (text) => pane.ban(room, text))}
    </details>
  `;
}
