// Proof: an agent on the real loop, whose way to etcd breaks again and again. Others commit past it
// meanwhile, and one commit is handed to it while the way is broken: it lands exactly once, and
// after every fault the agent's fold, an operator's, and a dump of etcd are one and the same.
//
//   node test/proof/agent-faults.ts --cuts 40 --compactions 8 --restarts 4 --seed 1 --json

import { parseArgs } from 'node:util';
import { EtcdCluster, readTls } from '../../agent/adapters/etcd.ts';
import { startEtcdAlone } from '../world/etcd-alone.ts';
import { FaultProxy } from '../world/fault-proxy.ts';
import { Random } from '../world/random.ts';
import { Report } from '../world/report.ts';
import { FaultedAgent } from './etcd-faults/agent.ts';
import { mend, plannedFaults, strike } from './etcd-faults/faults.ts';
import { Operator } from './etcd-faults/operator.ts';

const { values: options } = parseArgs({
  options: {
    cuts: { type: 'string', default: '40' },
    compactions: { type: 'string', default: '8' },
    restarts: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});

const random = new Random(Number(options.seed));
const say = (line: string) => void process.stderr.write(`${line}\n`);

async function prove(report: Report): Promise<void> {
  const { cluster, stop } = await startEtcdAlone();
  const members = [...cluster.members.values()];
  const proxy = await FaultProxy.start(members.map(({ port }) => port));
  const tls = await readTls(cluster.credentials('eu1'));
  const named = (port: number) => `https://localhost:${port}`;
  const calm = new EtcdCluster({ endpoints: members.map(({ port }) => named(port)), tls });
  const broken = new EtcdCluster({ endpoints: proxy.ports.map(named), tls });
  const operator = await Operator.start(calm);
  const agent = await FaultedAgent.start(broken, operator.trust);
  const place = { cluster, proxy, calm, random, write: () => operator.write() };
  let [unequal, handed] = [0, 0];
  try {
    const { cuts, compactions, restarts } = options;
    const counts = { cuts: Number(cuts), compactions: Number(compactions) };
    const faults = plannedFaults({ ...counts, restarts: Number(restarts) }, random);
    for (const [i, fault] of faults.entries()) {
      await strike(fault, place);
      // While the way is broken: whether it was written the agent may not hear.
      const jws = await operator.sign();
      const first = agent.offer(jws);
      if (random.below(2) === 0) await first;
      await mend(place);
      if (!(await first)) await agent.land(jws);
      handed += 1;
      await agent.level(operator.version, await operator.revision());
      if (!(await operator.equalsDump()) || agent.fold !== operator.fold) unequal += 1;
      if (i % 10 === 9) report.event(`${i + 1} faults, version ${operator.version}`);
    }
    report.equal('faults, each with a commit handed over meanwhile', handed, faults.length);
  } finally {
    await agent.stop();
    operator.close();
    broken.close();
    calm.close();
    await proxy.close();
    await stop();
  }
  report.event(`${agent.retries} times the agent could not say whether one had landed`);
  report.atLeast('commits that it could not answer at once', agent.retries, 1, '');
  report.equal('states unlike the dump, or unlike the operator’s', unequal, 0);
  report.equal('answers but landed and unavailable', agent.odd.join(), '');
  report.equal('alarms that nothing here explains', agent.alarms(), '');
}

const report = new Report('agent-faults', say);
await prove(report);
const finished = report.finish();
if (options.json) process.stdout.write(`${JSON.stringify(finished)}\n`);
// At once: Node 26 spins for ever in its own clean-up over a TLS connection that was half open.
process.exit(finished.ok ? 0 : 1);
