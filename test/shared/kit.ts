// What tests of control state share: deterministic keys, a trust document, commits and attestations
// signed by them. Runs in Node and in workerd.

import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { encodeBase64url } from '../../shared/base64url.ts';
import type { Attestation } from '../../shared/control/attestation.ts';
import { attestationKind } from '../../shared/control/attestation.ts';
import type { ChangeClass, Envelope, Operation } from '../../shared/control/envelope.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import type { Holder } from '../../shared/control/holder.ts';
import {
  admitCommit,
  emptyHolder,
  screenCommit,
  verifyCommit,
} from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { signJws } from '../../shared/control/jws.ts';
import { thumbprint } from '../../shared/control/keys.ts';
import type { MapNode } from '../../shared/control/merkle-map.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import type { Writes } from '../../shared/control/state.ts';
import {
  openTrust,
  type Trust,
  type TrustDocument,
  trustKind,
} from '../../shared/control/trust.ts';
import { draft } from '../../shared/control/validity.ts';
import type { Crypto, Signer } from '../../shared/crypto.ts';
import type { Digest } from '../../shared/digest.ts';
import { isStrictSignature } from '../../shared/ed25519.ts';

export const crypto: Crypto = {
  sha256: (bytes) => createHash('sha256').update(bytes).digest(),
  async verify(key, bytes, signature) {
    if (!isStrictSignature(signature)) return false;
    try {
      const jwk = { kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(key) };
      return verify(null, bytes, createPublicKey({ key: jwk, format: 'jwk' }), signature);
    } catch {
      return false;
    }
  },
};

export interface TestKey extends Signer {
  /** Public key in base64url. */
  readonly x: string;
}

// PKCS #8 of an Ed25519 seed (RFC 8410): a fixed prefix, then the 32 bytes.
const PKCS8_PREFIX = '302e020100300506032b657004220420';

