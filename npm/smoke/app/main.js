import * as client from "@mimi-edge/client";
import { page } from "./page.js";

void page(client);
