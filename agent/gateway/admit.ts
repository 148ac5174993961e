// The gateway's admission of one call: its provenance read, its tenant looked up in this agent's
// own active state, and the decision of `shared/provenance/admit`. A gateway that knows less than
// the edge waits a moment for its own state before it refuses (P3).

import type { IncomingMessage } from 'node:http';
import { normalisePath } from '../../shared/admission/path.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import { isBehind } from '../../shared/control/activation.ts';
import type { Hasher } from '../../shared/crypto.ts';
import { GATEWAY_CATCH_UP_MS } from '../../shared/limits.ts';
import { admitCall, type GatewayDecision } from '../../shared/provenance/admit.ts';
import {
  type Provenance,
  parseProvenance,
  provenanceHeader,
} from '../../shared/provenance/profile.ts';
import type { GatewayCode } from '../../shared/provenance/refusal.ts';
import type { Admission } from '../../shared/steering/decide.ts';
import type { Standing } from '../control/hold.ts';

export interface GatewayPorts {
  /** This region. */
  readonly self: string;
  readonly standing: () => Standing | null;
  /** Resolves at the next change of the standing, or after `ms`. */
  readonly changed: (ms: number) => Promise<void>;
  readonly nowMs: () => number;
  readonly hasher: Hasher;
}

export type Admitted =
  | { readonly kind: 'admitted'; readonly provenance: Provenance; readonly admission: Admission }
  /** `decision` is the edge's id, '' when it could not be read. */
  | { readonly kind: 'refused'; readonly code: GatewayCode; readonly decision: string };

export async function admit(request: IncomingMessage, ports: GatewayPorts): Promise<Admitted> {
  const header = request.headers[provenanceHeader];
  if (typeof header !== 'string') {
    return { kind: 'refused', code: 'provenance-missing', decision: '' };
  }
  const provenance = parseProvenance(header);
  if ('code' in provenance) return { kind: 'refused', code: provenance.code, decision: '' };
  const deadlineMs = ports.nowMs() + GATEWAY_CATCH_UP_MS;
  let decided = judge(request, provenance, ports);
  while (decided.kind === 'refused' && mayPass(decided.code) && ports.nowMs() < deadlineMs) {
    await ports.changed(deadlineMs - ports.nowMs());
    decided = judge(request, provenance, ports);
  }
  if (decided.kind === 'admitted') return { ...decided, provenance };
  return { ...decided, decision: provenance.decision };
}

/** Refusals that newer state of our own may lift. */
function mayPass(code: GatewayCode): boolean {
  return code === 'gateway-behind' || code === 'gateway-stale' || code === 'gateway-no-state';
}

function judge(
  request: IncomingMessage,
  provenance: Provenance,
  { self, standing, nowMs, hasher }: GatewayPorts,
): GatewayDecision {
  const held = standing();
  if (held === null) return { kind: 'refused', code: 'gateway-no-state' };
  const { link, global, nodes, holder } = held;
  const [target = '/'] = (request.url ?? '/').split('?');
  const path = normalisePath(target);
  if (path === null) return { kind: 'refused', code: 'provenance-malformed' };
  const tenant = lookUpTenant(provenance.host, link.manifest, nodes, hasher);
  const upgrade = request.headers.upgrade !== undefined;
  const call = { method: request.method ?? 'GET', path, upgrade };
  const ageMs = Math.max(0, nowMs() - holder.freshAtMs);
  const behind = isBehind(link, holder);
  return admitCall(provenance, call, { self, link, global, tenant, ageMs, behind });
}
