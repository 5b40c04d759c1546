// A client on the TypeScript SDK v2.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { capabilities, elicit, roots, run, sample } from "./steps.mjs";

const plan = JSON.parse(process.argv[2]);
const Transport = plan.transport === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = new Transport(new URL(plan.url), { requestInit: { headers: plan.headers } });
const mode = plan.mode === "auto" || plan.mode === "legacy" ? plan.mode : { pin: plan.mode };
const client = new Client({ name: "typescript-v2", version: "1" }, { versionNegotiation: { mode }, capabilities: capabilities(plan) });
if (plan.answers) {
  client.setRequestHandler("sampling/createMessage", sample);
  client.setRequestHandler("elicitation/create", elicit);
  client.setRequestHandler("roots/list", roots);
}
await client.connect(transport);
await run(client, plan, () => client.getNegotiatedProtocolVersion());
