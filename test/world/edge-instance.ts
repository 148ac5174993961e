// One instance of the local runtime, and how a bundled Worker is given to it.
//
// The only file that knows the runtime's options: they are those of a beta, pinned to the version
// that wrangler pins.

import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Log, LogLevel, Miniflare, type MiniflareOptions } from 'miniflare';
import type { Bundle } from './bundle.ts';

export type Vars = Readonly<Record<string, unknown>>;

export type WorkerOptions = MiniflareOptions['workers'][number];
type Env = NonNullable<WorkerOptions['config']['env']>;

/** The runtime's own complaints; stdout is the protocol's. */
class StderrLog extends Log {
  override log(message: string): void {
    process.stderr.write(`${message}\n`);
  }
}

/** One runtime instance that can be stopped and started again at the same address. */
export class Instance {
  readonly id: string;
  readonly #folder: string;
  #worker: WorkerOptions;
  readonly #registry: string;
  readonly #log: number;
  #runtime: Miniflare | null = null;
  /**
   * 0 until the kernel has chosen; afterwards what it chose, so that others' addresses stay right.
   */
  #port = 0;

  /** `registry`: the folder in which instances find one another. */
  constructor(id: string, folder: string, worker: WorkerOptions, registry: string) {
    this.id = id;
    this.#folder = folder;
    this.#worker = worker;
    this.#registry = registry;
    this.#log = openSync(join(folder, `${id}.log`), 'a');
  }

  get running(): Miniflare {
    if (this.#runtime === null) throw new Error(`${this.id} is stopped`);
    return this.#runtime;
  }

  /** `vars` are set, and stay so. */
  async start(vars: Vars = {}): Promise<string> {
    if (this.#runtime !== null) throw new Error(`${this.id} is running`);
    const { config } = this.#worker;
    this.#worker = {
      ...this.#worker,
      config: { ...config, env: { ...config.env, ...envOf(vars) } },
    };
    const runtime = new Miniflare({
      host: '127.0.0.1',
      port: this.#port,
      cf: {}, // a request that brings no MF-CF-Blob must look as bare as it is
      log: new StderrLog(LogLevel.WARN),
      logRequests: false,
      verbose: true, // or an exception that a Worker let through would be in no log
      telemetry: { enabled: false },
      handleStructuredLogs: ({ level, message }) => this.#print(level, message),
      resourcePersistencePath: join(this.#folder, this.id),
      unsafeDevRegistryPath: this.#registry,
      workers: [this.#worker],
    });
    this.#runtime = runtime;
    try {
      const url = await runtime.ready;
      this.#port = Number(url.port);
      return url.origin;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const { running } = this;
    this.#runtime = null;
    await running.dispose();
  }

  /**
   * A Worker's JSON line stays as it is; anything else is wrapped, so that the file is JSON
   * throughout.
   */
  #print(level: string, message: string): void {
    const line = isJsonLine(message) ? message : JSON.stringify({ level, message });
    writeSync(this.#log, `${line}\n`);
  }
}

/** The options of one Worker, from the bundle that `bundleWorker` wrote to `file`. */
export function workerOptions(name: string, file: string, vars: Vars): WorkerOptions {
  const bundle = JSON.parse(readFileSync(file, 'utf8')) as Bundle;
  const modules = { [bundle.mainModule]: { type: 'esm', contents: bundle.contents } } as const;
  return {
    config: {
      name,
      compatibilityDate: bundle.compatibilityDate,
      compatibilityFlags: [...bundle.compatibilityFlags],
      manifest: { mainModule: bundle.mainModule, modules },
      env: envOf(vars),
    },
    // Locations have one Worker's name: in the registry they would overwrite each other.
    dev: { unsafeRegisterWorker: false },
  };
}

/** Texts as `[vars]` texts, anything else as JSON, as wrangler does. */
function envOf(vars: Vars): Env {
  const bindings = Object.entries(vars).map(([name, value]) => [
    name,
    typeof value === 'string' ? { type: 'text', value } : { type: 'json', value },
  ]);
  return Object.fromEntries(bindings) as Env;
}

function isJsonLine(message: string): boolean {
  if (!message.startsWith('{') || message.includes('\n')) return false;
  try {
    JSON.parse(message);
    return true;
  } catch {
    return false;
  }
}
