// Without import map and bundler: for pages whose policy forbids scripts in the page.
import * as client from "./node_modules/@mimi-edge/client/index.js";
import { page } from "./page.js";

void page(client);
