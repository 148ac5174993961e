// Rotations of the kit's trust document: the next one, who signs it, and what adopts it.

import type { Jws } from '../../shared/control/jws.ts';
import type { Trust, TrustDocument } from '../../shared/control/trust.ts';
import { adoptTrust } from '../../shared/control/trust-chain.ts';
import { agentKey, crypto, keyNamed, SITES, signTrust, trustDocument } from './kit.ts';

export const ROOTS = ['root r1', 'root r2'];

/** The document after `trust`: the kit's with `changes`. */
export function documentAfter(trust: Trust, changes: Partial<TrustDocument> = {}): TrustDocument {
  const { document, digest } = trust;
  return trustDocument({ version: document.version + 1n, previous: digest, ...changes });
}

export function signedAfter(
  trust: Trust,
  changes: Partial<TrustDocument> = {},
  names: readonly string[] = ROOTS,
): Promise<Jws> {
  return signTrust(documentAfter(trust, changes), [...names]);
}

/** `trust` and the next document. Throws when it is refused. */
export async function rotated(trust: Trust, changes: Partial<TrustDocument> = {}): Promise<Trust> {
  return adopted(trust, await signedAfter(trust, changes));
}

/** `trust` with these; throws where one is refused. */
export async function adopted(trust: Trust, ...inputs: readonly unknown[]): Promise<Trust> {
  const outcome = await adoptTrust(trust, inputs, crypto);
  const [fault] = outcome.refused;
  if (fault !== undefined) throw new Error(`${fault.code}: ${fault.detail}`);
  return outcome.trust;
}

/** `count` further documents, each with another edge. */
export async function rotatedTimes(trust: Trust, count: number): Promise<Trust> {
  let held = trust;
  for (let i = 0; i < count; i++) {
    held = await rotated(held, { edges: { edge: keyNamed(`edge ${held.document.version}`).x } });
  }
  return held;
}

/** Without alice; bob commits. */
export const WITHOUT_ALICE: Partial<TrustDocument> = { operators: { bob: keyNamed('bob').x } };

/** The agent of a site with another key, under the same name. */
export function newAgentKey(site: string) {
  return keyNamed(`new agent ${site}-1`);
}

/** Documents' sites, the agents of `changed` with their new keys. */
export function sitesWith(changed: readonly string[]): TrustDocument['sites'] {
  const keyOf = (site: string) => (changed.includes(site) ? newAgentKey(site) : agentKey(site));
  return Object.fromEntries(
    SITES.map((site) => [site, { agents: { [`${site}-1`]: keyOf(site).x } }]),
  );
}
