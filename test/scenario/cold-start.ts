// cold-start (E6, C10): etcd is gone, all of it. A location starts with nothing in memory or cache
// and serves from the stores; an agent that forgot everything takes what other sites attest from
// its peers; one that kept its copy goes on from that. When etcd is back, all are live by
// themselves.

import { change } from '../world/change.ts';
import { EDGES, SITES } from '../world/demo.ts';
import type { Report } from '../world/report.ts';
import { untilEdges, untilWords } from '../world/sites.ts';
import { ORDINARY, Stream } from '../world/stream.ts';
import { until } from '../world/wait.ts';
import type { World, WorldOptions } from '../world/world.ts';

export const options: WorldOptions = { control: 'etcd' };

const PATIENCE_MS = 30_000;

export async function run(world: World, report: Report): Promise<void> {
  report.equal('a commit before', await change(world, 3), 'landed 2');
  await untilEdges(world, 2n, EDGES, PATIENCE_MS);
  for (const site of SITES) await world.etcd.member(site).kill();
  await untilWords(world, { eu1: 'frozen 2', us1: 'frozen 2', w1: 'frozen 2' }, PATIENCE_MS);
  report.event('etcd is gone; every site attests frozen');
  // What goes through tokyo's location and through us1 is checked apart: they are stopped.
  const others = ORDINARY.filter(({ city, region }) => city !== 'tokyo' && region !== 'us1');
  const stream = Stream.start(world, others);
  await startLocation(world, report);
  await startForgetful(world, report);
  await startWithCopy(world, report);
  await comeBack(world, report);
  await stream.stop();
  await stream.check(report, 'throughout');
}

/** A new isolate with an empty cache: all it can have is in the stores. */
async function startLocation(world: World, report: Report): Promise<void> {
  await world.edgeHost.ask({ cachePurge: { location: 'nrt' } });
  await world.edgeHost.ask({ stop: 'nrt' });
  await world.edgeHost.ask({ start: 'nrt' });
  const began = performance.now();
  const tokyo = Stream.start(
    world,
    ORDINARY.filter(({ city }) => city === 'tokyo'),
  );
  await until('tokyo is answered', () => tokyo.answers.length >= 20, { deadlineMs: PATIENCE_MS });
  await tokyo.stop();
  report.equal('wrong answers of a cold location', tokyo.wrong().length, 0, 'requests');
  const slowest = Math.max(...tokyo.answers.map(({ ms }) => ms));
  report.goalAtMost('its slowest answer', Math.round(slowest), 2_000, 'ms');
  const { edge } = await world.probe('nrt');
  report.equal('it stands on version', `${edge.version}`, '2');
  report.event(`a cold location served after ${Math.round(performance.now() - began)} ms`);
}

/** An agent without memory, copy or join: peers have the commits, other sites vouch for them. */
async function startForgetful(world: World, report: Report): Promise<void> {
  await world.agents.get('us1')?.stop();
  // Its last word must be gone, or it would speak for the one that comes.
  await untilWords(world, { eu1: 'frozen 2', us1: 'silent', w1: 'frozen 2' }, PATIENCE_MS);
  report.event('the agent of us1 is gone, and so is all it kept');
  const began = performance.now();
  await world.startAgain('us1', { wiped: true });
  await untilWords(world, { eu1: 'frozen 2', us1: 'frozen 2', w1: 'frozen 2' }, PATIENCE_MS);
  const ms = Math.round(performance.now() - began);
  report.goalAtMost('until it attests what others attest', ms, 10_000, 'ms');
  await served(world, report, 'the gateway of the forgetful agent');
}

async function startWithCopy(world: World, report: Report): Promise<void> {
  await world.agents.get('us1')?.stop();
  const began = performance.now();
  await world.startAgain('us1');
  await untilWords(world, { us1: 'frozen 2' }, PATIENCE_MS, 'us1');
  const ms = Math.round(performance.now() - began);
  report.goalAtMost('until an agent with its copy attests again', ms, 5_000, 'ms');
  await served(world, report, 'the gateway of the agent with a copy');
}

/** Requests whose home is us1, by way of an edge that knows it. */
async function served(world: World, report: Report, what: string): Promise<void> {
  const rows = ORDINARY.filter(({ region }) => region === 'us1');
  await until(
    `${what} serves`,
    async () => {
      const stream = Stream.start(world, rows);
      await until('each row', () => stream.answers.length >= rows.length, {
        deadlineMs: PATIENCE_MS,
      });
      await stream.stop();
      return stream.wrong().length === 0;
    },
    { deadlineMs: PATIENCE_MS },
  );
  const stream = Stream.start(world, rows);
  await until('some more', () => stream.answers.length >= 20, { deadlineMs: PATIENCE_MS });
  await stream.stop();
  report.equal(`${what}: wrong answers`, stream.wrong().length, 0, 'requests');
}

async function comeBack(world: World, report: Report): Promise<void> {
  for (const site of SITES) await world.etcd.member(site).start();
  await world.etcd.becomeHealthy();
  await untilWords(world, { eu1: 'live 2', us1: 'live 2', w1: 'live 2' }, PATIENCE_MS);
  report.event('etcd is back; every site is live by itself');
  report.equal('the next commit', await change(world, 4), 'landed 3');
  await untilEdges(world, 3n, EDGES, PATIENCE_MS);
}
