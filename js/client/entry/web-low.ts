import "./platform-web.js";

export * from "../low.js";
