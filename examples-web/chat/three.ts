// Three people side by side, each on a page of its own: what one does, the others see through their providers alone.

import { addressOf, networkOf } from "./network.js";

const NAMES = ["alice", "bob", "cathy"];

const place = document.querySelector("main");
const { providers } = await networkOf();
place?.replaceChildren(...Object.keys(providers).slice(0, NAMES.length).map((domain, index) => {
  const user = `${NAMES[index] ?? ""}@${domain}`;
  const frame = document.createElement("iframe");
  frame.title = user;
  frame.src = addressOf(user);
  frame.allow = "clipboard-write";
  return frame;
}));
