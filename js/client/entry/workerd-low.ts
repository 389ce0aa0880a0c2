import "./platform-workerd.js";

export * from "../low.js";
