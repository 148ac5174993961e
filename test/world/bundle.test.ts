import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type BundleOrder, bundleWorker } from './bundle.ts';

// Longer than the deadlines within: what was waited for should be the message on a slow machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

let folder: string;
let order: BundleOrder;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portolan-bundle-'));
  const config = join(folder, 'wrangler.toml');
  await writeFile(
    config,
    `name = "stand-in"
main = "worker.ts"
compatibility_date = "2026-11-01"
compatibility_flags = [
  "nodejs_compat",
]
`,
  );
  await writeFile(join(folder, 'answer.ts'), `export const answer: string = 'one';`);
  await writeFile(
    join(folder, 'worker.ts'),
    `import { answer } from './answer.ts';
     export default { fetch: (): Response => new Response(answer) };`,
  );
  const inputs = ['worker.ts', 'answer.ts'].map((name) => join(folder, name));
  order = { config, inputs, cache: join(folder, 'cache') };
});

afterEach(() => rm(folder, { recursive: true }));

test('a Worker and what it imports become one module, once for the same bytes', async () => {
  const first = await bundleWorker(order);
  expect(first.bundle).toMatchObject({
    mainModule: 'worker.js',
    compatibilityDate: '2026-11-01',
    compatibilityFlags: ['nodejs_compat'],
  });
  expect(first.bundle.contents).toContain('"one"');
  const { mtimeMs } = await stat(first.file);
  expect(await bundleWorker(order)).toEqual(first);
  expect((await stat(first.file)).mtimeMs).toBe(mtimeMs);

  await writeFile(join(folder, 'answer.ts'), `export const answer: string = 'two';`);
  const second = await bundleWorker(order);
  expect(second.file).not.toBe(first.file);
  expect(second.bundle.contents).toContain('"two"');
});

test('two that bundle the same at once both have it', async () => {
  const [one, other] = await Promise.all([bundleWorker(order), bundleWorker(order)]);
  expect(one).toEqual(other);
});

test('what wrangler said is in the error, and nothing is kept of what failed', async () => {
  await writeFile(join(folder, 'worker.ts'), `import './nowhere.ts';`);
  await expect(bundleWorker(order)).rejects.toThrow(/wrangler refused [\s\S]*nowhere\.ts/);
  expect(await readdir(join(folder, 'cache'))).toEqual(['home']);
});
