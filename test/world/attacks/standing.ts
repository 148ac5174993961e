// Where everybody stands: version, manifest and records of agents and stores, versions of edges,
// and every key under etcd's `control/`. Two such pictures are equal when nothing has changed.

import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { EDGES, SITES } from '../demo.ts';
import { STORES } from '../edge-host.ts';
import { until } from '../wait.ts';
import type { World } from '../world.ts';
import { NOTICE_DEADLINE_MS } from './bench.ts';

export const CONTROL = '/portolan/demo/control/';
const REJECTED = `${CONTROL}rejected/`;

/** What is compared, by whose it is. */
export type Standing = ReadonlyMap<string, string>;

const TENANTS = ['acme', 'globex', 'looted'];
const ROWS = {
  commits: 'SELECT version, jws, manifest FROM commits ORDER BY version',
  pieces: 'SELECT digest, text, retired FROM pieces ORDER BY digest',
  floor: 'SELECT generation, version, jws FROM floor',
  trust: 'SELECT version, jws FROM trust ORDER BY version',
} as const;

type AgentStatus = {
  readonly trust: string;
  readonly head: { readonly version: string };
  readonly active: { readonly version: string; readonly manifest: string } | null;
};

export async function standingOf(world: World): Promise<Standing> {
  const parts = await Promise.all([
    ...SITES.map(async (site) => {
      const { trust, head, active } = (await world.agentStatus(site)) as AgentStatus;
      const { version, manifest } = active ?? {};
      const records = TENANTS.map((id) => world.askAgent(site, `/v1/provisioning/${id}`));
      const told = { trust, head, version, manifest, records: await Promise.all(records) };
      return [`agent ${site}`, JSON.stringify(told)] as const;
    }),
    ...EDGES.map(async (id) => {
      const { edge } = await world.probe(id);
      return [`edge ${id}`, `${edge.version}`] as const;
    }),
    ...STORES.map(async (id) => [`store ${id}`, await rowsOf(world, id)] as const),
  ]);
  return new Map(parts);
}

/** Whose part is another now; '' when nobody's is. */
export function changes(before: Standing, after: Standing): string {
  return [...before.keys()].filter((who) => before.get(who) !== after.get(who)).join(', ');
}

/** Resolves when every agent, store and edge has `version` active. */
export async function untilLevel(world: World, version: bigint): Promise<void> {
  await until(
    `everybody stands on version ${version}`,
    async () => {
      const statuses = await Promise.all(SITES.map((site) => world.agentStatus(site)));
      const probes = await Promise.all(EDGES.map((id) => world.probe(id)));
      const found = [
        ...(statuses as unknown as AgentStatus[]).flatMap(({ head, active }) => [
          head.version,
          active?.version,
        ]),
        ...probes.flatMap(({ edge, stores }) => [
          edge.version,
          ...stores.flatMap(({ head, floor }) => [head?.version, floor?.version]),
        ]),
      ];
      if (found.every((one) => `${one}` === `${version}`)) return true;
      throw new Error(found.join());
    },
    { deadlineMs: 2 * NOTICE_DEADLINE_MS },
  );
}

export type Dump = {
  /** By key; JSON as it stands. */
  readonly kept: ReadonlyMap<string, string>;
  /** What lies under `rejected/`. */
  readonly rejected: readonly string[];
};

/** Read past Portolan, with the operators' certificate. */
export async function dumpOf(world: World): Promise<Dump> {
  const { kvs = [] } = await world.etcd.as('operator')('get', '--prefix', CONTROL);
  const pairs = kvs.map(({ key, value = '' }) => [text(key), text(value)] as const);
  return {
    kept: new Map(pairs.filter(([key]) => !key.startsWith(REJECTED))),
    rejected: pairs.filter(([key]) => key.startsWith(REJECTED)).map(([, value]) => value),
  };
}

/** Keys that differ, below `control/`. */
export function differences(before: Dump, after: Dump): readonly string[] {
  const keys = new Set([...before.kept.keys(), ...after.kept.keys()]);
  return [...keys]
    .filter((key) => before.kept.get(key) !== after.kept.get(key))
    .map((key) => key.slice(CONTROL.length));
}

async function rowsOf(world: World, store: string): Promise<string> {
  const file = String(await world.edgeHost.ask({ storeFile: store }));
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    const hash = createHash('sha256');
    for (const select of Object.values(ROWS)) hash.update(JSON.stringify(db.prepare(select).all()));
    return hash.digest('hex');
  } finally {
    db.close();
  }
}

function text(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
