// The Workers as they would be deployed: bundled offline by wrangler itself (`deploy --dry-run`).
//
// World and benchmark run these very bytes, so a module that only works unbundled, or a setting
// that wrangler refuses, shows here and not in production. A bundle is kept under a digest of
// everything that decides it; when nothing changed, a world starts without wrangler. Wrangler gets
// a home of its own in the cache: it must neither read an operator's login nor leave files in the
// home folder, and it must ask the network for nothing.

import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js');
const CACHE = join(ROOT, 'node_modules/.cache/portolan/bundles');

const DEADLINE_MS = 60_000;
const OUTPUT_BYTES = 1024 * 1024;
/** Enough for two Workers on a few branches; the oldest go first. */
const KEPT_BUNDLES = 12;
/** Not sources, though they lie among them. */
const SKIPPED = new Set(['node_modules', '.wrangler']);

export type Bundle = {
  /** Its file name, as wrangler chose it. */
  readonly mainModule: string;
  readonly contents: string;
  /** From the configuration: the runtime is started with the same. */
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
};

export type BundleOrder = {
  /** The Worker's wrangler.toml. */
  readonly config: string;
  /** Files and folders whose bytes decide the outcome; the configuration is always one of them. */
  readonly inputs: readonly string[];
  readonly cache?: string;
};

export type Bundled = {
  readonly bundle: Bundle;
  /** Where it lies as JSON, for another process to read. */
  readonly file: string;
};

/** Both Workers of the product, at the same time. */
export async function bundleProduct(): Promise<{
  readonly edge: Bundled;
  readonly store: Bundled;
}> {
  const inputs = ['edge', 'shared', 'package-lock.json'].map((name) => join(ROOT, name));
  const [edge, store] = await Promise.all([
    bundleWorker({ config: join(ROOT, 'wrangler.toml'), inputs }),
    bundleWorker({ config: join(ROOT, 'edge/store/wrangler.toml'), inputs }),
  ]);
  return { edge, store };
}

/** Rejects with all that wrangler printed when it refuses. */
export async function bundleWorker(order: BundleOrder): Promise<Bundled> {
  const cache = order.cache ?? CACHE;
  const config = resolve(order.config);
  const file = join(cache, `${await digest([config, ...order.inputs])}.json`);
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept !== undefined) return { bundle: JSON.parse(kept) as Bundle, file };
  const working = `${file}.${randomUUID()}`;
  try {
    await runWrangler(config, working, cache);
    const bundle = { ...(await readMain(working)), ...(await readCompatibility(config)) };
    await writeFile(join(working, 'bundle.json'), JSON.stringify(bundle));
    await rename(join(working, 'bundle.json'), file); // whole or absent, also for a second world
    await forgetOldest(cache);
    return { bundle, file };
  } finally {
    await rm(working, { recursive: true, force: true });
  }
}

async function runWrangler(config: string, outdir: string, cache: string): Promise<void> {
  const home = join(cache, 'home');
  await mkdir(home, { recursive: true });
  const args = [WRANGLER, 'deploy', '--dry-run', '--config', config, '--outdir', outdir];
  const options = {
    cwd: dirname(config),
    timeout: DEADLINE_MS,
    maxBuffer: OUTPUT_BYTES,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      XDG_CONFIG_HOME: home,
      WRANGLER_LOG_PATH: home,
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_SEND_ERROR_REPORTS: 'false',
      WRANGLER_HIDE_BANNER: 'true', // the banner comes with a look for a newer version
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      NO_COLOR: '1',
    },
  };
  try {
    await promisify(execFile)(process.execPath, [...args, '--autoconfig=false'], options);
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    const said = `${stdout ?? ''}${stderr ?? ''}`.trim();
    throw new Error(`wrangler refused ${config}:\n${said}`, { cause: error });
  }
}

/**
 * The one module of the bundle; another (wasm, text) would need a place in the runtime's options
 * first.
 */
async function readMain(outdir: string): Promise<Pick<Bundle, 'mainModule' | 'contents'>> {
  const extra = (name: string) => !name.endsWith('.map') && name !== 'README.md';
  const [mainModule, ...others] = (await readdir(outdir)).filter(extra);
  if (mainModule === undefined || others.length > 0 || !mainModule.endsWith('.js')) {
    throw new Error(`one module was expected in the bundle: ${[mainModule, ...others]}`);
  }
  return { mainModule, contents: await readFile(join(outdir, mainModule), 'utf8') };
}

/**
 * The two settings that change what the runtime does, read from the top level of the configuration.
 */
async function readCompatibility(
  config: string,
): Promise<Pick<Bundle, 'compatibilityDate' | 'compatibilityFlags'>> {
  const toml = await readFile(config, 'utf8');
  const date = /^compatibility_date\s*=\s*["'](\d{4}-\d{2}-\d{2})["']/m.exec(toml)?.[1];
  if (date === undefined) throw new Error(`no compatibility_date in ${config}`);
  const flags = /^compatibility_flags\s*=\s*\[([^\]]*)\]/m.exec(toml)?.[1] ?? '';
  const compatibilityFlags = [...flags.matchAll(/["']([^"']+)["']/g)].map(
    (match) => match[1] ?? '',
  );
  return { compatibilityDate: date, compatibilityFlags };
}

async function digest(inputs: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const input of inputs) {
    const files = (await stat(input)).isDirectory() ? await filesUnder(input) : [input];
    for (const file of files) {
      const bytes = await readFile(file);
      // Lengths, so that no two different trees hash the same bytes.
      hash.update(`${relative(dirname(input), file)}\0${bytes.byteLength}\0`).update(bytes);
    }
  }
  return hash.digest('hex');
}

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (SKIPPED.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await filesUnder(path)));
    else found.push(path);
  }
  return found;
}

async function forgetOldest(cache: string): Promise<void> {
  const names = (await readdir(cache)).filter((name) => name.endsWith('.json'));
  const files = names.map((name) => join(cache, basename(name)));
  const aged = await Promise.all(
    files.map(async (file) => ({ file, atMs: (await stat(file)).mtimeMs })),
  );
  const oldest = aged.sort((a, b) => b.atMs - a.atMs).slice(KEPT_BUNDLES);
  await Promise.all(oldest.map(({ file }) => rm(file, { force: true })));
}
