// Four projects: what `shared` decides is tested in Node and in workerd, with the same files; the
// edge in workerd; everything else in Node. Tests reach nothing outside the machine: a fetch that a
// test did not provide for is answered 599, and the tools' own look-ups are switched off.

import { readFileSync } from 'node:fs';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { Headers, type Request, Response } from 'miniflare';
import { defineConfig } from 'vitest/config';

process.env.CLOUDFLARE_CF_FETCH_ENABLED = 'false';
process.env.WRANGLER_SEND_METRICS = 'false';

type PluginOptions = Exclude<Parameters<typeof cloudflareTest>[0], (...args: never) => unknown>;

/** A Worker without bindings. The date may be up to a week past the date in workerd's version. */
const bareWorker = {
  compatibilityDate: '2026-11-01',
  compatibilityFlags: ['nodejs_compat'],
  outboundService: (request) =>
    new Response(`no network in tests: ${request.url}`, { status: 599 }),
} satisfies PluginOptions['miniflare'];

/**
 * The Worker around edge tests: the edge Worker with its stores beside it. Its trust document is
 * the one that test/shared/kit.ts signs; its gateways answer what they were asked.
 */
const edgeWorker: PluginOptions = {
  main: './test/edge/main.ts',
  miniflare: {
    ...bareWorker,
    outboundService: gateway,
    bindings: {
      TRUST: readFileSync(new URL('./test/edge/trust.json', import.meta.url), 'utf8'),
      DECISION_LOG: 'all',
    },
    durableObjects: {
      EDGE_STORE_ENAM: { className: 'EdgeStore', useSQLite: true },
      EDGE_STORE_WEUR: { className: 'EdgeStore', useSQLite: true },
      EDGE_STORE_APAC: { className: 'EdgeStore', useSQLite: true },
    },
  },
};

/** A gateway of the kit: `/answer/<kind>` asks for that answer, anything else is told back. */
async function gateway(request: Request): Promise<Response> {
  const { hostname, pathname } = new URL(request.url);
  if (!/^gw\.(eu1|us1)\.example$/.test(hostname)) return bareWorker.outboundService(request);
  const headers = new Headers({
    'cloudflare-cdn-cache-control': 'no-store',
    'x-gateway': hostname,
  });
  headers.append('set-cookie', 'a=1; Path=/');
  headers.append('set-cookie', 'b=2; Path=/');
  if (pathname === '/answer/redirect') {
    headers.set('location', 'https://elsewhere.example/');
    return new Response(null, { status: 302, headers });
  }
  if (pathname === '/answer/error') return new Response('down', { status: 500, headers });
  const { method, url } = request;
  const body = request.body === null ? null : await request.text();
  return Response.json({ method, url, headers: [...request.headers], body }, { headers });
}

/** Nothing that one file leaves behind can matter to the next, and a fresh start costs 0.5 s. */
const pure = { include: ['test/shared/**/*.test.ts'], isolate: false };

export default defineConfig({
  test: {
    allowOnly: false,
    projects: [
      {
        test: { ...pure, name: 'shared-node' },
      },
      {
        plugins: [cloudflareTest({ miniflare: bareWorker })],
        test: { ...pure, name: 'shared-workerd' },
      },
      {
        plugins: [cloudflareTest(edgeWorker)],
        test: { name: 'edge', include: ['test/edge/**/*.test.ts'] },
      },
      {
        test: {
          name: 'node',
          include: ['test/{agent,cli,contract,world}/**/*.test.ts', 'test/tidy.test.ts'],
        },
      },
    ],
  },
});
