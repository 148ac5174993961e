// The only way from the edge to a gateway, and the only `fetch` in `edge/` (E7). A Worker's fetch
// goes through its zone's cache and follows redirects unless told otherwise: the cache would hand
// tenant A's answer to tenant B, a followed redirect could leave the tenant's scope. Neither exists
// on a developer's machine, so no test would see it; the style test keeps every other fetch out.

import type { Facts } from '../../shared/admission/facts.ts';
import { ageHeader, attestationsHeader } from '../../shared/control/attestation-header.ts';
import { GATEWAY_TIMEOUT_MS, SOFT_AGE_MS } from '../../shared/limits.ts';
import {
  portolanHeaderPrefix,
  provenanceHeader,
  writeProvenance,
} from '../../shared/provenance/profile.ts';
import type { Admission, Outcome } from '../../shared/steering/decide.ts';
import type { Basis } from '../../shared/steering/scene.ts';
import type { EdgePorts } from '../env.ts';
import { DECISION_HEADER } from './answer.ts';

/** Answers of gateways carry it for the zone's cache; clients have no use for it. */
const CDN_CACHE_CONTROL = 'cloudflare-cdn-cache-control';

export interface Chosen {
  readonly id: string;
  readonly facts: Facts;
  readonly outcome: Extract<Outcome, { kind: 'forward' }>;
  readonly admission: Admission;
  readonly basis: Basis;
  /** Age of the state that was decided on, ms. */
  readonly ageMs: number;
}

/**
 * The platform's fetch with its two dangers switched off. Rejects when no response headers came in
 * time; the body that follows may take as long as it takes.
 */
export async function sendToGateway(request: Request): Promise<Response> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), GATEWAY_TIMEOUT_MS);
  try {
    const signal = AbortSignal.any([request.signal, abort.signal]);
    const options = { cache: 'no-store', redirect: 'manual', signal } as const;
    return await fetch(request, options);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Sends `request` where the decision says, and its answer back, both as streams. `hear` gets the
 * gateway's newer attestations, unverified, when ours were old enough to ask for them (E3).
 */
export async function forward(
  request: Request,
  chosen: Chosen,
  ports: EdgePorts,
  hear: (words: string) => void,
): Promise<Response> {
  // Byte for byte, an empty query included; `URL` would drop its mark.
  const query = request.url.indexOf('?');
  const search = query < 0 ? '' : request.url.slice(query);
  const target = `${chosen.outcome.gateway}${chosen.facts.path}${search}`;
  const { method } = request;
  // A body of GET or HEAD means nothing (RFC 9110, 9.3.1), and the runtime sends none.
  const body = method === 'GET' || method === 'HEAD' ? null : request.body;
  const headers = outbound(request.headers, provenanceOf(chosen, body !== null));
  const isOld = chosen.ageMs > SOFT_AGE_MS;
  if (isOld) headers.set(ageHeader, String(Math.floor(chosen.ageMs)));
  const answer = await ports.send(
    new Request(target, { method, headers, body, redirect: 'manual' }),
  );
  const words = answer.headers.get(attestationsHeader);
  if (isOld && words !== null) hear(words);
  return inbound(answer, chosen.id);
}

/** The client's headers less the platform's own (P2), plus where this call comes from. */
function outbound(inboundHeaders: Headers, provenance: string): Headers {
  const headers = new Headers();
  for (const [name, value] of inboundHeaders) {
    if (!name.startsWith(portolanHeaderPrefix)) headers.append(name, value);
  }
  // The gateway's name is in the URL; the client's travels in the provenance.
  headers.delete('host');
  headers.set(provenanceHeader, provenance);
  return headers;
}

function inbound(answer: Response, id: string): Response {
  const response = new Response(answer.body, answer);
  response.headers.delete(CDN_CACHE_CONTROL);
  response.headers.delete(attestationsHeader);
  response.headers.set(DECISION_HEADER, id);
  return response;
}

function provenanceOf({ id, facts, outcome, admission, basis }: Chosen, hasBody: boolean): string {
  return writeProvenance({
    host: facts.host,
    aud: outcome.region,
    tenant: admission.tenant,
    scope: admission.scope,
    op: admission.op,
    generation: basis.generation,
    version: basis.version,
    commitIndex: basis.commitIndex ?? 0n,
    lamport: basis.lamport,
    epoch: admission.epoch,
    decision: id,
    hop: 1,
    body: hasBody ? 'unsigned' : 'none',
  });
}
