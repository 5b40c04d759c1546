// A client that has nothing but a URL: plain requests, no session, no notifications, revision 2024-11-05.
const plan = JSON.parse(process.argv[2]);
let last = 0;

async function ask(method, params = {}) {
  const response = await fetch(plan.url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json,text/event-stream", ...plan.headers },
    body: JSON.stringify({ jsonrpc: "2.0", id: ++last, method, params }),
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  const text = await response.text();
  const line = text.split("\n").find((each) => each.startsWith("data: "));
  const told = JSON.parse(line ? line.slice(6) : text);
  if (told.id !== last) throw new Error(`the answer to ${last} is for ${told.id}`);
  if (told.error) throw new Error(told.error.message);
  return told.result;
}

const clientInfo = { name: "hosted", version: "1.0.0" };
const { protocolVersion } = await ask("initialize", { protocolVersion: "2024-11-05", capabilities: {}, clientInfo });
const { tools } = await ask("tools/list");
const answers = [];
for (const [name, args] of plan.steps) answers.push(await ask("tools/call", { name, arguments: args }));
console.log(JSON.stringify({ version: protocolVersion, tools: tools.map((each) => each.name), answers }));
