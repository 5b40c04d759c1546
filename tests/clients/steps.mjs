// What both TypeScript clients do with a plan; see python_v2.py for its form.

export async function run(client, plan, version) {
  const answers = [];
  for (const [verb, ...rest] of plan.steps) {
    try {
      answers.push(await take(client, verb, rest));
    } catch (error) {
      answers.push({ error: { code: error.code, message: error.message } });
    }
  }
  const outcome = { version: version(), answers };
  await client.close();
  console.log(JSON.stringify(outcome));
}

// What the client can be asked for, if the plan says so, and what it answers.
export function capabilities(plan) {
  return plan.answers ? { sampling: { tools: {} }, elicitation: { form: {}, url: {} }, roots: {} } : {};
}

export async function sample() {
  return { role: "assistant", content: { type: "text", text: "a word" }, model: "none" };
}

export async function elicit(request) {
  return request.params.mode === "url" ? { action: "accept" } : { action: "accept", content: { name: "Ann" } };
}

export async function roots() {
  return { roots: [{ uri: "file:///home/ann" }] };
}

async function take(client, verb, rest) {
  switch (verb) {
    case "tools":
      return client.listTools();
    case "call":
      return call(client, ...rest);
    case "prompts":
      return client.listPrompts();
    case "prompt":
      return client.getPrompt({ name: rest[0], arguments: rest[1] });
    case "resources":
      return client.listResources();
    case "templates":
      return client.listResourceTemplates();
    case "read":
      return client.readResource({ uri: rest[0] });
    case "complete":
      return client.complete({ ref: { type: "ref/prompt", name: rest[0] }, argument: { name: rest[1], value: rest[2] } });
  }
}

async function call(client, name, args) {
  const progress = [];
  const options = { onprogress: (step) => progress.push(step.progress) };
  const parameters = { name, arguments: args };
  const answer = await (client.v1 ? client.callTool(parameters, undefined, options) : client.callTool(parameters, options));
  return { ...answer, progress };
}
