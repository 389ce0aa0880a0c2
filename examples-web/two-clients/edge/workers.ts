// Stands in for the module `cloudflare:workers`.

/** What the classes of objects are made from. */
export class DurableObject<E> {
  protected readonly ctx: DurableObjectState;
  protected readonly env: E;

  constructor(ctx: DurableObjectState, env: E) {
    this.ctx = ctx;
    this.env = env;
  }
}
