// The style test (STYLE 16): reads the repository and says, with the replacement, what does not
// belong. Beside each rule stand deliberate faults that it must find and look-alikes that it must
// leave alone.

import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { deadFiles } from './tidy/dead-files.ts';
import {
  looseVersions,
  missingPlatforms,
  namedRegistries,
  secondRuntimes,
} from './tidy/dependencies.ts';
import { missingPages, unexplainedLimits } from './tidy/documents.ts';
import { inerasable } from './tidy/erasable.ts';
import { bannedEtcd, etcdElsewhere } from './tidy/etcd.ts';
import { failOpen, strayFetches } from './tidy/fetches.ts';
import { everyFile, type Source, show, type TreeCheck } from './tidy/finding.ts';
import { crossedLayers } from './tidy/imports.ts';
import { emptyNames, longFiles, longLines, unusualNames } from './tidy/layout.ts';
import { hiddenInputs } from './tidy/purity.ts';
import { readRepository, walk } from './tidy/repository.ts';
import { leftOutTests, sleeps } from './tidy/tests.ts';

type Sample = readonly [path: string, text: string];

const root = dirname(import.meta.dirname);
const repository = readRepository(root);

/** Two tests: the repository keeps the rule; each fault alone breaks it and no look-alike does. */
function rule(
  name: string,
  check: TreeCheck,
  samples: { readonly faults: readonly Sample[]; readonly fine: readonly Sample[] },
): void {
  test(name, () => {
    expect(show(check(repository))).toBe('');
  });
  test(`${name}: a fault is found`, () => {
    for (const sample of samples.faults) {
      expect(check([file(sample)]).length, sample.join(': ')).toBeGreaterThan(0);
    }
    for (const sample of samples.fine) {
      expect(show(check([file(sample)])), sample.join(': ')).toBe('');
    }
  });
}

function file([path, text]: Sample): Source {
  return { path, text };
}

describe('layout', () => {
  rule('a line of code has at most 100 columns', everyFile(longLines), {
    faults: [
      ['shared/a.ts', `// ${'x'.repeat(98)}`],
      ['test/a.mjs', `\n${'x'.repeat(101)}\n`],
    ],
    fine: [
      ['shared/a.ts', `// ${'x'.repeat(97)}`],
      ['shared/a.ts', '// 100 signs, not bytes: '.padEnd(100, 'é')],
      ['README.md', 'x'.repeat(300)],
    ],
  });

  rule('a file has at most 400 lines', everyFile(longFiles), {
    faults: [['agent/a.ts', '//\n'.repeat(401)]],
    fine: [
      ['agent/a.ts', '//\n'.repeat(400)],
      ['package-lock.json', '\n'.repeat(500)],
    ],
  });

  rule('a name says what it holds', everyFile(emptyNames), {
    faults: [
      ['shared/control/index.ts', ''],
      ['agent/utils/time.ts', ''],
      ['edge/helpers.ts', ''],
      ['test/common/world.ts', ''],
      ['agent/services/a.ts', ''],
    ],
    fine: [
      ['shared/control/merkle-index.ts', ''],
      ['docs/index.md', ''],
      ['agent/gateway/service.ts', ''],
    ],
  });

  rule('names are in kebab-case', everyFile(unusualNames), {
    faults: [
      ['shared/control/merkleMap.ts', ''],
      ['shared/Control/map.ts', ''],
      ['test/vectors/JCS.json', ''],
      ['agent/a_b.ts', ''],
    ],
    fine: [
      ['shared/control/merkle-map.ts', ''],
      ['test/edge/ingest.test.ts', ''],
      ['vitest.config.ts', ''],
      ['test/world/README.md', ''],
      ['CONTRIBUTING.md', ''],
    ],
  });
});

