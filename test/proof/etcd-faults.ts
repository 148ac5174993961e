// Proof: whatever happens to the connections between an agent and etcd, no revision is lost, told
// twice or out of order. Three real members with TLS, a proxy that breaks TCP, a writer that never
// rests, and after every fault the folded state is held against a dump.
//
//   node test/proof/etcd-faults.ts --cuts 200 --compactions 20 --restarts 10 --seed 1 --json

import { parseArgs } from 'node:util';
import { EtcdCluster, readTls } from '../../agent/adapters/etcd.ts';
import { type EtcdAlone, startEtcdAlone } from '../world/etcd-alone.ts';
import { FaultProxy } from '../world/fault-proxy.ts';
import { Random } from '../world/random.ts';
import { Report } from '../world/report.ts';
import { pause } from '../world/wait.ts';
import { Follower } from './etcd-faults/follower.ts';
import { dumpAt, Writer } from './etcd-faults/history.ts';

const PREFIX = '/portolan/demo/control/proof/';
const CUT_WAYS = ['cut', 'stall', 'half-open', 'cut in mid-stream', 'refuse'] as const;
type Fault = (typeof CUT_WAYS)[number] | 'compaction' | 'restart';

const { values: options } = parseArgs({
  options: {
    cuts: { type: 'string', default: '200' },
    compactions: { type: 'string', default: '20' },
    restarts: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});

const random = new Random(Number(options.seed));
const say = (line: string) => void process.stderr.write(`${line}\n`);

/** In an order that the seed decides. */
function planned(): readonly Fault[] {
  const faults: Fault[] = [];
  for (let i = 0; i < Number(options.cuts); i++)
    faults.push(CUT_WAYS[i % CUT_WAYS.length] ?? 'cut');
  for (let i = 0; i < Number(options.compactions); i++) faults.push('compaction');
  for (let i = 0; i < Number(options.restarts); i++) faults.push('restart');
  for (let i = faults.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [faults[i], faults[j]] = [faults[j] ?? 'cut', faults[i] ?? 'cut'];
  }
  return faults;
}

/** Breaks, lets some writes happen meanwhile, and mends. */
async function strike(
  fault: Fault,
  { cluster }: EtcdAlone,
  proxy: FaultProxy,
  calm: EtcdCluster,
  writer: Writer,
): Promise<void> {
  switch (fault) {
    case 'cut':
      await writer.write();
      return proxy.cut();
    case 'stall':
      proxy.stall();
      break;
    case 'half-open':
      proxy.halfOpen(['to-client', 'to-target']);
      break;
    case 'cut in mid-stream':
      proxy.stallAfter(random.below(200_000));
      break;
    case 'refuse':
      proxy.refuse();
      proxy.cut();
      break;
    case 'compaction':
      proxy.stall();
      for (let i = 0; i < 3; i++) await writer.write();
      await calm.compact(writer.newest);
      break;
    case 'restart': {
      const members = [...cluster.members.values()];
      await members[random.below(members.length)]?.restart();
      break;
    }
  }
  for (let i = random.below(4); i >= 0; i--) await writer.write();
  proxy.cut();
  await proxy.heal();
}

async function prove(report: Report): Promise<void> {
  const alone = await startEtcdAlone();
  const members = [...alone.cluster.members.values()];
  const proxy = await FaultProxy.start(members.map(({ port }) => port));
  const tls = await readTls(alone.cluster.credentials('eu1'));
  const named = (port: number) => `https://localhost:${port}`;
  const calm = new EtcdCluster({ endpoints: members.map(({ port }) => named(port)), tls });
  const agent = new EtcdCluster({ endpoints: proxy.ports.map(named), tls });
  const writer = new Writer(calm, PREFIX, random);
  await writer.write();
  const since = writer.newest;
  const follower = new Follower(agent, PREFIX, since);
  follower.state = new Map(await dumpAt(calm, PREFIX, since));
  const resting = new AbortController();
  const writing = keepWriting(writer, resting.signal);
  let unequal = 0;
  try {
    const faults = planned();
    for (const [i, fault] of faults.entries()) {
      await pausedWhile(() => strike(fault, alone, proxy, calm, writer));
      await follower.level(writer.newest);
      if (!(await equalsDump(follower, calm, writer))) unequal += 1;
      follower.check(writer.history);
      if (i % 25 === 24) report.event(`${i + 1} faults, ${writer.history.size} revisions`);
    }
    resting.abort();
    await writing;
    await follower.level(writer.newest);
    follower.check(writer.history);
  } finally {
    resting.abort();
    await writing;
    await follower.close();
    agent.close();
    calm.close();
    await proxy.close();
    await alone.stop();
  }
  const [cuts, compactions] = [Number(options.cuts), Number(options.compactions)];
  report.atLeast('streams that broke', follower.troubles, cuts, '');
  report.atLeast('starts behind a compaction', follower.restarts, compactions, '');
  report.equal('states unlike the dump', unequal, 0);
  report.equal('revisions lost', follower.missing(writer.history, since), 0);
  report.equal('revisions told twice', follower.doubled, 0);
  report.equal('revisions out of order', follower.reordered, 0);
  report.equal('revisions told otherwise than made', follower.altered, 0);
}

let busy: Promise<unknown> = Promise.resolve();

/** One writer: what a fault writes and what the writer writes by itself take turns. */
function pausedWhile<T>(work: () => Promise<T>): Promise<T> {
  const done = busy.then(work);
  busy = done.catch(() => {});
  return done;
}

async function keepWriting(writer: Writer, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await pausedWhile(() => writer.write());
    await pause(10, ended);
  }
}

/** Nobody writes while it is compared. */
function equalsDump(follower: Follower, calm: EtcdCluster, writer: Writer): Promise<boolean> {
  return pausedWhile(async () => {
    await follower.level(writer.newest);
    const dump = await dumpAt(calm, PREFIX, writer.newest);
    const { state } = follower;
    return dump.size === state.size && [...dump].every(([key, value]) => state.get(key) === value);
  });
}

const report = new Report('etcd-faults', say);
await prove(report);
const finished = report.finish();
if (options.json) process.stdout.write(`${JSON.stringify(finished)}\n`);
process.exitCode = finished.ok ? 0 : 1;
