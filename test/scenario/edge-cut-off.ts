// edge-cut-off (E3, E6, I2, I15): one location loses its way to all stores, then to the state of
// the gateways too, while requests still reach it and go through. By the gateways it stays current;
// with nothing it grows old: writes and sessions end, then reads, and nothing is served beyond its
// hard age.
// When it hears that there is something newer that it cannot have, reads end as early as writes.
// Every other location goes on as if nothing had happened, and it recovers by itself.

import { apply, change } from '../world/change.ts';
import { cities } from '../world/cities.ts';
import { Clients } from '../world/clients.ts';
import { decisionsOf } from '../world/decisions.ts';
import { EDGES, REGIONS } from '../world/demo.ts';
import { type FrontPasses, GatewayFront } from '../world/gateway-front.ts';
import type { Report } from '../world/report.ts';
import { untilEdges } from '../world/sites.ts';
import { ORDINARY, Stream, type StreamRow } from '../world/stream.ts';
import { send } from '../world/traffic.ts';
import { until } from '../world/wait.ts';
import type { World, WorldOptions } from '../world/world.ts';

/** Ages in policies are a tenth of the usual: see `HARD_MS`. */
export const options: WorldOptions = { control: 'etcd', timeScale: 0.1 };

const PATIENCE_MS = 30_000;
/** By the demonstration's policies, scaled. Revocation and write are the same. */
const HARD_MS = { write: 6_000, session: 6_000, read: 30_000 } as const;
type Aging = keyof typeof HARD_MS;
/** What a location that is not cut off lags behind at most, on a busy machine. */
const LAG_MS = 5_000;

/** Clients of the location that is cut off. */
const ROWS = {
  read: { host: 'globex.example', city: 'sao-paulo', method: 'GET', status: 200, region: 'us1' },
  suspended: {
    host: 'initech.example',
    city: 'sao-paulo',
    method: 'GET',
    status: 200,
    region: 'eu1',
  },
  write: { host: 'acme.example', city: 'sao-paulo', method: 'POST', status: 201, region: 'eu1' },
  /** A path that the policy calls a session's; the service, which answers, does not know it. */
  session: {
    ...{ host: 'globex.example', city: 'sao-paulo', method: 'GET', path: '/session' },
    ...{ status: 404, region: 'us1' },
  },
  refused: {
    host: 'umbrella.example',
    city: 'sao-paulo',
    method: 'GET',
    status: 403,
    region: null,
  },
  unknown: { host: 'nobody.example', city: 'sao-paulo', method: 'GET', status: 404, region: null },
} as const satisfies Readonly<Record<string, StreamRow>>;

type Kind = keyof typeof ROWS;
type Statuses = Readonly<Record<Kind, number>>;

/** What every answer is, by the state of the location. */
const FRESH: Statuses = {
  ...{ read: 200, suspended: 200, write: 201 },
  ...{ session: 404, refused: 403, unknown: 404 },
};
/** Its gateway knows that the tenant is suspended, though the location does not. */
const PAST_WRITE: Statuses = { ...FRESH, suspended: 403, write: 503, session: 503 };
const PAST_READ: Statuses = { ...PAST_WRITE, read: 503, suspended: 503, refused: 503 };
const RECOVERED: Statuses = { ...FRESH, suspended: 403 };

export async function run(world: World, report: Report): Promise<void> {
  const fronts = await Promise.all(
    REGIONS.map(async (region) => {
      const target = `https://127.0.0.1:${world.agents.get(region)?.ready['gateway']}`;
      return [region, await GatewayFront.start(target, world.tls)] as const;
    }),
  );
  const cutOff = new CutOff(
    world,
    report,
    fronts.map(([, front]) => front),
  );
  try {
    const moved = await apply(world, (config) => {
      for (const [region, front] of fronts) {
        const site = config.sites?.[region];
        if (site !== undefined) site.gateway = front.origin;
      }
    });
    report.equal('gateways stand behind a front', moved, 'landed 2');
    await untilEdges(world, 2n, EDGES, PATIENCE_MS);
    const others = Stream.start(
      world,
      ORDINARY.filter(({ city }) => city !== 'sao-paulo'),
    );
    await cutOff.byGateways();
    await cutOff.byNothing();
    await cutOff.knowingOfMore();
    await others.stop();
    await others.check(report, 'the other locations, throughout');
  } finally {
    for (const [, front] of fronts) front.close();
  }
}

class CutOff {
  readonly #world: World;
  readonly #report: Report;
  readonly #fronts: readonly GatewayFront[];

  constructor(world: World, report: Report, fronts: readonly GatewayFront[]) {
    this.#world = world;
    this.#report = report;
    this.#fronts = fronts;
  }

