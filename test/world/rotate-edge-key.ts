// The exchange of the edge's key as docs/UPGRADES.md has it: its commands of `portolan`, word by
// word; what `wrangler secret` does in production is here a store that starts again with variables.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { portolan } from '../cli/portolan.ts';
import { STORES } from './edge-host.ts';
import type { Report } from './report.ts';
import { until } from './wait.ts';
import type { World } from './world.ts';

const PATIENCE_MS = 30_000;

/** `commit` lands one, and every location comes to stand on it. */
export async function rotateEdgeKey(
  world: World,
  report: Report,
  commit: (what: string) => Promise<void>,
): Promise<void> {
  const { paths, keys } = world.deployment.project;
  const env = { PORTOLAN_AGENTS: agentsOf(world) };
  const say = async (...args: readonly string[]) => {
    const { exit, stdout, stderr } = await portolan(args, { cwd: paths.folder, env });
    const said = exit === 0 ? 'fine' : `${exit} ${stderr}`;
    report.equal(`portolan ${args.slice(0, 2).join(' ')}`, said, 'fine');
    return stdout;
  };
  const [old] = await signersOf(world);
  const { x, kid } = JSON.parse(await say('keys', 'new', '--out', 'keys/edge-2.jwk', '--json')) as {
    x: string;
    kid: string;
  };
  const secret = await readFile(join(paths.folder, 'keys/edge-2.jwk'), 'utf8');
  await putSecrets(world, { EDGE_NEXT_KEY: secret });
  await commit('with both keys');
  await untilSignedBy(world, `${old}`);
  report.event('stores have both keys, and sign with the old one');
  await say('trust', 'draft', '--set', `edge/edge=${x}`, '--out', 'next-trust.json');
  for (const root of keys.roots) await say('trust', 'sign', 'next-trust.json', '--key', root);
  await say('trust', 'publish', 'next-trust.json');
  await commit('under the new trust');
  await untilSignedBy(world, kid);
  report.event('stores sign with the new key');
  await putSecrets(world, { EDGE_KEY: secret, EDGE_NEXT_KEY: '' });
  await commit('without the old key');
  await untilSignedBy(world, kid);
  await checkHeard(world, report);
}

function agentsOf({ agents }: World): string {
  return [...agents.values()].map(({ ready }) => `http://127.0.0.1:${ready['api']}`).join(',');
}

/** One store after the other, as a deploy does it. */
async function putSecrets(world: World, vars: Readonly<Record<string, string>>): Promise<void> {
  for (const id of STORES) {
    await world.edgeHost.ask({ stop: `store-${id}` });
    await world.edgeHost.ask({ start: `store-${id}`, vars });
  }
}

/** Whose key signed the newest receipt of each store. */
async function signersOf(world: World): Promise<readonly (string | undefined)[]> {
  const { stores } = await world.probe('fra');
  return stores.map(({ receipts = [] }) => {
    const newest = receipts.at(-1) as { readonly signatures: readonly Signature[] } | undefined;
    const [signature] = newest?.signatures ?? [];
    if (signature === undefined) return undefined;
    const header = Buffer.from(signature.protected, 'base64url').toString('utf8');
    return (JSON.parse(header) as { kid: string }).kid;
  });
}

type Signature = { readonly protected: string };

async function untilSignedBy(world: World, kid: string): Promise<void> {
  await until(
    `the newest receipt of every store is by ${kid}`,
    async () => {
      const found = await signersOf(world);
      if (found.length === STORES.length && found.every((one) => one === kid)) return true;
      throw new Error(found.join());
    },
    { deadlineMs: PATIENCE_MS },
  );
}

/** Agents could follow every chain through the exchange. */
async function checkHeard(world: World, report: Report): Promise<void> {
  const { stores, alarms } = (await world.agentStatus('eu1')) as {
    readonly stores: readonly { readonly missing: string }[];
    readonly alarms: Readonly<Record<string, number>>;
  };
  const missing = stores.reduce((sum, store) => sum + Number(store.missing), 0);
  report.equal('receipts that eu1 never heard', missing, 0);
  const bad = Object.keys(alarms).filter((code) => code.startsWith('receipt'));
  report.equal('alarms about receipts', bad.join(), '');
}
