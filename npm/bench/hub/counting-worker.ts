// The hub's Worker, which also says what it writes: one line for each step that an object stores.

import { ObjectRows } from "../../../js/hub/storage.js";

export * from "../../../js/hub/worker.js";
export { default } from "../../../js/hub/worker.js";

const apply = ObjectRows.prototype.apply;
ObjectRows.prototype.apply = function (changes): void {
  const rows = changes.flatMap(([, value]) => (value === undefined ? [] : [value.length]));
  console.log(`bench-written ${String(this.name)} ${JSON.stringify(rows)}`);
  apply.call(this, changes);
};
