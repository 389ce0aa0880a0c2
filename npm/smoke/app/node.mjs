import * as client from "@mimi-edge/client";
import { report } from "./report.js";

const [provider, name] = process.argv.slice(2);
console.log(JSON.stringify(await report(client, { provider, name })));
