// A QR code as SVG: dark squares on a white field in both colour schemes, for cameras.

import { html, svg, type TemplateResult } from "lit";
import { encode } from "uqr";

/** The code of a text or of bytes. `words` says to those who do not see it what it holds. */
export function qrCode(content: string | Uint8Array, words: string): TemplateResult {
  const { size, data } = encode(typeof content === "string" ? content : [...content], { ecc: "M", border: 4 });
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${String(x)} ${String(y)}h1v1h-1z` : ""))).join("");
  return html`<svg class="qr" role="img" aria-label=${words} viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">
    ${svg`<rect width=${size} height=${size} fill="#fff"></rect><path d=${path} fill="#000"></path>`}
  </svg>`;
}