/** The same name gives the same key, always. Never used outside tests. */
export function keyNamed(name: string): TestKey {
  const seed = createHash('sha256').update(`test key ${name}`).digest();
  const der = Buffer.concat([Buffer.from(PKCS8_PREFIX, 'hex'), seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const x = String(createPublicKey(key).export({ format: 'jwk' }).x);
  return { x, kid: thumbprint(x, crypto), sign: async (bytes) => sign(null, bytes, key) };
}

export const SITES = ['eu1', 'us1', 'w1'] as const;
export type SiteName = (typeof SITES)[number];

export function agentKey(site: string): TestKey {
  return keyNamed(`agent ${site}-1`);
}

export function trustDocument(changes: Partial<TrustDocument> = {}): TrustDocument {
  const sites = SITES.map((site) => [site, { agents: { [`${site}-1`]: agentKey(site).x } }]);
  return {
    kind: 'trust',
    cluster: 'demo',
    version: 1n,
    previous: null,
    threshold: 2,
    root: { threshold: 2, keys: { r1: keyNamed('root r1').x, r2: keyNamed('root r2').x } },
    operators: { alice: keyNamed('alice').x, bob: keyNamed('bob').x },
    approvers: { threshold: 2, keys: { p1: keyNamed('p1').x, p2: keyNamed('p2').x } },
    provisioners: { shop: keyNamed('shop').x },
    recovery: { threshold: 1, keys: { rec: keyNamed('rec').x } },
    sites: Object.fromEntries(sites),
    edges: { edge: keyNamed('edge').x },
    ...changes,
  };
}

export function signTrust(document: TrustDocument, names = ['root r1', 'root r2']): Promise<Jws> {
  return signJws(trustKind.typ, document, names.map(keyNamed));
}

export async function testTrust(): Promise<Trust> {
  const trust = await openTrust(await signTrust(trustDocument()), crypto);
  if ('code' in trust) throw new Error(`test trust: ${trust.code} ${trust.detail}`);
  return trust;
}

/** The first commit's operations: two regions, a witness, two scopes, one policy, two tenants. */
export const FIRST: readonly Operation[] = [
  put('global/sites/eu1', region(1, [50.11, 8.68], 'https://gw.eu1.example')),
  put('global/sites/us1', region(2, [39.04, -77.49], 'https://gw.us1.example')),
  put('global/sites/w1', { region: false }),
  put('global/scopes/eu', { regions: ['eu1'], ingress: 'any' }),
  put('global/scopes/atlantic', { regions: ['eu1', 'us1'], ingress: 'any' }),
  put('global/policies/std', {
    replicaReads: true,
    mode: 'enforce',
    hardAgeS: { write: 60, read: 300, revocation: 60 },
    slowStartS: 60,
    sessionPaths: ['/session'],
  }),
  ...tenantPuts('acme', { hosts: ['*.acme.example', 'acme.example'], scope: 'eu', home: 'eu1' }),
  ...tenantPuts('globex', { hosts: ['globex.example'], scope: 'atlantic', home: 'us1' }),
];

export function put(key: string, value: unknown): Operation {
  return { op: 'put', key, value };
}

export function region(slot: number, at: readonly [number, number], gateway: string): unknown {
  return { region: true, slot, at, gateway, capacity: 100, zones: ['a', 'b'] };
}

export function tenantPuts(
  id: string,
  { hosts, scope, home }: { hosts: readonly string[]; scope: string; home: 'eu1' | 'us1' },
): readonly Operation[] {
  const epoch = home === 'eu1' ? 1n : 2n;
  return [
    put(`tenants/${id}/tenant`, { hosts, scope, policy: 'std', priority: 1 }),
    put(`tenants/${id}/placement`, { home, epoch, state: 'ACTIVE' }),
  ];
}

/** A holder with its nodes, as a shell keeps them. */
export interface TestHolder {
  holder: Holder;
  readonly nodes: Map<Digest, MapNode>;
  readonly commits: Jws[];
}

export function newHolder(trust: Trust): TestHolder {
  const { holder, writes } = emptyHolder(trust, crypto);
  return { holder, nodes: new Map(writes.nodes), commits: [] };
}

/** Signs the next commit on top of `held` without admitting it. `changes` forge the envelope. */
export async function signCommit(
  held: TestHolder,
  operations: readonly Operation[],
  changes: Partial<Envelope> = {},
  signer: Signer = keyNamed('alice'),
): Promise<Jws> {
  const { state, trust } = held.holder;
  const drafted = draft(state, operations, trust, (digest) => held.nodes.get(digest), crypto);
  const next = 'code' in drafted ? state : drafted.state;
  const envelope: Envelope = {
    kind: 'commit',
    cluster: trust.cluster,
    generation: state.manifest.generation,
    version: state.manifest.version + 1n,
    previous: state.envelope,
    lamport: state.manifest.lamport + 1n,
    trust: trust.document.version,
    class: 'normal' satisfies ChangeClass,
    author: 'alice',
    reason: 'test',
    opId: `op-${state.manifest.version + 1n}-test`,
    operations: [...operations],
    manifest: next.manifestDigest,
    approvals: [],
    ...changes,
  };
  return signJws(envelopeKind.typ, envelope, [signer]);
}

/** Screens, verifies and admits one commit, as every shell does. */
export async function receive(held: TestHolder, jws: unknown): Promise<Writes | Refusal | 'known'> {
  const screened = screenCommit(held.holder, jws, 0, crypto);
  if (screened.kind === 'refused') return screened;
  if (screened.kind === 'known') return 'known';
  const verified = await verifyCommit(screened.decoded, held.holder.trust, crypto);
  if ('code' in verified) return verified;
  const admitted = admitCommit(held.holder, verified, (digest) => held.nodes.get(digest), crypto);
  if (admitted.kind === 'refused') return admitted;
  for (const [digest, node] of admitted.writes.nodes) held.nodes.set(digest, node);
  held.holder = admitted.holder;
  held.commits.push(admitted.link.jws);
  return admitted.writes;
}

/** Signs and admits; throws on a refusal. */
export async function commit(held: TestHolder, operations: readonly Operation[]): Promise<Writes> {
  const outcome = await receive(held, await signCommit(held, operations));
  if (outcome === 'known' || 'code' in outcome) throw new Error(JSON.stringify(outcome));
  return outcome;
}

/** An attestation of what `held` has, by the agent of `site`. */
export function attest(
  held: TestHolder,
  site: SiteName,
  nowMs: number,
  changes: Partial<Attestation> = {},
  signer: Signer = agentKey(site),
): Promise<Jws> {
  const { manifest, envelope } = held.holder.state;
  const attestation: Partial<Attestation> = {
    kind: 'attestation',
    cluster: manifest.cluster,
    site,
    agent: `${site}-1`,
    seq: BigInt(nowMs),
    issuedAt: nowMs,
    expiresAt: nowMs + 15_000,
    mode: 'live',
    generation: manifest.generation,
    version: manifest.version,
    ...(envelope === null ? {} : { envelope }),
    commitIndex: manifest.version,
    term: 0n,
    observations: { regions: { eu1: 'up', us1: 'up' } },
    load: {},
    ...changes,
  };
  return signJws(attestationKind.typ, attestation, [signer]);
}
