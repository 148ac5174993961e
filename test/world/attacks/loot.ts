// What somebody who listens can send again: made by the world itself, whole, signed, taken once.

import type { Attestation } from '../../../shared/control/attestation.ts';
import type { Jws } from '../../../shared/control/jws.ts';
import type { Step } from '../../../shared/control/step.ts';
import { signStep } from '../../shared/provisioning.ts';
import { EDGES } from '../demo.ts';
import { untilEdges } from '../sites.ts';
import { until } from '../wait.ts';
import { type Bench, NOTICE_DEADLINE_MS } from './bench.ts';
import { shopOf, tenant } from './updates.ts';

export type Loot = {
  /** Of w1; it has said newer things since. */
  readonly attestation: Jws;
  /** Sent by w1, with that attestation in it. */
  readonly delta: string;
  /** It has landed. */
  readonly step: Step;
};

export async function loot(bench: Bench): Promise<Loot> {
  const { world } = bench;
  const step = tenant('looted');
  const posted = await world.post(
    'eu1',
    '/v1/tenants',
    JSON.stringify(await signStep(step, [await shopOf(bench)])),
  );
  bench.report.equal('a step that lands', `${posted.status}`, '200');
  await bench.follow();
  await untilEdges(world, bench.version, EDGES, NOTICE_DEADLINE_MS);
  const attestation = await newestOf(bench);
  const delta = await world.seal('w1', { commits: [], attestations: [attestation] });
  await until('w1 says something newer', async () => isOlder(attestation, await newestOf(bench)), {
    deadlineMs: NOTICE_DEADLINE_MS,
  });
  return { attestation, delta, step };
}

async function newestOf({ world }: Bench): Promise<Jws> {
  const { attestations } = (await world.askAgent('eu1', '/v1/attestations')) as {
    readonly attestations: readonly Jws[];
  };
  const own = attestations.find((jws) => wordIn(jws).site === 'w1');
  if (own === undefined) throw new Error('eu1 has heard nothing of w1');
  return own;
}

function isOlder(one: Jws, other: Jws): boolean {
  return BigInt(wordIn(one).seq) < BigInt(wordIn(other).seq);
}

function wordIn({ payload }: Jws): Pick<Attestation, 'site' | 'seq'> {
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
}
