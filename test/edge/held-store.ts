// A store on the real storage of a Durable Object, with everything else in the test's hand. Each
// test names an object of its own, so that none finds another's rows.

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { type ReceiptRow, Rows } from '../../edge/store/rows.ts';
import { Store, type StorePorts } from '../../edge/store/store.ts';
import type { StoreAnswer } from '../../shared/control/answer.ts';
import { type Receipt, receiptSchema } from '../../shared/control/receipt.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { COMMITS_PER_DELTA_MAX } from '../../shared/limits.ts';
import { crypto, keyNamed } from '../shared/kit.ts';
import { type Carried, NOW, sealed } from './origin.ts';

export const STORE_ID = 'weur';

export const edgeKey = keyNamed('edge');

let objects = 0;

/** Runs `work` with the storage of an object that nobody has used. */
export function inNewObject<T>(work: (storage: DurableObjectStorage) => Promise<T>): Promise<T> {
  objects += 1;
  const stub = env.EDGE_STORE_WEUR.getByName(`object ${objects}`);
  return runInDurableObject(stub, (_, state) => work(state.storage));
}

export class HeldStore {
  readonly ports: StorePorts;
  readonly lines: { readonly alarm?: string; readonly action?: string }[] = [];
  readonly #trust: Trust;
  nowMs = NOW;
  store: Store | null = null;

  constructor(storage: DurableObjectStorage, trust: Trust) {
    this.#trust = trust;
    this.ports = {
      nowMs: () => this.nowMs,
      crypto,
      rows: new Rows(storage),
      signers: [edgeKey],
      log: (line) => {
        this.lines.push(line);
      },
    };
  }

  static async open(storage: DurableObjectStorage, trust: Trust): Promise<HeldStore> {
    const held = new HeldStore(storage, trust);
    await held.open();
    return held;
  }

  /** Opens what the rows hold, as after an eviction. */
  async open(): Promise<void> {
    this.store = await Store.open(STORE_ID, this.#trust, this.ports);
  }

  get running(): Store {
    if (this.store === null) throw new Error('the store is not open');
    return this.store;
  }

  async take(carried: Carried): Promise<StoreAnswer> {
    return this.running.ingest(await sealed(carried));
  }

  /** As many deltas as it takes. */
  async takeAll(commits: readonly unknown[]): Promise<StoreAnswer> {
    for (let at = 0; at < commits.length; at += COMMITS_PER_DELTA_MAX) {
      await this.take({ commits: commits.slice(at, at + COMMITS_PER_DELTA_MAX) });
    }
    return this.take({});
  }

  alarms(): readonly (string | undefined)[] {
    return this.lines.map(({ alarm }) => alarm);
  }
}

/** A store that has just been opened on rows that nobody has used. */
export function withStore<T>(
  trust: Trust,
  work: (held: HeldStore, storage: DurableObjectStorage) => Promise<T>,
): Promise<T> {
  return inNewObject(async (storage) => work(await HeldStore.open(storage, trust), storage));
}

/** What an answer says, in short: `head/floor refused`. */
export function brief({ head, floor, refused, code }: StoreAnswer): string {
  const codes = [...refused, ...(code === undefined ? [] : [`(${code})`])];
  return [`${head?.version ?? '-'}/${floor?.version ?? '-'}`, ...codes].join(' ');
}

export type Dump = Readonly<Record<'commits' | 'pieces' | 'floor', readonly object[]>>;

/** Everything that the rows hold but receipts, which tell of what was done and not of what is. */
export function dump(storage: DurableObjectStorage): Dump {
  const all = (table: string, key: string) =>
    storage.sql.exec(`SELECT * FROM ${table} ORDER BY ${key}`).toArray();
  return {
    commits: all('commits', 'version'),
    pieces: all('pieces', 'digest'),
    floor: all('floor', 'one'),
  };
}

/** The same storage, whose `n`-th statement from now on fails as a full or broken disk does. */
export function failing(storage: DurableObjectStorage): {
  readonly storage: DurableObjectStorage;
  failAt: number | null;
  statements: number;
} {
  const fault = {
    failAt: null as number | null,
    statements: 0,
    storage: {
      sql: {
        exec(query: string, ...values: unknown[]) {
          fault.statements += 1;
          if (fault.statements === fault.failAt) throw new Error('disk I/O error');
          return storage.sql.exec(query, ...values);
        },
      },
      transactionSync: <T>(work: () => T) => storage.transactionSync(work),
    } as unknown as DurableObjectStorage,
  };
  return fault;
}

/** The receipts in the rows: what each says, and whether it was signed. */
export function receiptsIn(storage: DurableObjectStorage): readonly {
  readonly says: Receipt;
  readonly isSigned: boolean;
}[] {
  return storage.sql
    .exec<ReceiptRow>('SELECT * FROM receipts ORDER BY seq')
    .toArray()
    .map(({ body, jws }) => ({
      says: receiptSchema.parse(JSON.parse(body)),
      isSigned: jws !== null,
    }));
}
