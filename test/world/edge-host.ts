// The edge of a world: one local runtime a location and one a store, in one process.
//
// A location is an instance of its own because that is what makes it one: its own isolates, its own
// cache, its own address, and it can be stopped alone. So is a store, because an object lives in a
// place of its own in production, whose loss the others outlive; each is the same Worker under a
// name of its own, which all locations find through a registry folder. Nothing here knows what the
// Workers do.
//
// Started as: edge-host.ts INPUT.json (`EdgeHostInput`). Announces {"ready": {"edges": {id: url}}},
// obeys `EdgeCommand` lines on stdin in order, ends when stdin closes. In its folder:
// `<location>.log` and `store-<id>.log` (what the Workers print, one JSON object a line),
// `<location>/` (its cache), `store-<id>/` (the SQLite file of the object `<id>`).
//
// What a scenario may do from outside the product:
// - alter rows: open the file that `storeFile` names with node:sqlite. Write-ahead logging and file
//   locks hold across processes, so this is safe while the store runs; but a write that meets the
//   object's own fails one of the two with SQLITE_BUSY, so keep it to one short statement, or stop
//   the store first. What an object holds in memory it reads again after `evict`.
// - alter a cache: `cacheGet` and `cachePut` work on the entries that the Worker's Cache API sees.

import { createHash, createHmac } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Response } from 'miniflare';
import { Instance, type Vars, type WorkerOptions, workerOptions } from './edge-instance.ts';
import { EdgeRegistry } from './edge-registry.ts';

export type EdgeHostInput = {
  readonly locations: readonly { readonly id: string; readonly vars: Vars }[];
  readonly storeVars: Vars;
  /** Files as `bundleWorker` makes them. */
  readonly bundles: { readonly edge: string; readonly store: string };
  readonly folder: string;
  /**
   * The world's authority; NODE_EXTRA_CA_CERTS must name it too, the runtime reads it on import.
   */
  readonly caFile: string;
};

export type CacheEntry = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBase64: string;
};

type CacheKey = { readonly location: string; readonly url: string; readonly cacheName?: string };

/**
 * To `stop` and `start` are locations, by their id, and stores, as `store-<id>`. Each command is
 * answered: {"answer": ask, "value"}.
 */
export type EdgeCommand = { readonly ask: number } & (
  | { readonly stop: string }
  /**
   * Value {url}: the same as before. The location's cache and the objects' rows are as they were;
   * `vars` are set beside those that it had.
   */
  | { readonly start: string; readonly vars?: Vars }
  /** The entry needs a cache-control that allows storing. */
  | { readonly cachePut: CacheKey & CacheEntry }
  /** Value: a CacheEntry, or null. */
  | { readonly cacheGet: CacheKey }
  /** Drops every entry of the default cache. */
  | { readonly cachePurge: { readonly location: string } }
  /** Drops an object, by its name, from memory: its next call constructs it from its rows. */
  | { readonly evict: string }
  /** Value: the path of an object's SQLite file, by the object's name. */
  | { readonly storeFile: string }
  /** A location's way to all stores; what it holds stays as it is. */
  | { readonly cutStores: string }
  | { readonly healStores: string }
);

/** Names of the objects, as edge/control/stores.ts gives them. */
export const STORES = ['enam', 'weur', 'apac'] as const;

const STORE_CLASS = 'EdgeStore';

class EdgeHost {
  readonly #folder: string;
  readonly #registry: EdgeRegistry;
  readonly #instances: ReadonlyMap<string, Instance>;

  constructor(input: EdgeHostInput) {
    const { folder } = input;
    const registry = new EdgeRegistry(folder);
    this.#folder = folder;
    this.#registry = registry;
    const stores = STORES.map(
      (id) => new Instance(instanceOf(id), folder, storeWorker(id, input), registry.stores),
    );
    const edges = input.locations.map(
      ({ id, vars }) => new Instance(id, folder, edgeWorker(input, vars), registry.of(id)),
    );
    this.#instances = new Map([...stores, ...edges].map((instance) => [instance.id, instance]));
  }

