import "./platform-slim.js";

export * from "../index.js";
