// The ways in, and what is seen of a bad update on each: who refused it, under which code. Who says
// so raises an alarm too (an agent's counter, a store's log, an edge's counter); where nobody does,
// the refusal is only an `answer`.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { STORES } from '../edge-host.ts';
import { until } from '../wait.ts';
import type { World } from '../world.ts';
import { type Bench, NOTICE_DEADLINE_MS } from './bench.ts';
import type { DocumentName } from './updates.ts';

/** By name: which document goes in there. */
export const WAYS = {
  'etcd commits/': 'commit',
  'etcd trust/': 'trust',
  ingest: 'delta',
  'ingest commit': 'commit',
  'ingest attestation': 'attestation',
  'ingest trust': 'trust',
  '/v1/delta': 'delta',
  '/v1/delta commit': 'commit',
  '/v1/delta attestation': 'attestation',
  '/v1/delta trust': 'trust',
  '/v1/commits': 'commit',
  '/v1/tenants': 'step',
  '/v1/cosign': 'batch',
  '/v1/trust': 'trust',
} as const satisfies Readonly<Record<string, DocumentName>>;

export type Way = keyof typeof WAYS;

/** Where deltas and requests go. */
const EDGE = 'nrt';
const AGENT = 'eu1';

type Answer = { readonly status: number; readonly text: string };

/** Sends it, and says what became of it: `stores: signature`. Not for etcd's ways. */
export async function seenOn(bench: Bench, way: Way, document: unknown): Promise<string> {
  const { world } = bench;
  const [path, part] = way.split(' ') as [string, string?];
  const body = part === undefined ? textOf(document) : await deltaWith(world, part, document);
  if (path === 'ingest') return seenAtEdge(world, body);
  if (path === '/v1/delta') return seenByAgent(bench, body);
  return answered(await world.post(AGENT, path, body));
}

async function seenAtEdge(world: World, body: string): Promise<string> {
  const [counted, logged] = [await countersAt(world), await storeAlarms(world)];
  const answer = await world.push(EDGE, body);
  if (answer.status !== 200) {
    const { code } = JSON.parse(answer.text) as { code: string };
    const counts = await countersAt(world);
    const rose = (counts[code] ?? 0) > (counted[code] ?? 0);
    return `${rose ? 'edge' : 'answer'}: ${answer.status} ${code}`;
  }
  const { stores } = JSON.parse(answer.text) as {
    readonly stores: readonly { readonly refused: readonly string[]; readonly code?: string }[];
  };
  const codes = [...new Set(stores.map(({ refused, code }) => code ?? refused.join(' ')))];
  const said = codes.join(' | ') || 'nothing';
  const alarm = `"alarm":"${codes[0]}"`;
  const before = count(logged, alarm);
  const rose = await until(
    'every store logs it',
    async () => count(await storeAlarms(world), alarm).every((n, i) => n > (before[i] ?? 0)),
    { deadlineMs: said === 'nothing' ? 0 : NOTICE_DEADLINE_MS },
  ).catch(() => false);
  return `${rose ? 'stores' : 'answer'}: ${said}`;
}

async function seenByAgent(bench: Bench, body: string): Promise<string> {
  const { world } = bench;
  const before = await alarmsOf(world);
  const answer = await world.post(AGENT, '/v1/delta', body);
  const { code, refused = [] } = JSON.parse(answer.text) as { code?: string; refused?: string[] };
  const said = code ?? refused.join(' ');
  const status = answer.status === 200 ? '' : `${answer.status} `;
  const after = await alarmsOf(world);
  const rose = (after[said] ?? 0) > (before[said] ?? 0);
  return `${rose ? 'agent' : 'answer'}: ${status}${said === '' ? 'nothing' : said}`;
}

function answered({ status, text }: Answer): string {
  const { code = '', signature } = JSON.parse(text) as { code?: string; signature?: unknown };
  return `answer: ${`${status} ${signature === undefined ? code : 'signed'}`.trimEnd()}`;
}

async function deltaWith(world: World, part: string, document: unknown): Promise<string> {
  const carried = { trust: [], commits: [], attestations: [] };
  const name = { commit: 'commits', attestation: 'attestations', trust: 'trust' }[part];
  return world.seal('w1', { ...carried, [String(name)]: [document] });
}

export function textOf(document: unknown): string {
  return typeof document === 'string' ? document : JSON.stringify(document);
}

async function alarmsOf(world: World): Promise<Readonly<Record<string, number>>> {
  const { alarms } = await world.agentStatus(AGENT);
  return alarms as Readonly<Record<string, number>>;
}

async function countersAt(world: World): Promise<Readonly<Record<string, number>>> {
  return (await world.probe(EDGE)).edge.counters;
}

function storeAlarms({ folder }: World): Promise<readonly string[]> {
  return Promise.all(
    STORES.map((id) => readFile(join(folder, 'edge', `store-${id}.log`), 'utf8').catch(() => '')),
  );
}

function count(logs: readonly string[], part: string): readonly number[] {
  return logs.map((log) => log.split(part).length - 1);
}
