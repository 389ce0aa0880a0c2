import * as client from "@mimi-edge/client";
import { report } from "./report.js";

export default {
  async fetch(request) {
    const where = Object.fromEntries(new URL(request.url).searchParams);
    return Response.json(await report(client, where));
  },
};
