// Attacks on the way from agents to the edge: forged and altered deltas at the ingest, and one
// stolen agent whose own signature is good.

import type { Attestation } from '../../../shared/control/attestation.ts';
import { sealDelta } from '../../../shared/control/delta.ts';
import { digestOf } from '../../../shared/digest.ts';
import { DELTA_BYTES_MAX } from '../../../shared/limits.ts';
import { attest, crypto, keyNamed, receive } from '../../shared/kit.ts';
import { until } from '../wait.ts';
import { type Bench, flipLast, NOTICE_DEADLINE_MS, withSignature } from './bench.ts';

const NOTHING = { commits: [], attestations: [] };

export async function attackDeltas(bench: Bench): Promise<void> {
  await attackAsStranger(bench);
  await attackAsStolenAgent(bench);
  await attackWithFork(bench);
}

/** Refused before a store is touched. */
async function attackAsStranger(bench: Bench): Promise<void> {
  const { world } = bench;
  const good = await world.seal('w1', NOTHING);
  const from = { cluster: 'demo', site: 'w1', agent: 'w1-1' };
  const delta = { v: 1, trust: [], commits: [], attestations: [] } as const;
  const own = await world.agentSigner('w1');
  const bodies: readonly (readonly [string, number, string, string])[] = [
    [
      'a sender that trust does not name',
      403,
      'key-unknown',
      await sealDelta(delta, from, keyNamed('stranger'), crypto),
    ],
    [
      "an operator's key as sender",
      403,
      'key-unknown',
      await sealDelta(delta, from, bench.operator, crypto),
    ],
    ['a body changed after signing', 403, 'sender', good.replace('"commits":[]', '"commits":[1]')],
    [
      'another site named',
      403,
      'sender',
      await sealDelta(delta, { ...from, site: 'eu1' }, own, crypto),
    ],
    [
      'another cluster',
      403,
      'cluster',
      await sealDelta(delta, { ...from, cluster: 'other' }, own, crypto),
    ],
    ['an unknown format', 403, 'version-unsupported', good.replace('"v":1', '"v":7')],
    ['half a body', 403, 'malformed', good.slice(0, 100)],
    ['a size beyond the bound', 413, 'too-large', ' '.repeat(DELTA_BYTES_MAX + 1)],
  ];
  for (const [name, status, code, body] of bodies) {
    const answer = await world.push('fra', body);
    bench.report.equal(
      `delta: ${name}`,
      `${answer.status} ${answer.text}`,
      `${status} {"code":"${code}"}`,
    );
  }
  await bench.unchanged('deltas of strangers');
}

/** The sender is real; what it carries is not. Every store refuses it under its code. */
async function attackAsStolenAgent(bench: Bench): Promise<void> {
  const commit = await bench.commit();
  const words: readonly (readonly [string, string, Partial<Attestation>])[] = [
    ['speaking for another site', 'site', { site: 'eu1' }],
    ['another agent named', 'author', { agent: 'eu1-1' }],
    [
      'an attestation from the future',
      'attestation-clock',
      { issuedAt: Date.now() + 60_000, expiresAt: Date.now() + 70_000 },
    ],
    [
      'an expired attestation',
      'attestation-expired',
      { issuedAt: Date.now() - 60_000, expiresAt: Date.now() - 50_000 },
    ],
    ['an attestation of a long life', 'attestation-life', { expiresAt: Date.now() + 600_000 }],
    ['an attestation for another cluster', 'cluster', { cluster: 'other' }],
    ['an old attestation again', 'attestation-old', { seq: 1n }],
  ];
  const own = await bench.world.agentSigner('w1');
  for (const [name, code, changes] of words) {
    const jws = await attest(bench.held, 'w1', Date.now(), changes, own);
    await refusedByStores(bench, name, code, { commits: [], attestations: [jws] });
  }
  const stranger = await attest(bench.held, 'w1', Date.now(), {}, keyNamed('stranger'));
  await refusedByStores(bench, 'an attestation by nobody', 'key-unknown', {
    commits: [],
    attestations: [stranger],
  });
  const broken = withSignature(commit, flipLast);
  await refusedByStores(bench, 'a commit with a changed signature', 'signature', {
    commits: [broken],
    attestations: [],
  });
  const far = await bench.commit({ version: 9n });
  await refusedByStores(bench, 'a commit out of order', 'gap', {
    commits: [far],
    attestations: [],
  });
  const other = await bench.commit({ manifest: digestOf('another', crypto) });
  await refusedByStores(bench, 'a commit with another digest', 'manifest', {
    commits: [other],
    attestations: [],
  });
  await bench.unchanged('deltas of a stolen agent');
}

async function refusedByStores(
  bench: Bench,
  name: string,
  code: string,
  carried: { readonly commits: readonly unknown[]; readonly attestations: readonly unknown[] },
): Promise<void> {
  const { status, text } = await bench.world.push('nrt', await bench.world.seal('w1', carried));
  const { stores } = JSON.parse(text) as {
    stores: readonly { readonly refused: readonly string[] }[];
  };
  const codes = stores.map(({ refused }) => refused.join());
  bench.report.equal(
    `delta: ${name}`,
    `${status} ${codes.join(' ')}`,
    `200 ${code} ${code} ${code}`,
  );
}

/**
 * An operator signed this commit and nobody decided it: the loser of a race, say. One agent brings
 * it to the stores and attests it. It must not become active, and must not keep the right one out
 * (I16).
 */
async function attackWithFork(bench: Bench): Promise<void> {
  const { world, report } = bench;
  const fork = await bench.commit({ reason: 'the loser of a race' });
  const right = await bench.commit({ reason: 'the winner' }, bench.operator, [
    { op: 'put', key: 'global/latency/nrt', value: { eu1: 90, us1: 110 } },
  ]);
  const own = await world.agentSigner('w1');
  const forged = { version: 2n, envelope: digestOfPayload(fork.payload) };
  const word = await attest(bench.held, 'w1', Date.now() + 1_000, forged, own);
  await world.push('nrt', await world.seal('w1', { commits: [fork], attestations: [word] }));
  const { stores } = await world.probe('fra');
  const floors = stores.map(({ floor }) => floor?.version.toString()).join(' ');
  report.equal("delta: one agent's word for an undecided commit: floors", floors, '1 1 1');
  await bench.unchanged("one agent's word for an undecided commit");
  await world.deployment.control.append(2n, right);
  await receive(bench.held, right);
  bench.version = 2n;
  const outcome = await until(
    'every store comes to the decided commit',
    async () => {
      const probe = await world.probe('fra');
      return probe.stores.every(({ floor }) => floor?.version === 2n) && probe.edge.version === 2n;
    },
    { deadlineMs: NOTICE_DEADLINE_MS },
  ).then(() => 'decided', String);
  report.equal('delta: the decided commit afterwards', outcome, 'decided');
}

function digestOfPayload(payload: string) {
  return digestOf(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')), crypto);
}
