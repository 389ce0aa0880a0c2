// What a pane looks like. Text from elsewhere is only ever text, set apart from its surroundings by <bdi>.

import type { Message, Room, RoomState, RoomUri, Sync } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import { repeat } from "lit/directives/repeat.js";
import { devicesView } from "./devices.js";
import { actionButton, lineForm } from "./forms.js";
import type { ChatPane } from "./pane.js";
import { peopleView } from "./people.js";
import { permissionsView, requestsView } from "./permissions.js";
import type { Entry, Transcript } from "./transcript.js";
import { clock, deliveryWords, obstacleWords, syncWords } from "./words.js";

export function paneView(pane: ChatPane): TemplateResult {
  const { client, notice, room } = pane;
  const sync: Sync = client?.sync.get() ?? { state: pane.stopped ? "offline" : "connecting" };
  const [icon, words] = syncWords(sync);
  return html`
    <header>
      <h2 id="${pane.key}-name"><bdi>${pane.user}</bdi>${pane.second ? ", second device" : nothing}</h2>
      <p class="sync ${sync.state}"><span aria-hidden="true">${icon}</span> <span>${words}</span></p>
    </header>
    <div>
      <p class="status" role="status">${notice?.kind === "status" ? notice.text : nothing}</p>
      <p class="alert" role="alert">${notice?.kind === "alert" ? notice.text : nothing}</p>
    </div>
    ${pane.stopped ? html`<p><button type="button" @click=${() => pane.open()}>Try again</button></p>` : nothing}
    ${client ? html`
      ${roomsView(pane, client.rooms.get(), client.available.get())}
      ${requestsView(pane, client.consent.incoming.get())}
      ${permissionsView(pane, client.consent.granted.get())}
      ${devicesView(pane, client.devices.get())}` : nothing}
    ${room ? keyed(room.uri, roomView(pane, room)) : nothing}
  `;
}

function roomsView(pane: ChatPane, rooms: readonly Room[], available: readonly RoomUri[]): TemplateResult {
  const item = (room: Room): TemplateResult => {
    const { unread } = pane.transcript(room);
    return html`<li><button type="button" aria-current=${room === pane.room ? "true" : "false"} @click=${() => { pane.select(room); }}>
      <bdi>${room.state.get().name}</bdi>${unread > 0 ? html` <span class="unread">${unread} new</span>` : nothing}
    </button></li>`;
  };
  const other = (address: RoomUri): TemplateResult => html`<li><button type="button" @click=${() => pane.join(address)}>
    Join <bdi>${address}</bdi> with this device
  </button></li>`;
  return html`
    <nav aria-label="Rooms of ${pane.user}">
      ${rooms.length + available.length === 0
        ? html`<p class="quiet">No room yet: create one, or have somebody add you.</p>`
        : html`<ul class="rooms">${rooms.map(item)}${available.map(other)}</ul>`}
      ${lineForm(`${pane.key}-new`, "New room", "weekend", "Create", (text) => pane.createRoom(text))}
    </nav>
  `;
}

function roomView(pane: ChatPane, room: Room): TemplateResult {
  const state = room.state.get();
  const id = `${pane.key}-room`;
  return html`
    <section class="room" aria-labelledby=${id}>
      <header>
        <h3 id=${id}><bdi>${state.name}</bdi></h3>
        <dl>
          <div><dt>Hub</dt><dd>${state.hub}</dd></div>
          <div><dt>Epoch</dt><dd>${String(state.epoch)}</dd></div>
        </dl>
      </header>
      ${state.phase === "gap" || state.phase === "diverged" ? html`<p>${obstacleWords(state)} ${actionButton("Join again", () => { void pane.join(room.uri); }, { name: `Join ${state.name} again` })}</p>` : nothing}
      ${peopleView(pane, room, state)}
      ${timelineView(pane.transcript(room), state)}
      ${composer(pane, room, state)}
    </section>
  `;
}

function timelineView(transcript: Transcript, { name }: RoomState): TemplateResult {
  return html`
    <ol class="timeline" aria-label="Messages in ${name}" tabindex="0">
      ${transcript.entries.length === 0 ? html`<li class="note">Nothing yet.</li>` : nothing}
      ${repeat(transcript.entries, ({ key }) => key, entryView)}
    </ol>
    <div class="aside" role="log" aria-label="New messages">
      ${repeat(transcript.heard, ({ key }) => key, (message) => html`<p><bdi>${message.sender}</bdi>: ${textOf(message)}</p>`)}
    </div>
  `;
}

function entryView(entry: Entry): TemplateResult {
  if ("who" in entry) {
    const people = entry.who.map((user, index) => html`${index > 0 ? ", " : nothing}<bdi>${user}</bdi>`);
    return html`<li class="note">Epoch ${String(entry.epoch)}: ${people} ${entry.what}</li>`;
  }
  const { message } = entry;
  return html`
    <li class="message ${message.mine ? "mine" : "theirs"}">
      ${message.mine ? html`<span class="aside">You:</span>` : html`<bdi class="sender">${message.sender}</bdi>`}
      ${textOf(message)}
      <span class="delivery ${message.delivery.state}">${deliveryView(message)}</span>
    </li>
  `;
}

function textOf({ text }: Message): TemplateResult {
  return text === undefined ? html`<i>Something that is no text.</i>` : html`<bdi class="text">${text}</bdi>`;
}

function deliveryView({ mine, delivery }: Message): TemplateResult {
  if (!mine && delivery.state === "accepted") return html`<time datetime=${new Date(delivery.at).toISOString()}>${clock(delivery.at)}</time>`;
  const [icon, words] = deliveryWords(delivery);
  return html`<span aria-hidden="true">${icon}</span> <span>${words}</span>`;
}

/** Enter sends, Shift+Enter begins a line; the focus stays where one writes. */
function composer(pane: ChatPane, room: Room, state: RoomState): TemplateResult {
  const { name } = state;
  const id = `${pane.key}-message`;
  const obstacle = state.can("send") ? undefined : obstacleWords(state);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const box = form.querySelector("textarea");
    if (!box || box.value.trim() === "") return;
    const text = box.value;
    box.focus();
    box.value = "";
    if (!(await pane.send(room, text)) && box.value === "") box.value = text;
  };
  const key = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    (event.currentTarget as HTMLTextAreaElement).form?.requestSubmit();
  };
  return html`
    ${obstacle === undefined ? nothing : html`<p class="alert" id="${id}-why">${obstacle}</p>`}
    <form class="composer" @submit=${submit}>
      <label class="aside" for=${id}>Message to ${name}</label>
      <textarea id=${id} rows="1" enterkeyhint="send" autocomplete="off" placeholder="Message" aria-describedby=${obstacle === undefined ? nothing : `${id}-why`}
        ?disabled=${obstacle !== undefined} @keydown=${key}></textarea>
      <button ?disabled=${obstacle !== undefined}>Send</button>
    </form>
  `;
}
