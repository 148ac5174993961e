// What an agent tells of itself: the state it holds, the verdicts it counts, what edges, stores and
// peers answered. The same numbers for `portolan status`, for the world's live lines and for tests.

import { toWire } from '../shared/canonical.ts';
import { supportedAtMs } from '../shared/control/activation.ts';
import { validBySite } from '../shared/control/attestation.ts';
import { verdictsOf } from '../shared/steering/scene.ts';
import type { Gateway } from './gateway/listen.ts';
import type { Agent, AgentIdentity } from './loop.ts';

/** In wire form: 64-bit numbers are strings. */
export function statusOf(
  agent: Agent,
  { site, agent: name }: AgentIdentity,
  gateway: Gateway | null,
  nowMs: number,
): object {
  const { holder, standing } = agent;
  const { manifest, envelope } = holder.state;
  const evidence = { ...holder, nowMs };
  const bySite = validBySite(holder.book, holder.trust, nowMs);
  const { alarms, stores, targets } = agent.status;
  const active = standing?.link ?? null;
  return toWire({
    site,
    agent: name,
    cluster: manifest.cluster,
    trust: holder.trust.document.version,
    head: { generation: manifest.generation, version: manifest.version, envelope },
    active:
      active === null
        ? null
        : {
            generation: active.generation,
            version: active.version,
            manifest: active.manifestDigest,
            ageMs: Math.max(0, nowMs - (supportedAtMs(active, evidence) ?? holder.freshAtMs)),
          },
    sitesHeard: [...bySite.keys()].sort(),
    equivocators: [...holder.book.equivocators],
    verdicts: standing === null ? {} : verdictsOf(standing.global, evidence),
    alarms,
    stores,
    targets,
    requests: gateway?.counts ?? null,
  }) as object;
}
