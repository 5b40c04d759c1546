// Puts the key of CONFORMANCE_KEY on every request to CONFORMANCE_HOST, for a program that knows no option for headers.
import http from 'node:http';

const { CONFORMANCE_HOST: host, CONFORMANCE_KEY: key } = process.env;

const keyed = (headers) => {
  if (Array.isArray(headers)) return [...headers, 'x-apikey', key];
  return { ...(headers?.[Symbol.iterator] ? Object.fromEntries(headers) : headers), 'x-apikey': key };
};

// Node's own fetch and the undici package send through global dispatchers, which exist from the first fetch on.
await fetch('data:,');
for (const version of [1, 2]) {
  const dispatcher = Symbol.for(`undici.globalDispatcher.${version}`);
  globalThis[dispatcher] = globalThis[dispatcher]?.compose((dispatch) => (options, handler) => {
    const ours = new URL(options.origin).host === host;
    return dispatch(ours ? { ...options, headers: keyed(options.headers) } : options, handler);
  });
}

const request = http.request;
http.request = (...given) => {
  const sent = request(...given);
  if (sent.getHeader('host') === host) sent.setHeader('x-apikey', key);
  return sent;
};
