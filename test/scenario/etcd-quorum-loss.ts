// etcd-quorum-loss (E6, C2): members die one at a time, then the quorum is gone for longer than an
// attestation lives. Traffic goes on, agents attest `frozen` at what they hold, commits are refused
// with the reason, nothing is promoted; when members come back everything goes on by itself.

import { change } from '../world/change.ts';
import { EDGES, SITES, type Site } from '../world/demo.ts';
import type { Report } from '../world/report.ts';
import { untilEdges, untilWords } from '../world/sites.ts';
import { Stream } from '../world/stream.ts';
import { until } from '../world/wait.ts';
import type { World, WorldOptions } from '../world/world.ts';

export const options: WorldOptions = { control: 'etcd' };

const PATIENCE_MS = 20_000;
/** An attestation lives for 15 s: beyond that, only new ones carry the traffic. */
const DARK_MS = 18_000;

export async function run(world: World, report: Report): Promise<void> {
  const stream = Stream.start(world);
  let version = 1n;
  for (const site of SITES) {
    await world.etcd.member(site).kill();
    report.equal(
      `a commit without the member of ${site}`,
      await change(world, 2 + Number(version)),
      `landed ${version + 1n}`,
    );
    version += 1n;
    await untilEdges(world, version, EDGES, PATIENCE_MS);
    await world.etcd.member(site).start();
    await world.etcd.becomeHealthy();
  }
  report.event('each member was lost alone: commits went on');
  await cutOneSite(world, report, version);
  version += 1n;
  await loseQuorum(world, report, version);
  await stream.stop();
  await stream.check(report, 'throughout');
}

/** One site's way to etcd: it is frozen, the others decide without it. */
async function cutOneSite(world: World, report: Report, version: bigint): Promise<void> {
  world.proxies.eu1.refuse();
  world.proxies.eu1.cut();
  await untilWords(
    world,
    { eu1: `frozen ${version}`, us1: `live ${version}`, w1: `live ${version}` },
    PATIENCE_MS,
  );
  report.event('eu1 is cut off from etcd: it attests frozen, the others live');
  report.equal('a commit while eu1 is cut off', await change(world, 6), `landed ${version + 1n}`);
  await untilEdges(world, version + 1n, EDGES, PATIENCE_MS);
  await world.proxies.eu1.heal();
  await untilWords(world, live(version + 1n), PATIENCE_MS);
  report.event('eu1 is back by itself');
}

async function loseQuorum(world: World, report: Report, version: bigint): Promise<void> {
  for (const site of ['us1', 'w1'] as const) await world.etcd.member(site).kill();
  const began = performance.now();
  report.event('two of three members are dead');
  await untilWords(world, all('frozen', version), PATIENCE_MS);
  report.goalAtMost(
    'until every site attests frozen',
    Math.round(performance.now() - began),
    8_000,
    'ms',
  );
  report.equal('a commit without a quorum', await change(world, 7), 'source-unreadable');
  await until('longer than an attestation lives', () => performance.now() - began > DARK_MS, {
    deadlineMs: 2 * DARK_MS,
  });
  const probes = await Promise.all(EDGES.map((edge) => world.probe(edge)));
  const ages = probes.map(({ edge }) => edge.ageMs ?? Number.POSITIVE_INFINITY);
  report.event(`${DARK_MS / 1000} s without a quorum, ages at the edges: ${ages.join(', ')} ms`);
  report.atMost('the oldest state at an edge', Math.max(...ages), 10_000, 'ms');
  report.equal('versions at the edges', versions(probes), `${version}`);
  for (const site of ['us1', 'w1'] as const) await world.etcd.member(site).start();
  const back = performance.now();
  await world.etcd.becomeHealthy();
  await untilWords(world, live(version), PATIENCE_MS);
  report.goalAtMost(
    'from the members back to live',
    Math.round(performance.now() - back),
    8_000,
    'ms',
  );
  await checkNothingLanded(world, report, version);
  report.equal('the next commit', await change(world, 8), `landed ${version + 1n}`);
  await untilEdges(world, version + 1n, EDGES, PATIENCE_MS);
}

/** What was refused for want of a quorum is not there now. */
async function checkNothingLanded(world: World, report: Report, version: bigint): Promise<void> {
  const { active } = (await world.agentStatus('w1')) as { active: { version: string } };
  report.equal('the newest version after it', active.version, `${version}`);
}

function versions(probes: readonly Awaited<ReturnType<World['probe']>>[]): string {
  return [...new Set(probes.map(({ edge }) => `${edge.version}`))].join();
}

function all(mode: string, version: bigint): Readonly<Record<Site, string>> {
  return { eu1: `${mode} ${version}`, us1: `${mode} ${version}`, w1: `${mode} ${version}` };
}

function live(version: bigint): Readonly<Record<Site, string>> {
  return all('live', version);
}