  /** The stores first, so that no location sees an empty registry. */
  async start(): Promise<Readonly<Record<string, string>>> {
    await Promise.all(STORES.map((id) => this.#instance(instanceOf(id)).start()));
    const stores = new Set(STORES.map(instanceOf));
    const edges = [...this.#instances.values()].filter(({ id }) => !stores.has(id));
    const urls = await Promise.all(
      edges.map(async (edge) => [edge.id, await edge.start()] as const),
    );
    return Object.fromEntries(urls);
  }

  async stop(): Promise<void> {
    await Promise.allSettled([...this.#instances.values()].map((instance) => instance.stop()));
  }

  async obey(command: EdgeCommand): Promise<unknown> {
    if ('stop' in command) return this.#instance(command.stop).stop();
    if ('start' in command) {
      return { url: await this.#instance(command.start).start(command.vars) };
    }
    if ('cachePut' in command) return this.#cachePut(command.cachePut);
    if ('cacheGet' in command) return this.#cacheGet(command.cacheGet);
    if ('cachePurge' in command) {
      return this.#instance(command.cachePurge.location).running.purgeCache();
    }
    if ('evict' in command) {
      const { evict: name } = command;
      const { running } = this.#instance(instanceOf(name));
      return running.unsafeEvictDurableObject(workerOf(name), STORE_CLASS, { name });
    }
    if ('cutStores' in command) return this.#registry.cut(command.cutStores, true);
    if ('healStores' in command) return this.#registry.cut(command.healStores, false);
    if ('storeFile' in command) return storeFile(this.#folder, command.storeFile);
    throw new Error('no such command');
  }

  #instance(id: string): Instance {
    const instance = this.#instances.get(id);
    if (instance === undefined) throw new Error(`no location or store ${id}`);
    return instance;
  }

  async #cache({ location, cacheName }: CacheKey) {
    const caches = await this.#instance(location).running.getCaches();
    return cacheName === undefined ? caches.default : caches.open(cacheName);
  }

  async #cachePut(entry: CacheKey & CacheEntry): Promise<void> {
    const body = Buffer.from(entry.bodyBase64, 'base64');
    const response = new Response(body, { status: entry.status, headers: entry.headers });
    const cache = await this.#cache(entry);
    await cache.put(entry.url, response as unknown as Parameters<typeof cache.put>[1]);
  }

  async #cacheGet(key: CacheKey): Promise<CacheEntry | null> {
    const found = await (await this.#cache(key)).match(key.url);
    if (found === undefined) return null;
    const body = Buffer.from(await found.arrayBuffer());
    const headers = Object.fromEntries(found.headers as unknown as Iterable<[string, string]>);
    return { status: found.status, headers, bodyBase64: body.toString('base64') };
  }
}

function instanceOf(store: string): string {
  return `store-${store}`;
}

/** In production all objects are of one Worker; here each store's can be stopped alone. */
function workerOf(store: string): string {
  return `portolan-store-${store}`;
}

function storeWorker(id: string, input: EdgeHostInput): WorkerOptions {
  const { config, dev } = workerOptions(workerOf(id), input.bundles.store, input.storeVars);
  const exports = { [STORE_CLASS]: { type: 'durable-object', storage: 'sqlite' } } as const;
  return { config: { ...config, exports }, dev: { ...dev, unsafeRegisterWorker: true } };
}

function edgeWorker(input: EdgeHostInput, vars: Vars): WorkerOptions {
  const stores = Object.fromEntries(
    STORES.map((id) => {
      const worker = workerOf(id);
      const store = { type: 'durable-object', worker, exportName: STORE_CLASS } as const;
      return [`EDGE_STORE_${id.toUpperCase()}`, store];
    }),
  );
  const { config, dev } = workerOptions('portolan-edge', input.bundles.edge, vars);
  return { config: { ...config, env: { ...config.env, ...stores } }, dev };
}

/**
 * The runtime names an object's file by its id; this is how it derives the id from the object's
 * name.
 */
function storeFile(folder: string, object: string): string {
  const namespace = `${workerOf(object)}-${STORE_CLASS}`;
  const key = createHash('sha256').update(namespace).digest();
  const half = createHmac('sha256', key).update(object).digest().subarray(0, 16);
  const mac = createHmac('sha256', key).update(half).digest().subarray(0, 16);
  const id = Buffer.concat([half, mac]).toString('hex');
  return join(folder, instanceOf(object), 'do', namespace, `${id}.sqlite`);
}

async function main(inputFile: string): Promise<void> {
  const input = JSON.parse(readFileSync(inputFile, 'utf8')) as EdgeHostInput;
  if (process.env['NODE_EXTRA_CA_CERTS'] !== input.caFile) {
    throw new Error(`NODE_EXTRA_CA_CERTS must be ${input.caFile} from the start of the process`);
  }
  mkdirSync(input.folder, { recursive: true });
  const host = new EdgeHost(input);
  // Already while starting: a world that is ended early must not wait for its start.
  const commands = createInterface({ input: process.stdin });
  commands.once('close', async () => {
    await host.stop();
    process.exit(0);
  });
  let last = host.start().then((edges) => say({ ready: { edges } }));
  commands.on('line', (line) => {
    last = last.then(() => answer(host, JSON.parse(line) as EdgeCommand));
  });
  await last;
}

async function answer(host: EdgeHost, command: EdgeCommand): Promise<void> {
  try {
    say({ answer: command.ask, value: await host.obey(command) });
  } catch (error) {
    say({ answer: command.ask, error: String(error) });
  }
}

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

if (import.meta.main) await main(process.argv[2] ?? '');
