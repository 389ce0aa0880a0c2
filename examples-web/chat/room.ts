// One room: its name, its messages, and where one writes.

import type { Participant, Room } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { actionButton } from "./forms.js";
import { View } from "./glue.js";
import { hrefOf } from "./place.js";
import { obstacleWords } from "./words.js";
import "./composer.js";
import "./timeline.js";

class RoomView extends View {
  static override properties = { ...View.properties, room: { attribute: false } };
  declare room: Room;

  protected override render(): TemplateResult {
    const { session, room } = this;
    const state = this.watch.use(room.state);
    const present = state.participants.filter(({ roles }) => !roles.includes("banned")).length;
    const isCutOff = state.phase === "gap" || state.phase === "diverged";
    const join = (): void => { void session.act(async (client) => { await client.joinRoom(room.uri); return `This device is in ${state.name} again.`; }); };
    return html`
      <header class="room-head">
        <a class="back" href="#/" aria-label="Back to rooms">‹</a>
        <div>
          <h1 id="title" tabindex="-1"><bdi>${state.name}</bdi></h1>
          <dl><div><dt>hub</dt><dd>${state.hub}</dd></div><div><dt>epoch</dt><dd class="epoch">${String(state.epoch)}</dd></div></dl>
        </div>
        <a class="to-people" href=${hrefOf({ view: "room", room: room.uri, panel: "people" })}>People <span class="badge">${present}</span><span class="aside"> and security</span></a>
      </header>
      ${state.can("send") ? nothing : html`<p class="obstacle" id="cannot-send">${obstacleWords(state)} ${isCutOff ? actionButton("Join again", join, { name: `Join ${state.name} again` }) : nothing}</p>`}
      ${state.participants.filter(({ trust }) => trust === "changed").map((whom) => this.#changed(whom))}
      <chat-timeline .session=${session} .room=${room}></chat-timeline>
      <chat-composer .session=${session} .room=${room}></chat-composer>
    `;
  }

  /** Somebody who was verified has other devices now. */
  #changed({ user }: Participant): TemplateResult {
    const { session } = this;
    const go = (): void => { void session.act(async ({ verification }) => { await verification.set(user, false); return `${user} counts as not verified.`; }); };
    return html`
      <div class="obstacle row">
        <p role="alert"><span aria-hidden="true">!</span> The devices of <bdi>${user}</bdi> changed since you compared numbers.</p>
        <p class="buttons">${actionButton("Compare again", () => { void session.compare(user); })} ${actionButton("Go on unverified", go)}</p>
      </div>`;
  }
}

customElements.define("chat-room", RoomView);