describe('layers', () => {
  rule('shared, edge and agent import only what their layer may', everyFile(crossedLayers), {
    faults: [
      ['shared/control/a.ts', "import { run } from '../../agent/loop.ts';"],
      ['shared/control/a.ts', "export { run } from '../../edge/worker.ts';"],
      ['shared/control/a.ts', "import type { Stats } from 'node:fs';"],
      ['shared/control/a.ts', "type S = import('node:fs').Stats;"],
      ['edge/control/a.ts', "const a = await import('../../agent/main.ts');"],
      ['edge/control/a.ts', "import { request } from 'node:https';"],
      ['edge/control/a.ts', "import { connect } from 'cloudflare:sockets';"],
      ['agent/a.ts', "import type { Env } from '../edge/env.ts';"],
      ['agent/cli/a.ts', "new URL('../../edge/worker.ts', import.meta.url);"],
      ['agent/a.ts', "import { wait } from '../test/world/wait.ts';"],
    ],
    fine: [
      ['shared/control/a.ts', "import { assert } from '../assert.ts';"],
      ['shared/control/a.ts', "import canonicalize from 'canonicalize';"],
      ['shared/control/a.ts', "// import '../../agent/loop.ts'"],
      ['edge/control/a.ts', "import { fold } from '../../shared/control/fold.ts';"],
      ['edge/store/a.ts', "import { DurableObject } from 'cloudflare:workers';"],
      ['agent/a.ts', "import { readFile } from 'node:fs/promises';"],
      ['test/edge/a.ts', "import worker from '../../edge/worker.ts';"],
    ],
  });

  rule('shared has no clock and no die', everyFile(hiddenInputs), {
    faults: [
      ['shared/a.ts', 'const nowMs = Date.now();'],
      ['shared/a.ts', 'const day = new Date(0);'],
      ['shared/a.ts', 'const clock = Date;'],
      ['shared/a.ts', 'const ms = performance.now();'],
      ['shared/a.ts', 'const die = Math.random();'],
      ['shared/a.ts', "const die = Math['random'];"],
      ['shared/a.ts', 'const { random } = Math;'],
    ],
    fine: [
      ['shared/a.ts', 'const most = Math.max(1, 2);'],
      ['shared/a.ts', 'const issued = { Date: 1 }; // Date.now() would be wrong'],
      ['shared/a.ts', "const text = 'Math.random()';"],
      ['agent/a.ts', 'const nowMs = Date.now();'],
    ],
  });
});

describe('the edge (E7)', () => {
  rule('only edge/steering/forward.ts fetches', everyFile(strayFetches), {
    faults: [
      ['edge/control/refresh.ts', "await fetch('https://a.example/');"],
      ['edge/control/refresh.ts', "await globalThis.fetch('https://a.example/');"],
      ['edge/control/refresh.ts', "await globalThis['fetch']('https://a.example/');"],
      ['edge/control/refresh.ts', "await self.fetch('https://a.example/');"],
      ['edge/control/refresh.ts', 'const f = fetch;'],
      ['edge/control/refresh.ts', 'const { fetch: f } = globalThis;'],
      ['edge/control/refresh.ts', 'refresh({ fetch });'],
      ['edge/control/refresh.ts', 'refresh(fetch.bind(null));'],
      ['edge/control/refresh.ts', 'const world = globalThis;'],
      ['edge/control/refresh.ts', 'await env.STORE.getByName(name).fetch(request);'],
      ['edge/control/refresh.ts', "await stub['fetch'](request);"],
      ['edge/control/refresh.ts', 'const send = stub.fetch;'],
      ['edge/control/refresh.ts', 'await stub?.fetch(request);'],
      ['edge/worker.ts', 'export default { fetch };'],
    ],
    fine: [
      ['edge/steering/forward.ts', "await fetch(url, { cache: 'no-store', redirect: 'manual' });"],
      ['edge/worker.ts', 'export default { fetch(request: Request) { return answer(request); } };'],
      ['edge/worker.ts', 'export default { fetch: app.fetch };'],
      ['edge/worker.ts', 'export default { fetch: (request: Request) => app.fetch(request) };'],
      ['edge/store/store.ts', 'class Store { fetch(): Response { return new Response(null); } }'],
      ['edge/control/refresh.ts', 'interface Ports { readonly send: typeof fetch }'],
      ['edge/control/refresh.ts', "// fetch( is said here, and here: 'fetch('"],
      ['agent/control/publish.ts', "await fetch('https://edge.example/');"],
    ],
  });

  rule('no Worker fails open', everyFile(failOpen), {
    faults: [
      ['edge/worker.ts', 'ctx.passThroughOnException();'],
      ['edge/worker.ts', "ctx['passThroughOnException']();"],
      ['edge/worker.ts', 'const { passThroughOnException } = ctx;'],
    ],
    fine: [['edge/worker.ts', '// never ctx.passThroughOnException()']],
  });
});

