// emulate.mjs '{"github": {"port": 1, "seed": {...}}}': the emulated platforms named, each on its port.
import { createEmulator } from "emulate";
import { obey } from "./obeying.mjs";

console.log = console.warn = console.error;
const emulators = [];
for (const [service, { port, seed }] of Object.entries(JSON.parse(process.argv[2]))) {
  emulators.push(await createEmulator({ service, port, seed, baseUrl: `http://127.0.0.1:${port}` }));
}
await obey({ reset: () => emulators.forEach((emulator) => emulator.reset()) });
