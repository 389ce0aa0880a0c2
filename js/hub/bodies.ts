// Bodies of requests and answers, no more of them than is allowed.

/** Reads what is left of a body and keeps nothing: an answer to somebody who still sends may be lost. */
export async function drained(stream: ReadableStream<unknown> | null | undefined): Promise<void> {
  for await (const _ of stream ?? []) continue;
}

/** The bytes of a body; `undefined` when there are more than `limit`, of which the rest is not read. */
export async function readAtMost(limit: number, stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream ?? []) {
    length += chunk.length;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
