// When a change is in use: each edge location gets one request a second, of a client of its own, to
// a tenant whose answer changes with the commit (suspended: 403, else 200). What counts is the
// first answer that shows it, so up to a second of what is measured is the client's own waiting.

import { epochMs } from '../../world/author.ts';
import { type CityId, cities } from '../../world/cities.ts';
import { EDGES, type EdgeId } from '../../world/demo.ts';
import type { Random } from '../../world/random.ts';
import { send } from '../../world/traffic.ts';
import { pause, until } from '../../world/wait.ts';
import type { World } from '../../world/world.ts';

const EVERY_MS = 1_000;
const PATIENCE_MS = 30_000;
const CITY: Readonly<Record<EdgeId, CityId>> = {
  fra: 'frankfurt',
  iad: 'new-york',
  gru: 'sao-paulo',
  nrt: 'tokyo',
};

type Seen = { readonly status: number; readonly atMs: number };

export class Users {
  readonly #world: World;
  readonly #host: string;
  readonly #seen: Readonly<Record<EdgeId, Seen[]>>;
  readonly #ended = new AbortController();
  readonly #running: readonly Promise<void>[];

  /** Their seconds begin at moments of their own. */
  constructor(world: World, host: string, random: Random) {
    this.#world = world;
    this.#host = host;
    this.#seen = { fra: [], iad: [], gru: [], nrt: [] };
    this.#running = EDGES.map((edge) => this.#ask(edge, random.below(EVERY_MS)));
  }

  /** Answers so far. */
  get answers(): number {
    return EDGES.reduce((sum, edge) => sum + this.#seen[edge].length, 0);
  }

  /** Neither 200 nor 403. */
  get strange(): number {
    const all = EDGES.flatMap((edge) => this.#seen[edge]);
    return all.filter(({ status }) => status !== 200 && status !== 403).length;
  }

  /** When each location first answered `status` after `sinceMs` (epoch). */
  async show(status: number, sinceMs: number): Promise<Readonly<Record<EdgeId, number>>> {
    const first = (edge: EdgeId) =>
      this.#seen[edge].find((one) => one.atMs >= sinceMs && one.status === status)?.atMs;
    await until(
      `${status} at every location`,
      () => EDGES.every((edge) => first(edge) !== undefined),
      { deadlineMs: PATIENCE_MS },
    );
    const entries = EDGES.map((edge) => [edge, first(edge) ?? Number.NaN] as const);
    return Object.fromEntries(entries) as Record<EdgeId, number>;
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#running);
  }

  /** On a beat: how long an answer takes does not move the next request. */
  async #ask(edge: EdgeId, phaseMs: number): Promise<void> {
    const began = performance.now() + phaseMs;
    for (let n = 0; !this.#ended.signal.aborted; n++) {
      await pause(Math.max(0, began + n * EVERY_MS - performance.now()), this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      const request = { host: this.#host, city: cities[CITY[edge]], path: '/notes' };
      const answer = await send(this.#world.edges[edge], request).catch(() => null);
      this.#seen[edge].push({ status: answer?.status ?? 0, atMs: epochMs() });
    }
  }
}
