/** One change of a delta: the new value of a key, or `null` for its deletion. */
export interface RowChange { readonly key: Uint8Array; readonly value: Uint8Array | null }
/** One stored row. */
export interface Row { readonly key: Uint8Array; readonly value: Uint8Array }

/**
 * Where a device keeps its state. An application may bring its own, such as a file or a database; one
 * client at a time may use it.
 *
 * What it rejects with is passed on when it is a {@link MimiError} (`storage-full` when there is no
 * room), and is `internal` otherwise. The client then goes on from what is stored: it reads all rows again.
 */
export interface Store {
  /** All rows, in any order. */
  rows(): Promise<Row[]>;
  /**
   * Writes one delta: all of it or nothing. Resolves when it is durable. It is called again only when
   * the last call has settled.
   */
  apply(changes: readonly RowChange[]): Promise<void>;
  /** Gives the store free for others. */
  close(): Promise<void>;
  /** Calls `lost` when what was open is closed by others, or gone. Optional: the next call tells it too. */
  watch?(lost: () => void): void;
}

/** Rows that last as long as the page: for tests and for one-off use. */
export function memoryStore(): Store {
  const rows = new Map<string, Row>();
  return {
    rows: async () => [...rows.values()],
    async apply(changes) {
      for (const { key, value } of changes) {
        if (value === null) rows.delete(key.join());
        else rows.set(key.join(), { key, value });
      }
    },
    close: async () => { rows.clear(); },
  };
}
