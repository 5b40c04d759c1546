// A client on the TypeScript SDK v1.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { capabilities, elicit, roots, run, sample } from "./steps.mjs";

const plan = JSON.parse(process.argv[2]);
const Transport = plan.transport === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = new Transport(new URL(plan.url), { requestInit: { headers: plan.headers } });
const client = new Client({ name: "typescript-v1", version: "1" }, { capabilities: capabilities(plan) });
client.v1 = true;
if (plan.answers) {
  client.setRequestHandler(CreateMessageRequestSchema, sample);
  client.setRequestHandler(ElicitRequestSchema, elicit);
  client.setRequestHandler(ListRootsRequestSchema, roots);
}
await client.connect(transport);
await run(client, plan, () => transport.protocolVersion ?? transport._protocolVersion);
