// Four projects: what `shared` decides is tested in Node and in workerd, with the same files; the
// edge in workerd; everything else in Node. Tests reach nothing outside the machine: a fetch that a
// test did not provide for is answered 599, and the tools' own look-ups are switched off.

import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { Response } from 'miniflare';
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
 * The Worker around edge tests. Its bindings belong here; the class of a Durable Object must be
 * exported by `main`: `{ main: './test/edge/main.ts', miniflare: { ...bareWorker, durableObjects:
 * { EDGE_STORE_WEUR: { className: 'EdgeStore', useSQLite: true } } } }`.
 */
const edgeWorker: PluginOptions = { miniflare: bareWorker };

export default defineConfig({
  test: {
    allowOnly: false,
    projects: [
      {
        test: { name: 'shared-node', include: ['test/shared/**/*.test.ts'] },
      },
      {
        plugins: [cloudflareTest({ miniflare: bareWorker })],
        test: { name: 'shared-workerd', include: ['test/shared/**/*.test.ts'] },
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
