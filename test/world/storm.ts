// Ten commits a second by two operators' clients at once, each through another agent and on the
// head that it knows; who is second is told what is there and tries again. What was answered
// `landed` is then looked for everywhere: at every agent, by the command line's own fold, and in
// the rows of every store.

import { DatabaseSync } from 'node:sqlite';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { controlOf } from '../../agent/cli/agents.ts';
import { readState } from '../../agent/cli/state.ts';
import { parseJson } from '../../shared/canonical.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { decodeJws } from '../../shared/control/jws.ts';
import { Author, type Landed } from './author.ts';
import { decisionsOf } from './decisions.ts';
import { EDGES, type EdgeId, SITES, type Site } from './demo.ts';
import { STORES } from './edge-host.ts';
import { percentile, type Report } from './report.ts';
import { Stream } from './stream.ts';
import { pause, until } from './wait.ts';
import type { World } from './world.ts';

const RATE = 10;
const PATIENCE_MS = 30_000;
const YOUNG_MS = 3_000;

/** One way, ms: what lies between the agents and each location, and between w1 and etcd. */
const FAR: Readonly<Record<EdgeId, number>> = { fra: 40, iad: 80, gru: 120, nrt: 200 };
const FAR_FROM_ETCD_MS = 40;

type Operator = {
  /** Through which agent. */
  readonly through: Site;
  /** Its own tenant, so that every commit of its changes something. */
  readonly tenant: 'acme' | 'hooli';
};

const OPERATORS: readonly [Operator, Operator] = [
  { through: 'eu1', tenant: 'acme' },
  { through: 'us1', tenant: 'hooli' },
];

/** On a quiet world, with traffic of its own. */
export async function runStorm(world: World, report: Report, stormMs: number): Promise<void> {
  for (const edge of EDGES) world.edgeLinks[edge].delay(FAR[edge]);
  world.proxies.w1.delay(FAR_FROM_ETCD_MS);
  const stream = Stream.start(world);
  await untilYoung(world);
  const before = new Map<EdgeId, number>();
  for (const edge of EDGES) before.set(edge, (await decisionsOf(world, edge)).size);
  const began = performance.now();
  const tallies = await Promise.all(OPERATORS.map((one) => storm(world, one, stormMs)));
  const seconds = (performance.now() - began) / 1000;
  const landed = tallies.flat().sort((a, b) => (a.version < b.version ? -1 : 1));
  for (const [i, { through }] of OPERATORS.entries()) tell(report, through, tallies[i] ?? []);
  const head = landed.at(-1)?.version ?? 0n;
  await untilDecidedOn(world, head);
  report.event(`every location decides on version ${head}`);
  const rate = round(landed.length / seconds);
  report.atLeast('commits a second', rate, RATE / 2, '1/s');
  report.goalAtLeast('commits a second', rate, RATE * 0.9, '1/s');
  report.atLeast('conflicts', conflictsOf(landed), 1, '');
  await checkAgents(world, report, landed);
  await checkStores(world, report, landed);
  await stream.stop();
  await checkAges(world, report, before);
  await stream.check(report, 'throughout');
  await checkExpired(world, report);
}

/** Half of the rate; who was held up catches up. */
async function storm(
  world: World,
  { through, tenant }: Operator,
  stormMs: number,
): Promise<readonly Landed[]> {
  const author = await Author.open(world, [through]);
  const landed: Landed[] = [];
  const began = performance.now();
  const everyMs = (1000 * OPERATORS.length) / RATE;
  const never = new AbortController().signal;
  for (let n = 0; performance.now() - began < stormMs; n++) {
    landed.push(await author.land(through, tenant, (old) => ({ ...old, priority: n % 9 })));
    await pause(Math.max(0, began + (n + 1) * everyMs - performance.now()), never);
  }
  return landed;
}

function tell(report: Report, through: Site, landed: readonly Landed[]): void {
  const times = landed.map(({ sentMs, answeredMs }) => answeredMs - sentMs);
  const again = landed.filter(({ conflicts }) => conflicts > 0).length;
  const most = Math.max(0, ...landed.map(({ conflicts }) => conflicts));
  const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)];
  report.event(
    `through ${through}: ${landed.length} landed, ${conflictsOf(landed)} conflicts, ` +
      `${again} tried again, at most ${most} times; the one that landed took p50 ${p50} ms, ` +
      `p99 ${p99} ms`,
  );
}

function conflictsOf(landed: readonly Landed[]): number {
  return landed.reduce((sum, { conflicts }) => sum + conflicts, 0);
}

/** `version digest`: two that claim one version, or one that is missing, are another list. */
function listOf(commits: readonly { readonly version: bigint; readonly digest: string }[]): string {
  return commits.map(({ version, digest }) => `${version} ${digest}`).join();
}

