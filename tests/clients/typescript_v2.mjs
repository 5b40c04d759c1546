// A client on the TypeScript SDK v2.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { run } from "./steps.mjs";

const plan = JSON.parse(process.argv[2]);
const Transport = plan.transport === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = new Transport(new URL(plan.url), { requestInit: { headers: plan.headers } });
const mode = plan.mode === "auto" || plan.mode === "legacy" ? plan.mode : { pin: plan.mode };
const client = new Client({ name: "typescript-v2", version: "1" }, { versionNegotiation: { mode } });
await client.connect(transport);
await run(client, plan, () => client.getNegotiatedProtocolVersion());
