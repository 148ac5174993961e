// The first keys and what they sign: the trust document, and each agent's permission to start from
// nothing. A deployment begins with every role filled, because a role without a key cannot be given
// one later without the others.

import { assert } from '../../shared/assert.ts';
import { type Join, joinKind } from '../../shared/control/join.ts';
import { type Jws, signJws } from '../../shared/control/jws.ts';
import { type TrustDocument, trustKind } from '../../shared/control/trust.ts';
import type { Signer } from '../../shared/crypto.ts';
import { newKey, type PrivateJwk, signerOf } from '../adapters/crypto.ts';
import type { Config } from './config-schema.ts';

export interface NewKey {
  /** File name below `keys/`. */
  readonly file: string;
  readonly jwk: PrivateJwk;
  readonly x: string;
  readonly signer: Signer;
}

export interface AgentKey extends NewKey {
  readonly site: string;
  readonly agent: string;
}

export interface KeySet {
  readonly roots: readonly [NewKey, NewKey];
  readonly operator: NewKey;
  readonly approvers: readonly [NewKey, NewKey];
  readonly provisioner: NewKey;
  readonly recovery: NewKey;
  readonly edge: NewKey;
  readonly agents: readonly AgentKey[];
}

/** Names in the trust document and, with `.jwk`, in `keys/`. */
const OPERATOR = 'operator';
const PROVISIONER = 'provisioner';
const EDGE = 'edge';
const RECOVERY = 'recovery';

export function newKeySet(config: Config, agentsPerSite: number): KeySet {
  const agents = Object.keys(config.sites).flatMap((site) =>
    Array.from({ length: agentsPerSite }, (_, i) => {
      const agent = `${site}-${i + 1}`;
      // A site may be called `root`: agents' files have a prefix of their own.
      return { ...keyFor(`agent-${agent}`), site, agent };
    }),
  );
  return {
    roots: [keyFor('root-1'), keyFor('root-2')],
    operator: keyFor(OPERATOR),
    approvers: [keyFor('approver-1'), keyFor('approver-2')],
    provisioner: keyFor(PROVISIONER),
    recovery: keyFor(RECOVERY),
    edge: keyFor(EDGE),
    agents,
  };
}

export function allKeys(keys: KeySet): readonly NewKey[] {
  const { roots, operator, approvers, provisioner, recovery, edge, agents } = keys;
  return [...roots, operator, ...approvers, provisioner, recovery, edge, ...agents];
}

/** Signed by both root keys. */
export function signedTrust(config: Config, keys: KeySet): Promise<Jws> {
  const { roots, operator, approvers, provisioner, recovery, edge, agents } = keys;
  const sites = Object.keys(config.sites).map((site) => {
    const own = agents.filter((agent) => agent.site === site);
    return [site, { agents: Object.fromEntries(own.map(({ agent, x }) => [agent, x])) }] as const;
  });
  const document: TrustDocument = {
    kind: 'trust',
    cluster: config.cluster,
    version: 1n,
    previous: null,
    threshold: config.threshold,
    root: { threshold: roots.length, keys: named('root', roots) },
    operators: { [OPERATOR]: operator.x },
    approvers: { threshold: approvers.length, keys: named('approver', approvers) },
    provisioners: { [PROVISIONER]: provisioner.x },
    recovery: { threshold: 1, keys: { [RECOVERY]: recovery.x } },
    sites: Object.fromEntries(sites),
    edges: { [EDGE]: edge.x },
  };
  return signJws(
    trustKind.typ,
    document,
    roots.map(({ signer }) => signer),
  );
}

/** The operator's word that a first agent may start from the state before the first commit. */
export function signedJoin(
  { cluster }: Config,
  { site, agent }: AgentKey,
  operator: NewKey,
): Promise<Jws> {
  const document: Join = {
    kind: 'join',
    cluster,
    site,
    agent,
    generation: 1n,
    version: 0n,
    envelope: null,
  };
  return signJws(joinKind.typ, document, [operator.signer]);
}

function keyFor(name: string): NewKey {
  const { jwk, x } = newKey();
  const signer = signerOf(JSON.stringify(jwk));
  assert(signer !== null, 'a new key signs');
  return { file: `${name}.jwk`, jwk, x, signer };
}

function named(role: string, keys: readonly NewKey[]): Record<string, string> {
  return Object.fromEntries(keys.map(({ x }, i) => [`${role}-${i + 1}`, x]));
}
