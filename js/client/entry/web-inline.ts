import "./platform-inline.js";

export * from "../index.js";