describe('etcd (DESIGN 4)', () => {
  rule('only the adapter knows etcd3', everyFile(etcdElsewhere), {
    faults: [
      ['agent/control/follow.ts', "import { Etcd3 } from 'etcd3';"],
      ['test/world/etcd.ts', "const { Etcd3 } = await import('etcd3');"],
    ],
    fine: [['agent/adapters/etcd.ts', "import { Etcd3 } from 'etcd3';"]],
  });

  rule('the adapter keeps to the half that loses nothing', everyFile(bannedEtcd), {
    faults: [
      ['agent/adapters/etcd.ts', 'client.watch().prefix(prefix).create();'],
      ['agent/adapters/etcd.ts', "client.lock('a');"],
      ['agent/adapters/etcd.ts', "client.election('a');"],
      ['agent/adapters/etcd.ts', 'client.lease(10);'],
    ],
    fine: [
      ['agent/adapters/etcd.ts', 'await this.#client.watchClient.watch();'],
      ['agent/adapters/etcd.ts', 'await watchClient.watch();'],
      ['agent/adapters/files.ts', 'watch(folder); fs.watch(folder);'],
    ],
  });
});

describe('language', () => {
  rule('types can be erased', everyFile(inerasable), {
    faults: [
      ['shared/a.ts', 'enum State { Up }'],
      ['shared/a.ts', 'export const enum State { Up }'],
      ['shared/a.ts', 'namespace State { export const up = 1; }'],
      ['shared/a.ts', 'class A { constructor(private readonly b: number) {} }'],
    ],
    fine: [
      ['shared/a.ts', "const text = 'enum State {}'; // namespace A {}"],
      ['shared/a.ts', 'class A { readonly #b: number; constructor(b: number) { this.#b = b; } }'],
      ['edge/env.ts', 'declare global { namespace Cloudflare { interface Env { A: 1 } } }'],
      ['shared/platform.d.ts', 'declare namespace Web { class TextEncoder {} }'],
    ],
  });
});

describe('tests', () => {
  rule('every test runs', everyFile(leftOutTests), {
    faults: [
      ['test/shared/a.test.ts', "it.skip('a', () => {});"],
      ['test/shared/a.test.ts', "test.only('a', () => {});"],
      ['test/shared/a.test.ts', "describe.todo('a');"],
      ['test/shared/a.test.ts', "test.concurrent.skip('a', () => {});"],
      ['test/shared/a.test.ts', "test.skipIf(slow)('a', () => {});"],
    ],
    fine: [
      ['test/shared/a.test.ts', "test.each([1])('a', () => {});"],
      ['test/shared/a.test.ts', 'cursor.skip(1); // it.skip'],
    ],
  });

  rule('no test sleeps', everyFile(sleeps), {
    faults: [
      ['test/agent/a.test.ts', 'await new Promise((resolve) => setTimeout(resolve, 50));'],
      ['test/agent/a.test.ts', 'await new Promise<void>((done) => setTimeout(() => done(), 50));'],
      ['test/agent/a.test.ts', 'await new Promise((ok) => { setTimeout(() => { ok(1); }, 50); });'],
      ['test/agent/a.test.ts', 'const p = Promise.withResolvers(); setTimeout(p.resolve, 50);'],
      ['test/agent/a.test.ts', "import { setTimeout as sleep } from 'node:timers/promises';"],
    ],
    fine: [
      ['test/world/wait.ts', 'await new Promise((resolve) => setTimeout(resolve, 50));'],
      ['test/world/a.ts', 'setTimeout(() => child.kill(), 5_000);'],
      [
        'test/world/a.ts',
        "new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 9));",
      ],
    ],
  });
});

