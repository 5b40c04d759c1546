// A child of the tests: does each line of its standard input, a JSON list of a command and its arguments, answers with
// one line, and ends with whoever holds the other end.
import { createInterface } from "node:readline";

export async function obey(commands) {
  process.stdout.write('"ready"\n');
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...given] = JSON.parse(line);
    process.stdout.write(`${JSON.stringify((await commands[command](...given)) ?? null)}\n`);
  }
  process.exit(0);
}
