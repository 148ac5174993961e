// Traffic that goes on while a scenario breaks things: every row again and again, each answer held
// against what the row says. Where requests arrived is counted by the services.

import { type CityId, cities } from './cities.ts';
import { EDGE_OF, type EdgeId, REGIONS, type Region } from './demo.ts';
import type { Report } from './report.ts';
import { send } from './traffic.ts';
import { pause } from './wait.ts';
import type { World } from './world.ts';

/** One kind of request and what must become of it. */
export type StreamRow = {
  readonly host: string;
  readonly city: CityId;
  readonly method: 'GET' | 'POST';
  /** `/notes` where none is named. */
  readonly path?: string;
  readonly status: number;
  /** Where it is answered; null: nowhere, the edge refuses. */
  readonly region: Region | null;
};

/** From every location, what residency allows and what it does not; worked out by hand. */
export const ORDINARY: readonly StreamRow[] = [
  { host: 'acme.example', city: 'frankfurt', method: 'GET', status: 200, region: 'eu1' },
  { host: 'shop.acme.example', city: 'tokyo', method: 'POST', status: 201, region: 'eu1' },
  { host: 'hooli.example', city: 'new-york', method: 'GET', status: 200, region: 'us1' },
  { host: 'hooli.example', city: 'frankfurt', method: 'POST', status: 201, region: 'us1' },
  { host: 'globex.example', city: 'paris', method: 'GET', status: 200, region: 'eu1' },
  { host: 'globex.example', city: 'sao-paulo', method: 'GET', status: 200, region: 'us1' },
  { host: 'globex.example', city: 'tokyo', method: 'POST', status: 201, region: 'us1' },
  { host: 'initech.example', city: 'sao-paulo', method: 'GET', status: 200, region: 'eu1' },
  { host: 'umbrella.example', city: 'frankfurt', method: 'GET', status: 200, region: 'eu1' },
  { host: 'umbrella.example', city: 'london', method: 'GET', status: 403, region: null },
  { host: 'nobody.example', city: 'new-york', method: 'GET', status: 404, region: null },
];

/** Where a tenant's requests may arrive at all, whatever else happens (I9). */
const ALLOWED: Readonly<Record<string, readonly Region[]>> = {
  acme: ['eu1'],
  hooli: ['us1'],
  globex: ['eu1', 'us1'],
  initech: ['eu1'],
  umbrella: ['eu1'],
};

export type Answer = {
  readonly row: StreamRow;
  readonly edge: EdgeId;
  readonly atMs: number;
  /** 0: there was none. */
  readonly status: number;
  readonly region: string | null;
  readonly ms: number;
};

const EVERY_MS = 50;

export class Stream {
  readonly answers: Answer[] = [];
  readonly #world: World;
  readonly #rows: readonly StreamRow[];
  readonly #beganMs = performance.now();
  readonly #stopped = new AbortController();
  readonly #running: Promise<void>;
  readonly #underWay = new Set<Promise<void>>();

  private constructor(world: World, rows: readonly StreamRow[]) {
    this.#world = world;
    this.#rows = rows;
    this.#running = this.#run();
  }

  static start(world: World, rows: readonly StreamRow[] = ORDINARY): Stream {
    return new Stream(world, rows);
  }

  /** Answers that are not what their row says, of the locations given, from a moment on. */
  wrong(edges: readonly EdgeId[] | null = null, sinceMs = 0): readonly Answer[] {
    return this.answers.filter(({ row, edge, atMs, status, region }) => {
      if (atMs < sinceMs || (edges !== null && !edges.includes(edge))) return false;
      return status !== row.status || region !== row.region;
    });
  }

  /** Resolves when it is over and every request has its answer. */
  get ended(): Promise<void> {
    return this.#running.then(() => Promise.all(this.#underWay)).then(() => {});
  }

  /** Ends it; resolves as `ended` does. */
  stop(): Promise<void> {
    this.#stopped.abort();
    return this.ended;
  }

  /** The rule of every scenario: nothing wrong, and nothing where it must never be. */
  async check(report: Report, what: string): Promise<void> {
    const wrong = this.wrong();
    for (const { row, edge, atMs, status, region, ms } of wrong.slice(0, 5)) {
      const at = ((atMs - this.#beganMs) / 1000).toFixed(1);
      const got = `${status} from ${region} after ${Math.round(ms)} ms`;
      report.event(`wrong at ${at} s: ${edge} ${row.method} ${row.host} ${row.city}: ${got}`);
    }
    report.atLeast(`${what}: requests`, this.answers.length, 50, 'requests');
    report.equal(`${what}: wrong answers`, wrong.length, 0, 'requests');
    await checkPlaces(this.#world, report, what);
  }

  /** Also when a scenario fails before it stops it: the process could not end. */
  async #run(): Promise<void> {
    const ended = AbortSignal.any([this.#stopped.signal, this.#world.closed]);
    for (let i = 0; !ended.aborted; i++) {
      const row = this.#rows[i % this.#rows.length];
      if (row === undefined) return;
      const one = this.#send(row).finally(() => this.#underWay.delete(one));
      this.#underWay.add(one);
      await pause(EVERY_MS, ended);
    }
  }

  async #send(row: StreamRow): Promise<void> {
    const edge = EDGE_OF[row.city];
    const { host, method, path = '/notes' } = row;
    const atMs = performance.now();
    const body = '{"text":"stream"}';
    const posted = method === 'POST' ? { body, headers: JSON_HEADERS } : {};
    const request = { host, city: cities[row.city], method, path, ...posted };
    const answer = await send(this.#world.edges[edge], request).catch(() => null);
    this.answers.push({
      row,
      edge,
      atMs,
      status: answer?.status ?? 0,
      region: (answer?.headers['x-region'] as string | undefined) ?? null,
      ms: answer?.ms ?? performance.now() - atMs,
    });
  }
}

const JSON_HEADERS = { 'content-type': 'application/json' };

/** Counted by the services: no tenant's request in a region outside its scope (I9). */
export async function checkPlaces(world: World, report: Report, what: string): Promise<void> {
  let outside = 0;
  for (const region of REGIONS) {
    const { tenants } = await world.arrivals(region);
    for (const [tenant, count] of Object.entries(tenants)) {
      if (!(ALLOWED[tenant] ?? []).includes(region)) outside += count;
    }
  }
  report.equal(`${what}: arrivals outside a scope`, outside, 0, 'requests');
}
