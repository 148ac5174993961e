// Attacks on the directory of commits: whoever can write there puts something in place of the next
// commit, or of the newest one.

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../../shared/digest.ts';
import { COMMIT_BYTES_MAX } from '../../../shared/limits.ts';
import { crypto, keyNamed } from '../../shared/kit.ts';
import { type Bench, flipLast, withSignature } from './bench.ts';

interface DirectoryAttack {
  readonly name: string;
  readonly code: string;
  /** Text of the file of the next version. */
  readonly forge: (bench: Bench) => Promise<string>;
}

const OTHER = digestOf('another', crypto);

const WIDER = {
  op: 'put',
  key: 'global/scopes/eu',
  value: { regions: ['eu1', 'us1'], ingress: 'any' },
} as const;

const ATTACKS: readonly DirectoryAttack[] = [
  attack('a key that trust does not name', 'key-unknown', (b) =>
    b.commit({}, keyNamed('stranger')),
  ),
  attack("an agent's key as author", 'approvals', async (b) => {
    return b.commit({}, await b.world.agentSigner('w1'));
  }),
  attack('another author named', 'author', (b) => b.commit({ author: 'somebody' })),
  attack('a changed signature', 'signature', async (b) =>
    withSignature(await b.commit(), flipLast),
  ),
  attack('a version too far', 'gap', (b) => b.commit({ version: b.version + 2n })),
  attack('another commit before it', 'previous', (b) => b.commit({ previous: OTHER })),
  attack('another resulting digest', 'manifest', (b) => b.commit({ manifest: OTHER })),
  attack('another cluster', 'cluster', (b) => b.commit({ cluster: 'other' })),
  attack('another generation', 'generation', (b) => b.commit({ generation: 2n })),
  attack('another logical clock', 'lamport', (b) => b.commit({ lamport: 99n })),
  attack('padding in the encoding', 'encoding', async (b) => {
    const jws = await b.commit();
    return { ...jws, payload: `${jws.payload}=` };
  }),
  attack('a size beyond the bound', 'too-large', async (b) => {
    return { ...(await b.commit()), payload: 'A'.repeat(COMMIT_BYTES_MAX * 2) };
  }),
  attack('residency widened as a normal change', 'class', (b) => b.commit({}, b.operator, [WIDER])),
  attack('residency widened without approvals', 'safety', (b) => {
    return b.commit({ class: 'safety' }, b.operator, [WIDER]);
  }),
  { name: 'directory: half a file', code: 'malformed', forge: async () => '{"payload":"' },
];

export async function attackDirectory(bench: Bench): Promise<void> {
  for (const { name, code, forge } of ATTACKS) {
    const path = fileOf(bench, bench.version + 1n);
    const before = await bench.alarms(code);
    await writeFile(path, await forge(bench));
    await bench.noticed(name, async () => rose(before, await bench.alarms(code)));
    await bench.unchanged(name);
    await rm(path);
  }
  await attackHead(bench, 'directory: the newest commit replaced', 'equivocation', async (path) => {
    const forged = await bench.commit({ version: bench.version, previous: null });
    await writeFile(path, JSON.stringify(forged));
  });
  await attackHead(bench, 'directory: the newest commit removed', 'rollback', (path) => rm(path));
}

async function attackHead(
  bench: Bench,
  name: string,
  code: string,
  tamper: (path: string) => Promise<void>,
): Promise<void> {
  const path = fileOf(bench, bench.version);
  const text = await readFile(path, 'utf8');
  const before = await bench.alarms(code);
  await tamper(path);
  await bench.noticed(name, async () => rose(before, await bench.alarms(code)));
  await bench.unchanged(name);
  await writeFile(path, text);
}

function attack(
  name: string,
  code: string,
  forge: (bench: Bench) => Promise<unknown>,
): DirectoryAttack {
  return {
    name: `directory: ${name}`,
    code,
    forge: async (bench) => JSON.stringify(await forge(bench)),
  };
}

function fileOf(bench: Bench, version: bigint): string {
  const name = `${version.toString().padStart(16, '0')}.json`;
  return join(bench.world.deployment.project.paths.control, 'commits', name);
}

/** Every agent noticed it for itself. */
function rose(before: readonly number[], after: readonly number[]): boolean {
  return after.every((count, i) => count > (before[i] ?? 0));
}
