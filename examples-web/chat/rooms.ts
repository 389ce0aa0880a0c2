// The rooms of this device, those it could join, who asks to add this person to one, and a form for a new one.

import type { ConsentRequest, Room, RoomUri } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { actionButton, lineForm } from "./forms.js";
import { View, remember, rove, settle } from "./glue.js";
import { go, hrefOf, inRoom, narrow, place } from "./place.js";
import { count, preview } from "./words.js";

class Rooms extends View {
  #filter = "";

  protected override render(): TemplateResult {
    const { client } = this.session;
    const wanted = this.#filter.trim().toLowerCase();
    const rooms = this.watch.use(client.rooms);
    const shown = rooms.filter((room) => `${room.uri} ${this.watch.use(room.state).name}`.toLowerCase().includes(wanted));
    const available = this.watch.use(client.available);
    return html`
      <h2 aria-level=${this.watch.use(narrow) ? 1 : 2}>Rooms</h2>
      <label class="aside" for="find-room">Find a room</label>
      <input id="find-room" type="search" placeholder="Find a room (Ctrl+K)" autocomplete="off"
        @input=${(event: Event) => { this.#filter = (event.target as HTMLInputElement).value; this.requestUpdate(); }}
        @keydown=${(event: KeyboardEvent) => { if (event.key === "Enter" && shown[0]) go(inRoom(shown[0].uri)); }}>
      <ul class="list" aria-label="Rooms" @keydown=${rove} @focusin=${remember}>
        ${repeat(shown, ({ uri }) => uri, (room) => this.#room(room))}
      </ul>
      ${rooms.length === 0 ? html`<p class="quiet">No room yet: create one, or have somebody add you.</p>` : nothing}
      ${rooms.length > 0 && shown.length === 0 ? html`<p class="quiet">No room is called like that.</p>` : nothing}
      ${available.length === 0 ? nothing : this.#available(available)}
      ${this.#requests(this.watch.use(client.consent.incoming))}
      ${lineForm("new-room", "New room", "clubhouse", [{ button: "Create", act: (text) => this.#create(text) }])}
    `;
  }

  protected override updated(): void {
    settle(this.querySelector("ul.list"), (items) => items.find((item) => item.ariaCurrent === "page") ?? items[0]);
  }

  #room(room: Room): TemplateResult {
    const { name, hub, unread, last, waiting } = room.state.get();
    return html`
      <li><a class="room-link" data-item tabindex="-1" href=${hrefOf(inRoom(room.uri))} aria-current=${this.watch.use(place).room === room.uri ? "page" : "false"}>
        <span class="row"><bdi class="name">${name}</bdi>${unread > 0 ? html`<span class="badge">${unread}<span class="aside"> unread</span></span>` : nothing}</span>
        <span class="row quiet">${last === undefined ? html`<span>hub ${hub}</span>` : html`<bdi class="preview">${preview(last)}</bdi>`}${waiting > 0 ? html`<span>${waiting} waiting</span>` : nothing}</span>
      </a></li>`;
  }

  #available(addresses: readonly RoomUri[]): TemplateResult {
    const join = (address: RoomUri): void => {
      void this.session.act(async (client) => {
        go(inRoom((await client.joinRoom(address)).uri));
        return undefined;
      });
    };
    return html`
      <h2>On your other devices</h2>
      <ul class="plain">${addresses.map((address) => html`<li class="row"><bdi>${address}</bdi> ${actionButton("Join", () => { join(address); }, { name: `Join ${address}` })}</li>`)}</ul>`;
  }

  #requests(requests: readonly ConsentRequest[]): TemplateResult | typeof nothing {
    if (requests.length === 0) return nothing;
    const answer = (act: () => Promise<void>, words: string): void => { void this.session.act(async () => { await act(); return words; }); };
    return html`
      <section aria-labelledby="requests">
        <h2 id="requests" role="status">${count(requests.length, "request")}</h2>
        <ul class="plain">${requests.map(({ from, room, grant, refuse }) => html`
          <li>
            <p><bdi>${from}</bdi> asks to add you${room === undefined ? nothing : html` to <bdi>${room}</bdi>`}.</p>
            <p class="buttons">
              ${actionButton("Allow", () => { answer(grant, `${from} may add you.`); }, { name: `Allow ${from}` })}
              ${actionButton("No", () => { answer(refuse, `${from} may not add you.`); }, { name: `Do not allow ${from}` })}
            </p>
          </li>`)}</ul>
      </section>`;
  }

  async #create(id: string): Promise<boolean> {
    return await this.session.act(async (client) => {
      go(inRoom((await client.createRoom({ id })).uri));
      return undefined;
    }, { "bad-uri": "A room's name has no spaces, no @ and no /." });
  }
}

customElements.define("chat-rooms", Rooms);
