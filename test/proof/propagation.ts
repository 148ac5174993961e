// Proof: how fast a decision is everywhere, and what the attestations cost that carry it. One
// commit after the other on an otherwise quiet world of three etcd members, three agents, three
// stores and four locations; where the time goes; what a quiet while costs, and the month of it;
// on request a storm.
//
//   node test/proof/propagation.ts --commits 300 --used 60 --quiet 60 --storm 60 --json

import { parseArgs } from 'node:util';
import { Author } from '../world/author.ts';
import { EDGES, SITES } from '../world/demo.ts';
import { STORES } from '../world/edge-host.ts';
import { Random } from '../world/random.ts';
import { percentile, Report } from '../world/report.ts';
import { runStorm } from '../world/storm.ts';
import { closeTraffic } from '../world/traffic.ts';
import { pause } from '../world/wait.ts';
import { World } from '../world/world.ts';
import { Landings, type Way } from './propagation/landing.ts';
import { watchOthers } from './propagation/others.ts';
import { monthOf } from './propagation/prices.ts';
import { isAccounted } from './propagation/processes.ts';
import { ingestsOf, measureQuiet, type Quiet } from './propagation/quiet.ts';
import { Users } from './propagation/use.ts';

const { values: options } = parseArgs({
  options: {
    /** So many commits, of which `used` are watched until every location's answers show them. */
    commits: { type: 'string', default: '30' },
    used: { type: 'string', default: '4' },
    /** Seconds. */
    quiet: { type: 'string', default: '10' },
    storm: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});

const APPLIED_GOAL_MS = 1_000;
const USED_GOAL_MS = 4_000;
/** Of the whole before traffic (DESIGN 13), of which reads by locations are the larger part. */
const MONTH_GOAL_DOLLARS = 75;
/**
 * Between commits, at most. After a commit all sites attest, and then not for two seconds: every
 * fourth commit waits long enough to meet their own pace.
 */
const PAUSE_MS = { short: 300, long: 2_500 } as const;
/** More than the longest cycle of an isolate that is asked once a second: 2 s, and the next one. */
const USED_PAUSE_MS = 4_000;

/** Whose answers change, and who else is committed to. */
const WATCHED = { tenant: 'acme', host: 'acme.example' } as const;
const OTHER = 'hooli';

const random = new Random(Number(options.seed));
const say = (line: string) => void process.stderr.write(`${line}\n`);
const never = new AbortController().signal;

async function measure(world: World, report: Report): Promise<void> {
  const author = await Author.open(world, SITES);
  const landings = await Landings.open(world);
  const ways: Way[] = [];
  const used = Number(options.used);
  try {
    for (let n = 0; n < Number(options.commits) - used; n++) {
      const through = SITES[n % SITES.length] ?? 'eu1';
      const landed = await author.land(through, OTHER, (old) => ({ ...old, priority: n % 9 }));
      ways.push(await landings.follow(landed, through));
      await pause(random.below(n % 4 === 0 ? PAUSE_MS.long : PAUSE_MS.short), never);
    }
    report.event(`${ways.length} commits, one after the other`);
    if (used > 0) ways.push(...(await measureUse(world, report, author, landings, used)));
  } finally {
    landings.close();
  }
  tellLanding(report, ways);
}

async function measureUse(
  world: World,
  report: Report,
  author: Author,
  landings: Landings,
  used: number,
): Promise<readonly Way[]> {
  const users = new Users(world, WATCHED.host, random);
  const ways: Way[] = [];
  const times = new Map(EDGES.map((edge) => [edge, [] as number[]]));
  await users.show(200, 0);
  for (let n = 0; n < used; n++) {
    const through = SITES[n % SITES.length] ?? 'eu1';
    const isSuspended = n % 2 === 0;
    const landed = await author.land(through, WATCHED.tenant, ({ suspended: _, ...rest }) => {
      return isSuspended ? { ...rest, suspended: true as const } : rest;
    });
    ways.push(await landings.follow(landed, through));
    const shown = await users.show(isSuspended ? 403 : 200, landed.sentMs);
    for (const edge of EDGES) times.get(edge)?.push(shown[edge] - landed.sentMs);
    await pause(random.below(USED_PAUSE_MS), never);
  }
  await users.stop();
  for (const [edge, one] of times) report.event(`in use at ${edge}: ${spread(one)}`);
  const all = [...times.values()].flat();
  report.event(`in use, of clients that ask once a second: ${spread(all)}`);
  report.equal('answers neither before nor after', users.strange, 0, 'requests');
  report.goalAtMost('sent to in use, p99', percentile(all, 0.99), USED_GOAL_MS, 'ms');
  return ways;
}

/** Where the time goes, and whether it is short enough. */
function tellLanding(report: Report, ways: readonly Way[]): void {
  const last = (times: Readonly<Record<string, number>>) => Math.max(...Object.values(times));
  const first = (times: Readonly<Record<string, number>>) => Math.min(...Object.values(times));
  const second = (times: Readonly<Record<string, number>>) =>
    Object.values(times).toSorted((a, b) => a - b)[1] ?? Number.NaN;
  const stages: readonly (readonly [string, (way: Way) => number])[] = [
    ['sent to decided by etcd', (way) => way.decidedMs - way.sentMs],
    ['sent to answered', (way) => way.answeredMs - way.sentMs],
    ['decided to attested by the first site', (way) => first(way.attestedMs) - way.decidedMs],
    ['decided to attested by the second site', (way) => second(way.attestedMs) - way.decidedMs],
    ['decided to attested by the last site', (way) => last(way.attestedMs) - way.decidedMs],
    ['first attested to the first store', (way) => first(way.appliedMs) - first(way.attestedMs)],
    ['first attested to the last store', (way) => last(way.appliedMs) - first(way.attestedMs)],
    ['sent to every receipt in etcd', (way) => last(way.collectedMs) - way.sentMs],
  ];
  for (const [name, of] of stages) report.event(`${name}: ${spread(ways.map(of))}`);
  const fromSent = ways.map((way) => last(way.appliedMs) - way.sentMs);
  const fromAnswer = ways.map((way) => last(way.appliedMs) - way.answeredMs);
  report.event(`sent to APPLIED by every store: ${spread(fromSent)}`);
  report.event(`answered to APPLIED by every store: ${spread(fromAnswer)}`);
  report.equal('commits applied by every store', ways.length, Number(options.commits), 'commits');
  report.goalAtMost('sent to APPLIED, p99', percentile(fromSent, 0.99), APPLIED_GOAL_MS, 'ms');
  const p99 = percentile(fromAnswer, 0.99);
  report.goalAtMost('answered to APPLIED, p99', p99, APPLIED_GOAL_MS, 'ms');
}

/** What attestations cost while nothing happens, here and on a bill. */
async function priceQuiet(world: World, report: Report, seconds: number): Promise<void> {
  if (!isAccounted()) {
    report.event('SKIPPED what attestations cost: CPU is read from /proc, which is not here');
    return;
  }
  const quiet = await measureQuiet(world, seconds);
  const ingests = ingestsOf(quiet);
  tellQuiet(report, quiet, ingests);
  const ingestsADay = Math.round((ingests / quiet.seconds) * 86_400);
  const callsAnIngest = STORES.length + 1;
  report.event(`a day: ${ingestsADay} ingests, ${ingestsADay * callsAnIngest} object requests`);
  const cpuMsAnIngest = quiet.locationsMs / ingests;
  const month = monthOf({ stores: STORES.length, ingestsADay, cpuMsAnIngest, callsAnIngest });
  for (const { name, amount, dollars } of month.items)
    report.event(`a month: ${Math.round(amount)} ${name}: ${dollars.toFixed(2)} dollars`);
  report.event(`a month on a bill of its own, with the plan: ${month.alone.toFixed(2)} dollars`);
  const marginal = Math.round(month.marginal * 100) / 100;
  report.goalAtMost('a month of attestations', marginal, MONTH_GOAL_DOLLARS, 'dollars');
}

function tellQuiet(report: Report, quiet: Quiet, ingests: number): void {
  const aSecond = (amount: number) => Math.round((amount / quiet.seconds) * 10) / 10;
  const words = SITES.map((site) => `${site} ${quiet.words[site]}`).join(', ');
  report.event(`${Math.round(quiet.seconds)} quiet seconds: words of ${words}`);
  for (const site of SITES)
    report.event(`CPU of the agent of ${site}: ${aSecond(quiet.agentMs[site])} ms a second`);
  const [stores, locations] = [quiet.storesMs / ingests, quiet.locationsMs / ingests];
  report.event(`CPU of all stores: ${stores.toFixed(1)} ms an ingest`);
  report.event(`CPU of the location that takes it: ${locations.toFixed(1)} ms an ingest`);
  const [toEdge, fromEdge] = quiet.edgeBytes.map((bytes) => Math.round(bytes / ingests));
  report.event(`agents to locations: ${toEdge} bytes an ingest, ${fromEdge} back, TLS and all`);
  const [toEtcd, fromEtcd] = quiet.etcdBytes.map(aSecond);
  report.event(`agents to etcd: ${toEtcd} bytes a second, ${fromEtcd} back`);
}

async function measureStorm(world: World, report: Report, seconds: number): Promise<void> {
  const tellOthers = watchOthers();
  await runStorm(world, report, seconds * 1000);
  tellOthers(report);
}

function spread(values: readonly number[]): string {
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => percentile(values, share));
  return `p50 ${p50}, p90 ${p90}, p99 ${p99}, most ${percentile(values, 1)} ms (${values.length})`;
}

const report = new Report('propagation', say);
const world = await World.start(say, { control: 'etcd' });
try {
  report.event('the world is up');
  if (Number(options.commits) > 0) {
    const tellOthers = watchOthers();
    await measure(world, report);
    tellOthers(report);
  }
  if (Number(options.quiet) > 0) await priceQuiet(world, report, Number(options.quiet));
  if (Number(options.storm) > 0) await measureStorm(world, report, Number(options.storm));
} finally {
  await closeTraffic();
  await world.stop();
}
const finished = report.finish();
if (options.json) process.stdout.write(`${JSON.stringify(finished)}\n`);
process.exitCode = finished.ok ? 0 : 1;
