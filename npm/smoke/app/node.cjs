const client = require("@mimi-edge/client");

const [provider, name] = process.argv.slice(2);
void import("./report.js").then(async ({ report }) => {
  console.log(JSON.stringify(await report(client, { provider, name })));
});
