// The edge's surroundings as values: a clock that moves only when everything waits for it, a cache
// and stores that can be poisoned, broken or silent, and a record of what was asked of them.

import type { CachePort, EdgePorts, StorePort } from '../../edge/env.ts';
import { crypto } from '../shared/kit.ts';
import { NOW } from './origin.ts';

interface Timer {
  readonly atMs: number;
  readonly fire: () => void;
}

/** More than the longest run of promises that hand on to each other in one test. */
const TICKS = 2_000;

export class Clock {
  nowMs = NOW;
  readonly #timers: Timer[] = [];

  readonly timeout = (ms: number, reason: string): Promise<never> =>
    new Promise((_, reject) => {
      this.#timers.push({ atMs: this.nowMs + ms, fire: () => reject(new Error(reason)) });
    });

  /** What `work` comes to; time passes while it waits for nothing but time. */
  async run<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    work.then(done, done);
    for (;;) {
      for (let i = 0; i < TICKS && !settled; i++) await null;
      if (settled) return work;
      this.#timers.sort((a, b) => a.atMs - b.atMs);
      const next = this.#timers.shift();
      if (next === undefined) throw new Error('it waits for something that never comes');
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.fire();
    }
  }
}

export class FakeCache implements CachePort {
  /** What a test lays in here itself stays. */
  readonly held = new Map<string, string>();
  readonly lives = new Map<string, number>();
  readonly gets: string[] = [];
  readonly #clock: Clock;
  readonly #lapsesAtMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(key: string): Promise<string | null> {
    this.gets.push(key);
    if ((this.#lapsesAtMs.get(key) ?? Number.POSITIVE_INFINITY) <= this.#clock.nowMs) {
      this.held.delete(key);
      this.#lapsesAtMs.delete(key);
    }
    return this.held.get(key) ?? null;
  }

  async put(key: string, text: string, lifeS: number): Promise<void> {
    this.held.set(key, text);
    this.lives.set(key, lifeS);
    this.#lapsesAtMs.set(key, this.#clock.nowMs + lifeS * 1_000);
  }
}

/** Texts by digest, as an origin or a forest holds them. */
export interface Pieces {
  readonly pieces: ReadonlyMap<string, string>;
}

export class FakeStore implements StorePort {
  readonly id: string;
  /** `head`, `ingest`, or a piece's digest, in the order of the calls. */
  readonly calls: string[] = [];
  headText = '';
  readonly pieces: ReadonlyMap<string, string>;
  /** How it fails: rejects at once, or never answers. */
  broken: 'no' | 'rejects' | 'hangs' = 'no';
  /** What it answers to a delta. */
  answer: string;

  constructor(id: string, { pieces }: Pieces, headText = '') {
    this.id = id;
    this.pieces = pieces;
    this.headText = headText;
    this.answer = `{"floor":null,"id":"${id}","refused":[]}`;
  }

  ingest(): Promise<string> {
    return this.#reply('ingest', this.answer);
  }

  head(): Promise<string> {
    return this.#reply('head', this.headText);
  }

  piece(digest: string): Promise<string | null> {
    return this.#reply(digest, this.pieces.get(digest) ?? null);
  }

  count(call: string): number {
    return this.calls.filter((made) => made === call).length;
  }

  #reply<T>(call: string, value: T): Promise<T> {
    this.calls.push(call);
    if (this.broken === 'hangs') return new Promise(() => {});
    return this.broken === 'rejects' ? Promise.reject(new Error('down')) : Promise.resolve(value);
  }
}

export interface FakePorts extends EdgePorts {
  readonly clock: Clock;
  readonly cache: FakeCache;
  readonly stores: readonly FakeStore[];
  /** Requests that went to a gateway. */
  readonly sent: Request[];
  readonly lines: object[];
  readonly backgrounds: Promise<unknown>[];
  /** Waits for what no answer waits for. */
  settle(): Promise<void>;
}

export function fakePorts(
  stores: readonly FakeStore[],
  changes: Partial<EdgePorts> = {},
): FakePorts {
  const clock = new Clock();
  const sent: Request[] = [];
  const lines: object[] = [];
  const backgrounds: Promise<unknown>[] = [];
  return {
    clock,
    sent,
    lines,
    backgrounds,
    stores,
    cache: new FakeCache(clock),
    crypto,
    nowMs: () => clock.nowMs,
    random: (bytes) => new Uint8Array(bytes).fill(7),
    timeout: clock.timeout,
    background: (work) => {
      backgrounds.push(work);
    },
    log: (line) => {
      lines.push(line);
    },
    logDecisions: 'none',
    gateways: () => [],
    send: async (request) => {
      sent.push(request);
      return new Response('served');
    },
    async settle() {
      while (backgrounds.length > 0) await clock.run(Promise.all(backgrounds.splice(0)));
    },
    ...changes,
  } as FakePorts;
}
