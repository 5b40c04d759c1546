// A client on the TypeScript SDK v1.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { run } from "./steps.mjs";

const plan = JSON.parse(process.argv[2]);
const Transport = plan.transport === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = new Transport(new URL(plan.url), { requestInit: { headers: plan.headers } });
const client = new Client({ name: "typescript-v1", version: "1" });
client.v1 = true;
await client.connect(transport);
await run(client, plan, () => transport.protocolVersion ?? transport._protocolVersion);
