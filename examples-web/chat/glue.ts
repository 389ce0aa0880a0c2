// What joins the client's live values, the elements and the keyboard.

import type { Live } from "@mimi-edge/client";
import { LitElement, type ReactiveController, type ReactiveControllerHost } from "lit";
import type { Session } from "./session.js";

/** A value that changes, as the client's are. */
export type Watched<T> = Pick<Live<T>, "get" | "subscribe">;

/** A value of this page's own. */
export class Value<T> implements Watched<T> {
  #value: T;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(value: T) { this.#value = value; }

  readonly get = (): T => this.#value;

  readonly subscribe = (listener: (value: T) => void): (() => void) => {
    this.#listeners.add(listener);
    listener(this.#value);
    return () => { this.#listeners.delete(listener); };
  };

  set(value: T): void {
    this.#value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }
}

/** Renders an element again when what it has used has changed. */
export class Watch implements ReactiveController {
  readonly #host: ReactiveControllerHost;
  readonly #ends = new Map<Watched<unknown>, () => void>();

  constructor(host: ReactiveControllerHost) {
    this.#host = host;
    host.addController(this);
  }

  /** The value as it is; its changes render the element from now on. */
  use<T>(live: Watched<T>): T {
    if (!this.#ends.has(live)) {
      let told = false;
      this.#ends.set(live, live.subscribe(() => { if (told) this.#host.requestUpdate(); }));
      told = true;
    }
    return live.get();
  }

  hostConnected(): void { this.#host.requestUpdate(); }

  hostDisconnected(): void {
    for (const end of this.#ends.values()) end();
    this.#ends.clear();
  }
}

/** An element of the page for one signed-in person. Light DOM: labels and the one style sheet reach everywhere. */
export class View extends LitElement {
  static override properties = { session: { attribute: false } };
  declare session: Session;
  protected readonly watch = new Watch(this);

  protected override createRenderRoot(): this { return this; }
}

const ITEM = "[data-item]";

/** Arrow keys, Home and End move within a list; of its items, Tab reaches one. */
export function rove(event: KeyboardEvent): void {
  if (event.altKey || event.ctrlKey || event.metaKey || !(event.target instanceof HTMLElement)) return;
  const items = itemsOf(event.currentTarget as HTMLElement);
  const at = items.indexOf(event.target);
  const next = new Map([["ArrowDown", at + 1], ["ArrowUp", at - 1], ["Home", 0], ["End", items.length - 1]]).get(event.key);
  if (at < 0 || next === undefined) return;
  event.preventDefault();
  items[next]?.focus();
}

/** Whatever item has the focus is the one that Tab comes back to. */
export function remember({ target, currentTarget }: FocusEvent): void {
  const item = (target as HTMLElement).closest<HTMLElement>(ITEM);
  if (item) stop(itemsOf(currentTarget as HTMLElement), item);
}

/** Lets Tab reach one item of a list that was rendered: the chosen one unless the focus is in the list. */
export function settle(list: HTMLElement | null, choose: (items: readonly HTMLElement[]) => HTMLElement | undefined): void {
  if (list === null) return;
  const items = itemsOf(list);
  const kept = items.find((item) => item.tabIndex === 0 && item.contains(document.activeElement));
  stop(items, kept ?? choose(items));
}

function stop(items: readonly HTMLElement[], at: HTMLElement | undefined): void {
  for (const item of items) item.tabIndex = item === at ? 0 : -1;
}

function itemsOf(list: HTMLElement): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>(ITEM)];
}