  /** No store: gateways are the last source, and enough. */
  async byGateways(): Promise<void> {
    const clients = this.#clients();
    await this.#cut('all');
    this.#report.equal(
      'a commit while it has gateways alone',
      await change(this.#world, 3),
      'landed 3',
    );
    const began = performance.now();
    await this.untilOn(3n);
    const ms = Math.round(performance.now() - began);
    this.#report.goalAtMost('until it stands on that, by gateways', ms, 5_000, 'ms');
    await clients.pastMs(performance.now() + HARD_MS.write + LAG_MS);
    await clients.stop();
    clients.checkAll(this.#report, 'by gateways alone', FRESH);
    await this.#heal();
  }

  /** No source at all: writes end, then reads. */
  async byNothing(): Promise<void> {
    const clients = this.#clients();
    const cutMs = await this.#cut('nothing');
    const suspended = await apply(this.#world, (config) => {
      const initech = config.tenants?.['initech'];
      if (initech !== undefined) initech.suspended = true;
    });
    this.#report.equal('a suspension that it does not hear of', suspended, 'landed 4');
    await clients.pastMs(cutMs + HARD_MS.read + 2_000);
    await this.#checkRefusal('read');
    await this.#checkRefusal('write');
    await this.#checkRefusal('session');
    // Whoever is refused waited for state before: all have their answers while there is none.
    await clients.stop();
    await this.#recover(4n);
    this.#checkLast(clients, 'write', cutMs);
    this.#checkLast(clients, 'session', cutMs);
    this.#checkLast(clients, 'read', cutMs);
    const [writeMs, readMs] = [cutMs + HARD_MS.write, cutMs + HARD_MS.read];
    const between = [writeMs, readMs - LAG_MS] as const;
    clients.checkAll(this.#report, 'past the age of writes', PAST_WRITE, between);
    const after = [readMs, Number.POSITIVE_INFINITY] as const;
    clients.checkAll(this.#report, 'past the age of reads', PAST_READ, after);
    await this.#checkDecisions();
  }

  /** Answers tell that sites attest something newer, and nobody hands it over. */
  async knowingOfMore(): Promise<void> {
    const clients = this.#clients();
    await this.#cut('words');
    this.#report.equal('a commit that it only hears of', await change(this.#world, 5), 'landed 5');
    const landedMs = performance.now();
    await clients.pastMs(landedMs + HARD_MS.write + LAG_MS);
    await clients.stop();
    const lastMs = Math.round(clients.lastServedMs('read') - landedMs);
    const most = HARD_MS.write;
    this.#report.atMost('the last read served behind what it hears of', lastMs, most, 'ms');
    await this.#recover(5n);
  }

  /** By its own log of what it decides for clients: asked otherwise, it would look for itself. */
  untilOn(version: bigint): Promise<unknown> {
    return until(
      `it stands on version ${version}`,
      async () => {
        const last = [...(await decisionsOf(this.#world, 'gru')).values()].at(-1);
        if (last?.basis.version === version) return true;
        throw new Error(`${last?.basis.version}`);
      },
      { deadlineMs: PATIENCE_MS },
    );
  }

  #clients(): Clients<Kind> {
    return Clients.start(this.#world, ROWS);
  }

  async #cut(passes: FrontPasses): Promise<number> {
    await this.#world.edgeHost.ask({ cutStores: 'gru' });
    for (const front of this.#fronts) front.passes = passes;
    // The runtime hears of it a moment later.
    await until('it reaches no store', () => this.#reachesNone(), { deadlineMs: PATIENCE_MS });
    this.#report.event(`cut from all stores; of the gateways' state goes through: ${passes}`);
    return performance.now();
  }

  async #recover(version: bigint): Promise<void> {
    await this.#heal();
    const began = performance.now();
    const clients = this.#clients();
    await clients.untilAll(RECOVERED);
    const ms = Math.round(performance.now() - began);
    this.#report.goalAtMost('until it serves again, by itself', ms, 5_000, 'ms');
    await this.untilOn(version);
    await clients.stop();
  }

  async #reachesNone(): Promise<boolean> {
    const { stores } = await this.#world.probe('gru');
    return stores.every(({ code }) => code === 'store-failed');
  }

  async #heal(): Promise<void> {
    for (const front of this.#fronts) front.passes = 'all';
    await this.#world.edgeHost.ask({ healStores: 'gru' });
    this.#report.event('the ways are back');
  }

  /** Of a kind that has an age of its own: when it ended, in ms after the cut. */
  #checkLast(clients: Clients<Kind>, kind: Aging, cutMs: number): void {
    const lastMs = Math.round(clients.lastServedMs(kind) - cutMs);
    const what = `the last ${kind} served after the cut`;
    this.#report.atMost(what, lastMs, HARD_MS[kind], 'ms');
    this.#report.atLeast(what, lastMs, HARD_MS[kind] - LAG_MS, 'ms');
  }

  /** Told as what time may cure (S8). */
  async #checkRefusal(name: Aging): Promise<void> {
    const { host, method, path = '/notes' }: StreamRow = ROWS[name];
    const request = { host, method, city: cities['sao-paulo'], path };
    const { status, headers } = await send(this.#world.edges.gru, request);
    this.#report.equal(`a ${name} that is refused`, status, 503);
    this.#report.equal('its type', `${headers['content-type']}`, 'application/problem+json');
    this.#report.atLeast('its Retry-After', Number(headers['retry-after']), 1, 's');
  }

  /** As it logged them: none that forwards was made on older state than its class allows. */
  async #checkDecisions(): Promise<void> {
    const records = [...(await decisionsOf(this.#world, 'gru')).values()];
    const forwarded = records.filter(({ decision }) => kindOf(decision) === 'forward');
    for (const [op, hardMs] of Object.entries(HARD_MS)) {
      const ages = forwarded
        .filter(({ decision }) => opOf(decision) === op)
        .map(({ seen }) => seen.ageMs);
      this.#report.atLeast(`decisions that forward a ${op}`, ages.length, 20, '');
      const oldest = Math.round(Math.max(...ages));
      this.#report.atMost(`the oldest state that a ${op} was served by`, oldest, hardMs, 'ms');
    }
  }
}

function kindOf(decision: unknown): unknown {
  return (decision as { readonly outcome?: { readonly kind?: unknown } }).outcome?.kind;
}

function opOf(decision: unknown): unknown {
  return (decision as { readonly admission?: { readonly op?: unknown } }).admission?.op;
}