describe('dependencies', () => {
  rule('versions are exact', everyFile(looseVersions), {
    faults: [
      ['package.json', '{ "dependencies": { "hono": "^4.0.0" } }'],
      ['package.json', '{ "devDependencies": { "hono": "4" } }'],
      ['package.json', '{ "optionalDependencies": { "hono": "latest" } }'],
    ],
    fine: [['package.json', '{ "dependencies": { "miniflare": "5.20261102.0-beta" } }']],
  });

  rule('the lock file names no registry', everyFile(namedRegistries), {
    faults: [['package-lock.json', '{ "resolved": "https://registry.example/a.tgz" }']],
    fine: [['package-lock.json', '{ "resolved": "packages/a" }']],
  });

  rule('the lock file knows every platform', everyFile(missingPlatforms), {
    faults: [
      [
        'package-lock.json',
        '{"packages":{"node_modules/a":{"optionalDependencies":{"@a/darwin-arm64":"1.0.0"}}}}',
      ],
    ],
    fine: [
      [
        'package-lock.json',
        '{"packages":{"":{"optionalDependencies":{"@a/b":"1.0.0"}},"node_modules/@a/b":{}}}',
      ],
    ],
  });

  rule('there is one wrangler, one miniflare, one workerd', everyFile(secondRuntimes), {
    faults: [
      [
        'package-lock.json',
        '{"packages":{"node_modules/@cloudflare/vitest-plugin/node_modules/miniflare":{}}}',
      ],
    ],
    fine: [
      [
        'package-lock.json',
        '{"packages":{"node_modules/miniflare":{},"node_modules/miniflare/node_modules/zod":{}}}',
      ],
    ],
  });
});

describe('the whole', () => {
  rule('every source file is reached by a program', deadFiles, {
    faults: [['shared/control/forgotten.ts', 'export const a = 1;']],
    fine: [
      ['agent/main.ts', "import './loop.ts';"],
      ['test/shared/a.test.ts', "import '../../shared/control/forgotten.ts';"],
      ['shared/platform.d.ts', ''],
    ],
  });

  test('a file that only a test or a dead file imports is dead', () => {
    const files = [
      ['agent/main.ts', "import type { A } from '../shared/a.ts';"],
      ['shared/a.ts', "const b = await import('./b.ts');"],
      ['shared/b.ts', ''],
      ['shared/c.ts', "import './d.ts';"],
      ['shared/d.ts', ''],
      ['test/c.test.ts', "import '../shared/c.ts';"],
    ] satisfies Sample[];
    expect(deadFiles(files.map(file)).map(({ path }) => path)).toEqual([
      'shared/c.ts',
      'shared/d.ts',
    ]);
  });

  rule('every code of a refusal has a page', missingPages, {
    faults: [['shared/control/refusal.ts', "export type ControlCode = 'stale' | 'gap';"]],
    fine: [
      ['shared/control/refusal.ts', "export interface Refusal { readonly kind: 'refused' }"],
      ['shared/control/record.ts', "export type KindCode = 'site';"],
    ],
  });

  test('a page with the name of the code is the one that counts', () => {
    const refusal = "export type ControlCode = 'stale' | 'gap';";
    const files = [
      ['shared/control/refusal.ts', refusal],
      ['docs/codes/gap.md', ''],
    ] satisfies Sample[];
    expect(show(missingPages(files.map(file)))).toContain('write docs/codes/stale.md');
    expect(show(missingPages(files.map(file)))).not.toContain('gap.md');
  });

  rule('every limit has its reason', everyFile(unexplainedLimits), {
    faults: [
      ['shared/limits.ts', 'export const A_MAX = 1;'],
      ['shared/limits.ts', '/** Why. */\nexport const A_MAX = 1;\n\nexport const B_MAX = 2;'],
    ],
    fine: [
      ['shared/limits.ts', '// Why.\nexport const A_MAX = 1;'],
      ['shared/limits.ts', '/**\n * Why.\n */\nexport const A_MS = 1;\nexport const B_MS = 2;'],
    ],
  });
});

test('the files are the ones that are there', () => {
  const paths = repository.map(({ path }) => path);
  expect(paths).toContain('test/tidy.test.ts');
  expect(paths.filter((path) => path.startsWith('node_modules/'))).toEqual([]);
  expect(walk(root, '')).toEqual(expect.arrayContaining(paths));
});
