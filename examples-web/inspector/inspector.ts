// <mimi-inspector>: the exchanges between devices and providers, drawn as they happen, like the
// draft's figures. One table: its figure column is the picture, hidden from screen readers; the others
// say the same in words, and are what is shown where there is little room.

import { LitElement, html, nothing, svg, type SVGTemplateResult, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { linesOf, type Decoder, type Field } from "./decode.js";
import type { Exchange } from "./exchange.js";
import { draftFigure, mermaidFigure } from "./figure.js";
import { Log, roomOf, type Arrow, type Lane, type Row } from "./log.js";

/** As many fields of a body are shown. */
const MOST_LINES = 400;
/** Kinds of arrows with a head of their own; styled by these names. */
const HEADS = ["request", "response", "fan-out", "socket", "failed"] as const;

/** Shows what it is given by {@link MimiInspector.tell}. */
export class MimiInspector extends LitElement {
  static override properties = { decode: { attribute: false } };

  /** Decodes bodies; set it before the first exchange. Without it, bodies are shown as bytes. */
  declare decode: Decoder;
  #log = new Log((...body) => this.decode(...body));
  /** While it rests: how many of the exchanges are shown. */
  #shown: number | undefined;
  #selected: string | undefined;
  #asTable = false;
  #exported: { readonly title: string; readonly text: string } | undefined;
  #said = "";
  /** Whether something was opened just now, to be brought into sight. */
  #opened = false;

  constructor() {
    super();
    this.decode = () => undefined;
  }

  /** Light DOM: the page's style sheet and labels reach in. */
  protected override createRenderRoot(): HTMLElement { return this; }

  /** Adds an exchange, or a frame of a socket, that was told. */
  tell(exchange: Exchange): void {
    this.#log.add(exchange);
    this.requestUpdate();
  }

  /** Sets a heading over what comes from now on. */
  head(heading: string): void {
    this.#log.head(heading, performance.timeOrigin + performance.now());
    this.requestUpdate();
  }

  /** Forgets everything. */
  clear(): void {
    this.#log.clear();
    if (this.#shown !== undefined) this.#shown = 0;
    this.#selected = this.#exported = undefined;
    this.requestUpdate();
  }

  protected override updated(): void {
    const box = this.querySelector(".rows");
    // Follows the newest row, unless somebody looks at one.
    if (box !== null && this.#selected === undefined && !box.contains(document.activeElement)) box.scrollTop = box.scrollHeight;
    if (this.#opened) this.querySelector(".details")?.scrollIntoView({ block: "nearest" });
    this.#opened = false;
  }

  protected override render(): TemplateResult {
    const [lanes, rows] = [this.#log.lanes(), this.#log.rows(this.#shown)];
    const selected = rows.find((row): row is Arrow => "kind" in row && row.key === this.#selected);
    return html`
      <div class="bar">
        ${this.#controls()}
        <p role="status">${this.#said}</p>
      </div>
      <div class="view">
      ${rows.length === 0 ? html`<p class="quiet">Nothing was exchanged yet.</p>` : html`
        <div class="rows ${this.#asTable ? "words" : "picture"}" tabindex="0" role="region" aria-label="Exchanges">
          <table>
            <caption class="aside">Exchanges between devices and providers, the oldest first</caption>
            <thead>
              <tr>
                <th scope="col" class="word time">Time</th><th scope="col" class="word">From</th><th scope="col" class="word">To</th>
                <td class="figure" aria-hidden="true">${heads(lanes)}</td>
                <th scope="col" class="word what">What</th><th scope="col" class="word bytes">Bytes</th>
              </tr>
            </thead>
            <tbody>${repeat(rows, ({ key }) => key, (row) => this.#row(lanes, row))}</tbody>
          </table>
        </div>`}
      ${selected === undefined ? nothing : this.#details(selected)}
      ${this.#exported === undefined ? nothing : this.#export(this.#exported.title, this.#exported.text)}
      </div>
    `;
  }

  #controls(): TemplateResult {
    const waiting = this.#shown === undefined ? 0 : this.#log.size - this.#shown;
    const rest = (): void => { this.#change(() => { this.#shown = this.#shown === undefined ? this.#log.size : undefined; }); };
    const step = (): void => { this.#change(() => { this.#shown = (this.#shown ?? 0) + 1; }); };
    const table = (event: Event): void => { this.#change(() => { this.#asTable = (event.currentTarget as HTMLInputElement).checked; }); };
    const text = (title: string, figure: (lanes: readonly Lane[], rows: readonly Row[]) => string): void => {
      this.#change(() => { this.#exported = { title, text: figure(this.#log.lanes(), this.#log.rows(this.#shown)) }; this.#opened = true; });
    };
    return html`
      <div class="buttons">
        <button type="button" aria-pressed=${this.#shown === undefined ? "false" : "true"} @click=${rest}>Pause</button>
        <button type="button" ?disabled=${waiting === 0} @click=${step}>Step${waiting > 0 ? ` (${String(waiting)} wait)` : nothing}</button>
        <button type="button" @click=${() => { this.clear(); }}>Clear</button>
        <button type="button" @click=${() => { text("As text", draftFigure); }}>As text</button>
        <button type="button" @click=${() => { text("For Mermaid", mermaidFigure); }}>For Mermaid</button>
        <label><input type="checkbox" .checked=${this.#asTable} @change=${table}> as table</label>
      </div>`;
  }

  #row(lanes: readonly Lane[], row: Row): TemplateResult {
    if ("heading" in row) return html`<tr class="heading"><th scope="rowgroup" colspan="6">${row.heading}</th></tr>`;
    const name = (id: string): string => lanes.find((lane) => lane.id === id)?.name ?? "unknown";
    const isSelected = row.key === this.#selected;
    const choose = (): void => { this.#change(() => { this.#selected = isSelected ? undefined : row.key; this.#opened = !isSelected; }); };
    return html`
      <tr class=${isSelected ? "selected" : ""} @click=${choose}>
        <td class="word"><time datetime=${new Date(row.at).toISOString()}>${clock(row.at)}</time></td>
        <td class="word"><bdi>${breakable(name(row.from))}</bdi></td>
        <td class="word"><bdi>${breakable(name(row.to))}</bdi></td>
        <td class="figure" aria-hidden="true">${picture(lanes, row)}</td>
        <td class="word what"><button type="button" aria-expanded=${isSelected ? "true" : "false"} @click=${(event: Event) => { event.stopPropagation(); choose(); }}>
          <span>${row.kind === "response" ? "Answer: " : nothing}${row.label}${row.failed && row.kind !== "response" ? ", no answer" : nothing}</span>
        </button></td>
        <td class="word bytes">${row.bytes}</td>
      </tr>`;
  }

  #details({ entry, kind, label, from, to }: Arrow): TemplateResult {
    const { exchange } = entry;
    const [body, decoded] = kind === "response" ? [exchange.response, entry.response] : [exchange.request, entry.request];
    return html`
      <section class="details" aria-label="What ${label} says">
        <div class="bar">
          <h3>${kind === "response" ? "Answer" : exchange.via === "socket" ? "Frame" : exchange.method} ${label}</h3>
          <button type="button" @click=${() => { this.#change(() => { this.#selected = undefined; }); }}>Close</button>
        </div>
        <p class="quiet"><bdi>${from}</bdi> to <bdi>${to}</bdi>, <bdi>${exchange.path}</bdi></p>
        ${body === undefined || body.length === 0 ? html`<p>No body.</p>` : fields(exchange, decoded ?? undecoded(body))}
      </section>`;
  }

  #export(title: string, text: string): TemplateResult {
    const copy = async (): Promise<void> => {
      const copied = await navigator.clipboard.writeText(text).then(() => true, () => false);
      this.#change(() => { this.#said = copied ? "Copied." : "The browser does not let this page copy: select the text."; });
    };
    return html`
      <section class="details" aria-label=${title}>
        <div class="bar">
          <h3>${title}</h3>
          <span class="buttons">
            <button type="button" @click=${copy}>Copy</button>
            <button type="button" @click=${() => { this.#change(() => { this.#exported = undefined; }); }}>Close</button>
          </span>
        </div>
        <pre tabindex="0" role="region" aria-label="${title}, the figure">${text}</pre>
      </section>`;
  }

  #change(act: () => void): void {
    this.#said = "";
    act();
    this.requestUpdate();
  }
}

/** The fields of a body, and what those who pass it on can read. */
function fields(exchange: Exchange, body: Field): TemplateResult {
  const who = roomOf(exchange) === undefined ? "provider" : "hub";
  const lines = linesOf(body);
  return html`
    <table class="fields">
      <thead><tr><th scope="col">Field</th><th scope="col">Value</th><th scope="col">The ${who}</th></tr></thead>
      <tbody>
        ${lines.slice(0, MOST_LINES).map(({ name, depth, bytes, value, hidden }) => html`
          <tr class=${hidden === undefined ? "" : "hidden-from-hub"}>
            <th scope="row" class="depth-${Math.min(depth, 9)}">${name}</th>
            <td>${value === undefined ? html`<span class="quiet">${bytes} bytes</span>` : html`<bdi>${value}</bdi>`}</td>
            <td>${value === undefined ? nothing : hidden === undefined ? "sees this" : `does not see this: ${hidden}`}</td>
          </tr>`)}
      </tbody>
    </table>
    ${lines.length > MOST_LINES ? html`<p class="quiet">And ${lines.length - MOST_LINES} more.</p>` : nothing}`;
}

/** A body that nobody decodes. */
function undecoded(body: Uint8Array): Field { return { name: "body", type: "opaque", start: 0, end: body.length, value: body }; }

/** Where a lane is, in percent of the figure's width. */
function place(lanes: readonly Lane[], id: string): number {
  const index = lanes.findIndex((lane) => lane.id === id);
  return ((Math.max(index, 0) + 0.5) / Math.max(lanes.length, 1)) * 100;
}

/** The lanes' names, and the heads of all arrows. */
function heads(lanes: readonly Lane[]): TemplateResult {
  return html`
    <svg class="head">
      <defs>${HEADS.map((kind) => svg`<marker id="mimi-inspector-${kind}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class=${kind} d="M0 0 8 4 0 8z"/></marker>`)}</defs>
      ${lanes.map(({ id, name, kind, hub }) => svg`
        <text class=${kind} x="${place(lanes, id)}%" y="14">${name}</text>
        ${hub ? svg`<text class="role" x="${place(lanes, id)}%" y="28">hub</text>` : nothing}`)}
    </svg>`;
}

/** One row of the figure. */
function picture(lanes: readonly Lane[], { kind, from, to, label, failed, waited }: Arrow): TemplateResult {
  const [start, end] = [place(lanes, from), place(lanes, to)];
  const classes = [kind, failed ? "failed" : "", waited === undefined ? "" : "again"].filter((name) => name !== "").join(" ");
  return html`
    <svg>
      ${lanes.map(({ id, kind: lane, hub }) => svg`<line class="lane ${lane} ${hub ? "hub" : ""}" x1="${place(lanes, id)}%" x2="${place(lanes, id)}%" y1="0" y2="100%"/>`)}
      <text class="label ${failed ? "failed" : ""}" x="${(start + end) / 2}%" y="14">${label}${failed && kind !== "response" ? ", no answer" : nothing}</text>
      ${from === "" || to === "" ? nothing : arrow(start, end, classes, failed ? "failed" : kind)}
    </svg>`;
}

function arrow(start: number, end: number, classes: string, head: string): SVGTemplateResult {
  return svg`<line class="arrow ${classes}" x1="${start}%" x2="${end}%" y1="22" y2="22" marker-end="url(#mimi-inspector-${head})"/>`;
}

/** A domain that may be broken before its dots. */
function breakable(name: string): unknown {
  return name.split(/(?=\.)/).map((part, index) => (index === 0 ? part : html`<wbr>${part}`));
}

function clock(at: number): string {
  return new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
}

customElements.define("mimi-inspector", MimiInspector);
