// Provisioning over HTTP: text in, status and body out; the listener does the rest. Steps carry
// their provisioner's signature, batches those of agents, so these need no session of their own.

import * as z from 'zod/mini';
import { parseJson } from '../../shared/canonical.ts';
import { regionOf } from '../../shared/control/checks.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { jwsSchema } from '../../shared/control/jws.ts';
import type { NodeSource } from '../../shared/control/merkle-map.ts';
import type { ControlCode, Refusal } from '../../shared/control/refusal.ts';
import { entryOf } from '../../shared/control/state.ts';
import type { Hasher } from '../../shared/crypto.ts';
import { counterSchema, idSchema } from '../../shared/schema.ts';
import type { Cosignature } from '../control/cosign.ts';
import type { Provisioner, StepState, Ticket } from '../control/provision.ts';
import { COMMIT_BODY_BYTES_MAX, PROVISION_ANSWER_MS, STEP_BODY_BYTES_MAX } from '../limits.ts';
import { type Answer, type Route, refusedAnswer, refusedSchema, route } from './route.ts';

export const TENANTS_PATH = '/v1/tenants';
export const COSIGN_PATH = '/v1/cosign';
export const PROVISIONING_PATH = '/v1/provisioning';

export interface TenantPorts {
  readonly provisioner: Pick<Provisioner, 'submit' | 'find'>;
  readonly cosign: (batch: unknown) => Promise<Cosignature | Refusal>;
  readonly holder: () => Holder;
  readonly nodes: NodeSource;
  readonly hasher: Hasher;
  readonly pause: (ms: number) => Promise<void>;
  /** Reads the source. */
  readonly catchUp: () => Promise<void>;
}

const NOT_HERE = refusedAnswer(404, 'not-found', 'nothing is known of it here');

const stateSchema = z.object({
  opId: z.string(),
  state: z.enum(['pending', 'landed', 'refused']),
  version: z.exactOptional(counterSchema),
});

const aboutSchema = z.looseObject({
  cluster: idSchema,
  generation: counterSchema,
  version: counterSchema,
  templates: z.record(idSchema, z.unknown()),
  slots: z.record(idSchema, z.int()),
});

const stepAnswers = {
  200: stateSchema,
  202: stateSchema,
  403: refusedSchema,
  409: refusedSchema,
  422: refusedSchema,
  503: refusedSchema,
};

export const tenantRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: TENANTS_PATH,
    summary: 'Order a change of a tenant: a step, signed by a provisioner',
    access: 'self-signed',
    body: { schema: jwsSchema, maxBytes: STEP_BODY_BYTES_MAX, opaque: true },
    answers: stepAnswers,
    handle: ({ text }, { tenants }) => postStep(text, tenants),
  }),
  route({
    method: 'GET',
    path: `${TENANTS_PATH}/:opId`,
    summary: 'What became of a step that this agent took',
    access: 'provisioner',
    params: z.object({ opId: z.string() }),
    answers: stepAnswers,
    handle: ({ params }, { tenants }) => getStep(params.opId, tenants),
  }),
  route({
    method: 'GET',
    path: PROVISIONING_PATH,
    summary: 'What a step is written from: templates and slots',
    access: 'provisioner',
    answers: { 200: aboutSchema },
    handle: (_, { tenants }) => getProvisioning(null, tenants),
  }),
  route({
    method: 'GET',
    path: `${PROVISIONING_PATH}/:tenant`,
    summary: 'The same, and one tenant',
    access: 'provisioner',
    params: z.object({ tenant: z.string() }),
    answers: { 200: aboutSchema },
    handle: ({ params }, { tenants }) => getProvisioning(params.tenant, tenants),
  }),
  route({
    method: 'POST',
    path: COSIGN_PATH,
    summary: 'Ask this agent’s signature under a batch of steps (agents among themselves)',
    access: 'self-signed',
    body: { schema: jwsSchema, maxBytes: COMMIT_BODY_BYTES_MAX, opaque: true },
    answers: { 200: z.looseObject({}) },
    handle: ({ text }, { tenants }) => postBatch(text, tenants),
  }),
];

/** `POST /v1/tenants`, a step as its JWS: 200 landed, 202 pending, else why not. */
export async function postStep(text: string, ports: TenantPorts): Promise<Answer> {
  const json = parseJson(text);
  if (json === null) return refusal({ kind: 'refused', code: 'malformed', detail: 'not JSON' });
  const ticket = await ports.provisioner.submit(json.value);
  if (ticket.kind === 'refused') return refusal(ticket);
  await Promise.race([ticket.settled, ports.pause(PROVISION_ANSWER_MS)]);
  return answerOf(ticket);
}

/** `GET /v1/tenants/<opId>`: 404 where this agent knows no such step. */
export function getStep(opId: string, { provisioner }: TenantPorts): Answer {
  const ticket = provisioner.find(opId);
  return ticket === null ? NOT_HERE : answerOf(ticket);
}

/** `POST /v1/cosign`, a batch as its JWS: always 200, as a delta is; the body says what came. */
export async function postBatch(text: string, { cosign }: TenantPorts): Promise<Answer> {
  const outcome = await cosign(parseJson(text)?.value ?? null);
  if ('code' in outcome) {
    return { status: 200, body: { code: outcome.code, detail: outcome.detail } };
  }
  return { status: 200, body: { signature: outcome } };
}

/**
 * `GET /v1/provisioning[/<tenant>]`: what a provisioner writes a step from. What it says is not
 * signed; a lie leads to a step that everybody refuses.
 */
export async function getProvisioning(tenant: string | null, ports: TenantPorts): Promise<Answer> {
  // Whoever asks is about to sign: an agent that is a moment behind would have it sign in vain.
  await ports.catchUp();
  const { state } = ports.holder();
  const { cluster, generation, version } = state.manifest;
  const slots = Object.keys(state.global.sites).flatMap((id) => {
    const region = regionOf(state.global, id);
    return region === null ? [] : [[id, region.slot] as const];
  });
  const { templates } = state.global;
  const about = { cluster, generation, version, templates, slots: Object.fromEntries(slots) };
  if (tenant === null) return { status: 200, body: about };
  if (!idSchema.safeParse(tenant).success) return NOT_HERE;
  const entry = entryOf(state, tenant, ports.nodes, ports.hasher);
  const { tenant: record = null, placement = null } = entry ?? {};
  return { status: 200, body: { ...about, record, placement } };
}

function answerOf({ opId, now }: Pick<Ticket, 'opId'> & { readonly now: StepState }): Answer {
  switch (now.state) {
    case 'pending':
      return { status: 202, body: { opId, state: 'pending' } };
    case 'landed':
      return { status: 200, body: { opId, state: 'landed', version: now.version } };
    case 'refused':
      return refusal(now.refusal, { opId, state: 'refused' });
  }
}

function refusal({ code, detail }: Refusal, more: object = {}): Answer {
  const status = statusOf(code);
  const body = { ...more, code, detail };
  return status === 503 ? { status, body, retryAfterS: 1 } : { status, body };
}

function statusOf(code: ControlCode): number {
  switch (code) {
    case 'malformed':
    case 'encoding':
    case 'algorithm':
      return 400;
    case 'key-unknown':
    case 'signature':
      return 403;
    case 'too-large':
      return 413;
    // The step is right and the state is another: look again, or it is there already.
    case 'op-id':
    case 'tenant-exists':
    case 'host-taken':
    case 'step-reads':
    case 'step-expired':
      return 409;
    case 'queue-full':
    case 'cosignatures':
      return 503;
    default:
      return 422;
  }
}