async function checkAgents(world: World, report: Report, landed: readonly Landed[]): Promise<void> {
  const { paths, trust, keys } = world.deployment.project;
  const first = landed[0]?.version ?? 0n;
  const head = landed.at(-1)?.version ?? 0n;
  report.equal('versions without a hole', Number(head - first) + 1, landed.length, 'commits');
  for (const site of SITES) {
    await untilLevel(world, site, head);
    const agent = [`http://127.0.0.1:${world.agents.get(site)?.ready['api']}`];
    const control = await controlOf(paths, trust, { agent, key: keys.operator });
    const { commits } = await readState(paths, trust, null, control);
    const told = commits.filter(({ version }) => version >= first);
    report.equal(`at ${site}, folded: all that landed, once, in order`, same(told, landed), 'yes');
  }
}

/** That agent stands on it, and has heard from every store that it is APPLIED. */
async function untilLevel(world: World, site: Site, head: bigint): Promise<void> {
  await until(
    `${site} stands on version ${head}, and every store has applied it`,
    async () => {
      const status = (await world.agentStatus(site)) as {
        readonly active: { readonly version: string };
        readonly stores: readonly { readonly applied: { readonly version: string } | null }[];
      };
      const applied = status.stores.map((store) => BigInt(store.applied?.version ?? 0));
      const level = applied.length === STORES.length && applied.every((one) => one === head);
      if (BigInt(status.active.version) === head && level) return true;
      throw new Error(`${status.active.version}; ${applied.join()}`);
    },
    { deadlineMs: PATIENCE_MS },
  );
}

/** From outside: the rows of each object. */
async function checkStores(world: World, report: Report, landed: readonly Landed[]): Promise<void> {
  const first = landed[0]?.version ?? 0n;
  for (const store of STORES) {
    const file = (await world.edgeHost.ask({ storeFile: store })) as string;
    const database = new DatabaseSync(file, { readOnly: true });
    const query = 'SELECT version, jws FROM commits WHERE version >= ? ORDER BY version';
    const rows = database.prepare(query).all(Number(first));
    database.close();
    const held = rows.map(({ version, jws }) => {
      const decoded = decodeJws(parseJson(String(jws))?.value, envelopeKind, nodeCrypto);
      const digest = 'claimed' in decoded ? decoded.digest : decoded.code;
      return { version: BigInt(version as number), digest };
    });
    report.equal(`rows of ${store}: all that landed, once, in order`, same(held, landed), 'yes');
  }
}

function same(found: Parameters<typeof listOf>[0], landed: readonly Landed[]): string {
  return listOf(found) === listOf(landed) ? 'yes' : `no: ${found.length} of ${landed.length}`;
}

/** Counted by the edges themselves. */
async function checkExpired(world: World, report: Report): Promise<void> {
  const answers = await Promise.all(EDGES.map((edge) => world.probe(edge)));
  const expired = answers.map(({ edge }) => edge.counters['state-expired'] ?? 0);
  report.equal('refusals because state had expired', sumOf(expired), 0, 'requests');
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/**
 * How old the state was that requests were decided on, as each location logged it. Asking it by a
 * delta would make it younger: an ingest refreshes the isolate that takes it.
 */
async function checkAges(
  world: World,
  report: Report,
  before: ReadonlyMap<EdgeId, number>,
): Promise<void> {
  for (const edge of EDGES) {
    const decisions = [...(await decisionsOf(world, edge)).values()].slice(before.get(edge) ?? 0);
    const ages = decisions.map(({ seen }) => seen.ageMs);
    const oldest = Math.max(0, ...ages);
    report.event(`${edge}: ${ages.length} decisions, age p50 ${percentile(ages, 0.5)} ms`);
    report.atLeast(`${edge}: decisions`, ages.length, 30, '');
    report.atMost(`${edge}: the oldest state decided on`, oldest, 15_000, 'ms');
    report.goalAtMost(`${edge}: the oldest state decided on`, oldest, 5_000, 'ms');
  }
}

/** A location that nobody asked for a while decides once on what it had, and then looks. */
async function untilYoung(world: World): Promise<void> {
  await until(
    'every location is asked, and young',
    async () => {
      const found = await lastDecisions(world);
      return found.every((record) => record !== undefined && record.seen.ageMs < YOUNG_MS);
    },
    { deadlineMs: PATIENCE_MS },
  );
}

/** By its clients' requests alone. */
async function untilDecidedOn(world: World, head: bigint): Promise<void> {
  await until(
    `every location decides on version ${head}`,
    async () => {
      const found = await lastDecisions(world);
      const versions = found.map((record) => record?.basis.version);
      if (versions.every((version) => version === head)) return true;
      throw new Error(versions.join());
    },
    { deadlineMs: PATIENCE_MS },
  );
}

/** One a location, undefined where it has decided nothing yet. */
function lastDecisions(world: World) {
  return Promise.all(
    EDGES.map(async (edge) => [...(await decisionsOf(world, edge)).values()].at(-1)),
  );
}
