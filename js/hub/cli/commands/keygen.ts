/**
 * `mimi-hub keygen`: a provider's keys and, of a private CA, its certificate.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { mustHave, requireDomain, textOf, type Command } from "../arguments.js";
import { AUTHORITY_CERTIFICATE_FILE, developmentAuthority, issueCertificate } from "../certificates.js";
import { readIfPresent, replaceFile } from "../files.js";
import { HUB_KEYS_FILE, hubKeys } from "../hub-key.js";
import { PEER_KEYS_FILE, peerKeys, rotatePeerKeys } from "../peer-keys.js";
import { print } from "../running.js";

/** Where `serve` looks for them unless told otherwise. */
export const CERTIFICATE_FILE = "certificate.pem";
export const KEY_FILE = "key.pem";

export const KEYGEN: Command = {
  name: "keygen",
  help: `keygen                     make a provider's keys; what is secret is never printed
    --domain D               the provider's domain
    --out DIR                where they go: ${HUB_KEYS_FILE}, never replaced, and ${PEER_KEYS_FILE}
                             (default keys)
    --rotate                 a new key that signs requests to other providers, from the next start on;
                             the one before stays published
    --ca DIR                 also a certificate of the private CA in DIR, which is made if there is
                             none: ${CERTIFICATE_FILE} and ${KEY_FILE}, replaced by new ones each time`,
  options: { domain: { type: "string" }, out: { type: "string" }, ca: { type: "string" }, rotate: { type: "boolean" } },
  async run(values) {
    const domain = requireDomain(mustHave(values, "domain"));
    const out = textOf(values, "out") ?? "keys";
    await mkdir(out, { recursive: true, mode: 0o700 });
    const before = await readIfPresent(join(out, HUB_KEYS_FILE));
    await hubKeys(out);
    print(`${join(out, HUB_KEYS_FILE)}: ${before === undefined ? "made" : "left as it is"}. Keep a copy: rooms know it.`);
    if (values["rotate"] === true) {
      await rotatePeerKeys(out);
    } else {
      await peerKeys(out);
    }
    print(`${join(out, PEER_KEYS_FILE)}: ${values["rotate"] === true ? "rotated" : "there"}`);
    const ca = textOf(values, "ca");
    if (ca !== undefined) {
      const { privateKey, certificate } = await issueCertificate(await developmentAuthority(ca), domain);
      await replaceFile(join(out, KEY_FILE), privateKey);
      await writeFile(join(out, CERTIFICATE_FILE), certificate);
      print(`${join(out, CERTIFICATE_FILE)}, ${join(out, KEY_FILE)}: made for ${domain}, for a year`);
      print(`${join(ca, AUTHORITY_CERTIFICATE_FILE)}: what the other providers have to trust`);
    }
    for (const [secret, file] of [["HUB_KEYS", HUB_KEYS_FILE], ["PEER_KEYS", PEER_KEYS_FILE]] as const) {
      print(`deployed, it is a secret: npx wrangler secret put ${secret} < ${join(out, file)}`);
    }
    return 0;
  },
};
