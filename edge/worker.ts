// The edge Worker. Hono routes two things: the ingest of state, and everything else. Routes are
// chosen on the path that the URL parser made; what is admitted and forwarded is the normalised
// one.

import { Hono } from 'hono';
import { parseJson } from '../shared/canonical.ts';
import { openTrust } from '../shared/control/trust.ts';
import { readPlace } from './admission/facts.ts';
import { ingest } from './control/ingest.ts';
import { configuredGateways } from './control/sources.ts';
import { storesNear } from './control/stores.ts';
import { View } from './control/view.ts';
import { edgeCrypto } from './crypto.ts';
import type { EdgeEnv, EdgePorts } from './env.ts';
import { answerRefusal } from './steering/answer.ts';
import { sendToGateway } from './steering/forward.ts';
import { handle } from './steering/handle.ts';

const INGEST_PATH = '/.portolan/ingest';

// One isolate, one view, one trust: made by the first request, for no I/O may happen before it.
let held: { readonly trustText: string; readonly view: View } | null = null;

const app = new Hono<{ Bindings: EdgeEnv }>();

app.post(INGEST_PATH, (context) =>
  withView(context.req.raw, context.env, context.executionCtx, (view, ports) =>
    ingest(context.req.raw, view, ports, readPlace(context.req.raw).colo),
  ),
);

app.all('*', (context) =>
  withView(context.req.raw, context.env, context.executionCtx, (view, ports) =>
    handle(context.req.raw, view, ports),
  ),
);

export default app;

type Waits = Pick<ExecutionContext, 'waitUntil'>;

async function withView(
  request: Request,
  env: EdgeEnv,
  context: Waits,
  run: (view: View, ports: EdgePorts) => Promise<Response>,
): Promise<Response> {
  const ports = livePorts(request, env, context);
  const view = await viewOf(env.TRUST, ports);
  // Without trust nothing can be verified, so nothing is served and nobody is told why (I15).
  if (view === null) return answerRefusal('no-state', ports.random(16).toHex(), 0);
  return run(view, ports);
}

async function viewOf(trustText: string, ports: EdgePorts): Promise<View | null> {
  if (held?.trustText === trustText) return held.view;
  const trust = await openTrust(parseJson(trustText)?.value, ports.crypto);
  if ('code' in trust) {
    ports.log({ alarm: trust.code, detail: trust.detail });
    return null;
  }
  // Another request may have been first; its view has already learnt something.
  held = held?.trustText === trustText ? held : { trustText, view: new View(trust, ports.crypto) };
  return held.view;
}

function livePorts(request: Request, env: EdgeEnv, context: Waits): EdgePorts {
  return {
    nowMs: () => Date.now(),
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    crypto: edgeCrypto,
    cache: locationCache,
    stores: storesNear(env, readPlace(request).continent),
    gateways: () => gatewaysOf(env),
    send: sendToGateway,
    timeout: (ms, reason) =>
      new Promise((_, reject) => setTimeout(() => reject(new Error(reason)), ms)),
    background: (work) => context.waitUntil(work),
    log: (line) => console.log(JSON.stringify(line)),
    logDecisions: env.DECISION_LOG,
  };
}

function gatewaysOf({ GATEWAYS }: EdgeEnv): readonly string[] {
  const origins = configuredGateways(GATEWAYS);
  if (origins === null) console.log(JSON.stringify({ alarm: 'malformed', detail: 'GATEWAYS' }));
  return origins ?? [];
}

// The Cache API wants URLs; this name is nobody's host.
const CACHE_ORIGIN = 'https://state.portolan.invalid/';

const locationCache: EdgePorts['cache'] = {
  async get(key) {
    const found = await caches.default.match(`${CACHE_ORIGIN}${key}`);
    return found === undefined ? null : found.text();
  },
  put: (key, text, lifeS) =>
    caches.default.put(
      `${CACHE_ORIGIN}${key}`,
      new Response(text, { headers: { 'cache-control': `max-age=${lifeS}` } }),
    ),
};
