// A question to an agent: where would this request go, by what is active here and by what the sites
// say now. The answer is a decision's record, like those that edges log, so that it can be made
// again offline from the signed commits (`portolan explain --record`).

import { clientNetwork } from '../../shared/admission/client-network.ts';
import type { Facts } from '../../shared/admission/facts.ts';
import { normalisePath } from '../../shared/admission/path.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import { assert } from '../../shared/assert.ts';
import { isBehind } from '../../shared/control/activation.ts';
import type { Hasher } from '../../shared/crypto.ts';
import { decide } from '../../shared/steering/decide.ts';
import { recordOf } from '../../shared/steering/explain.ts';
import { basisOf, verdictsOf } from '../../shared/steering/scene.ts';
import type { Standing } from '../control/hold.ts';

/** A request that nobody sent. */
export interface Inquiry {
  readonly host: string;
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly upgrade?: boolean;
  /** IP address of the client. */
  readonly client?: string;
  readonly country?: string;
  readonly colo?: string;
  /** Degrees. */
  readonly lat?: number;
  readonly lon?: number;
}

export type Explained =
  | { readonly kind: 'explained'; readonly record: object }
  | { readonly kind: 'refused'; readonly code: 'no-state' | 'path-malformed' };

const RECORD_ID = 'explain';

export function explainTo(
  inquiry: Inquiry,
  standing: Standing | null,
  nowMs: number,
  hasher: Hasher,
): Explained {
  if (standing === null) return { kind: 'refused', code: 'no-state' };
  const path = /[?#]/.test(inquiry.path) ? null : normalisePath(inquiry.path);
  if (path === null) return { kind: 'refused', code: 'path-malformed' };
  const { link, global, nodes, holder } = standing;
  const facts = factsOf(inquiry, path);
  const tenant = lookUpTenant(facts.host, link.manifest, nodes, hasher);
  assert(tenant.kind !== 'missing', 'an agent holds every node of what is active');
  const evidence = { ...holder, nowMs };
  const scene = {
    basis: basisOf(link, evidence),
    global,
    tenant,
    verdicts: verdictsOf(global, evidence),
    ageMs: Math.max(0, nowMs - holder.freshAtMs),
    behind: isBehind(link, evidence),
  };
  return {
    kind: 'explained',
    record: recordOf(RECORD_ID, facts, scene, decide(facts, scene)),
  };
}

function factsOf(inquiry: Inquiry, path: string): Facts {
  const { host, method, upgrade = false, client = '', country, colo, lat, lon } = inquiry;
  return {
    host: host.toLowerCase(),
    method,
    path,
    upgrade,
    client: clientNetwork(client),
    ...(country === undefined ? {} : { country }),
    ...(colo === undefined ? {} : { colo: colo.toLowerCase() }),
    ...(lat === undefined || lon === undefined ? {} : { at: [lat, lon] }),
  };
}
