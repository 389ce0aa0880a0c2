import "./platform-node.js";

export * from "../low.js";
