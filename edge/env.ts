// What the edge Worker is given by its configuration, and the ports its loops run on. Everything
// that touches the world outside goes through `EdgePorts`, so that a simulation can run the same
// code.

import type { Crypto } from '../shared/crypto.ts';
import type { EdgeStore } from './store/worker.ts';

export interface EdgeEnv {
  /** The pinned trust document, as signed: the first, or a later one (C5). */
  readonly TRUST: string;
  readonly DECISION_LOG: 'all' | 'refused' | 'none';
  /** Origins of gateways, as a JSON list: where an isolate without state asks when stores fail. */
  readonly GATEWAYS?: unknown;
  readonly EDGE_STORE_ENAM: DurableObjectNamespace<EdgeStore>;
  readonly EDGE_STORE_WEUR: DurableObjectNamespace<EdgeStore>;
  readonly EDGE_STORE_APAC: DurableObjectNamespace<EdgeStore>;
}

/** One edge store, as the edge Worker reaches it. Rejects when it cannot be reached. */
export interface StorePort {
  readonly id: string;
  ingest(delta: string): Promise<string>;
  head(): Promise<string>;
  piece(digest: string): Promise<string | null>;
}

/** The Cache API of this location. What it returns is as untrusted as any network. */
export interface CachePort {
  get(key: string): Promise<string | null>;
  put(key: string, text: string, lifeS: number): Promise<void>;
}

export interface EdgePorts {
  readonly nowMs: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly crypto: Crypto;
  readonly cache: CachePort;
  /** In the order in which this location asks them. */
  readonly stores: readonly StorePort[];
  /** Origins of gateways as configured: for an isolate that holds no state to read them from. */
  readonly gateways: () => readonly string[];
  /** The one way to a gateway (E7). Rejects when no response headers came. */
  readonly send: (request: Request) => Promise<Response>;
  /** Rejects with the reason given after `ms`; used to bound waits. */
  readonly timeout: (ms: number, reason: string) => Promise<never>;
  /** Keeps the isolate alive for work that no answer waits for. */
  readonly background: (work: Promise<unknown>) => void;
  /** One JSON line. */
  readonly log: (line: object) => void;
  readonly logDecisions: EdgeEnv['DECISION_LOG'];
}
