// A question to `explain`, as the facts and the scene of a request that nobody sent. What was not
// said is assumed and listed, so that an answer is never taken for more than it is.

import { clientNetwork } from '../../shared/admission/client-network.ts';
import { type Facts, factsSchema } from '../../shared/admission/facts.ts';
import type { OperationClass } from '../../shared/admission/operation.ts';
import { normalisePath } from '../../shared/admission/path.ts';
import { lookUpId } from '../../shared/admission/tenant.ts';
import { assert } from '../../shared/assert.ts';
import { entriesOf } from '../../shared/control/merkle-map.ts';
import type { Verdict } from '../../shared/health/verdict.ts';
import type { Scene } from '../../shared/steering/scene.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { centreOf } from './countries.ts';
import { CliError } from './exit.ts';
import { hint } from './nearest.ts';
import type { State } from './state.ts';

export interface Question {
  readonly tenant: string;
  readonly op: OperationClass;
  /** ISO country code. */
  readonly from?: string | undefined;
  readonly at?: readonly [number, number] | undefined;
  readonly colo?: string | undefined;
  readonly path?: string | undefined;
  readonly client?: string | undefined;
  readonly down: readonly string[];
}

export interface Asked {
  readonly facts: Facts;
  readonly scene: Scene;
  readonly assumed: readonly string[];
}

type KnownTenant = Extract<Scene['tenant'], { kind: 'known' }>;

const METHODS = { read: 'GET', write: 'POST', session: 'GET' } as const;

/** Throws CliError: tenant-unknown, usage (a region, a path that are none). */
export function ask(state: State, question: Question): Asked {
  const tenant = tenantOf(state, question.tenant);
  const at = question.at ?? (question.from === undefined ? null : centreOf(question.from));
  const assumed = [
    `verdicts: every region ${question.down.length > 0 ? 'not named by --down ' : ''}up`,
    'age of the state: 0 s',
    ...(question.client === undefined ? ['client: any (--client decides between equals)'] : []),
    ...(question.at === undefined && at !== null ? [`place: the middle of ${question.from}`] : []),
    ...(at === null && question.colo === undefined
      ? ['place: unknown (--at, --from, --colo)']
      : []),
  ];
  return { facts: factsOf(question, tenant, at), scene: sceneOf(state, question, tenant), assumed };
}

function tenantOf({ holder, pieces }: State, id: string): KnownTenant {
  const { manifest } = holder.state;
  const found = lookUpId(id, manifest, pieces.nodes, nodeCrypto);
  assert(found.kind !== 'missing', 'a full holder has every node');
  if (found.kind === 'known') return found;
  const ids = [...entriesOf(manifest.tenants, pieces.nodes)].map(([name]) => name);
  const message = `version ${manifest.version} has no tenant ${id}${hint(id, ids)}`;
  throw new CliError('tenant-unknown', message);
}

function factsOf(
  { op, from, colo, path: asked = '/', client = '' }: Question,
  { tenant }: KnownTenant,
  at: readonly [number, number] | null,
): Facts {
  const [host = ''] = tenant.hosts.toSorted((a, b) => (a < b ? 1 : -1));
  const parsed = factsSchema.safeParse({
    // A wildcard stands for one label.
    host: host.replace('*', 'www'),
    method: METHODS[op],
    // A path as the edge sees it: what follows `?` is no part of it.
    path: /[?#]/.test(asked) ? null : normalisePath(asked),
    upgrade: op === 'session',
    client: clientNetwork(client),
    ...(from === undefined ? {} : { country: from }),
    ...(colo === undefined ? {} : { colo: colo.toLowerCase() }),
    ...(at === null ? {} : { at: [...at] }),
  });
  if (!parsed.success) throw new CliError('usage', `--path ${asked}: not a path`);
  return parsed.data;
}

function sceneOf({ holder }: State, { down }: Question, tenant: KnownTenant): Scene {
  const { manifest, manifestDigest, global } = holder.state;
  const regions = Object.keys(global.sites).filter((id) => global.sites[id]?.region === true);
  for (const region of down) {
    if (regions.includes(region)) continue;
    throw new CliError('usage', `--down ${region}: no such region${hint(region, regions)}`);
  }
  const verdicts = regions.map((id): [string, Verdict] => [id, down.includes(id) ? 'down' : 'up']);
  const { cluster, generation, version, lamport } = manifest;
  return {
    // What sites attest is theirs to say: offline there is no commit index.
    basis: { cluster, generation, version, lamport, commitIndex: null, manifest: manifestDigest },
    global,
    tenant,
    verdicts: Object.fromEntries(verdicts),
    ageMs: 0,
    behind: false,
  };
}
