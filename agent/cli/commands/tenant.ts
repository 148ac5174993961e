// `tenant create|suspend|retire`: a step, signed with a provisioner's key and posted to an agent
// (C3). The same bytes are sent again when an answer is lost, so that nothing lands twice.

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod/mini';
import { type Jws, signJws } from '../../../shared/control/jws.ts';
import { type Step, stepKind } from '../../../shared/control/step.ts';
import { counterSchema, firstIssue, idSchema } from '../../../shared/schema.ts';
import { PROVISIONING_PATH, TENANTS_PATH } from '../../api/tenants.ts';
import { type AgentAccess, askAgent, reasonOf } from '../agent-http.ts';
import { CliError, EXIT, exitOf, type Outcome } from '../exit.ts';
import { looseMode, readText } from '../files.ts';
import { SMALL_FILE_BYTES_MAX, STEP_ANSWER_MS, STEP_ASK_MS, STEP_TIMEOUT_MS } from '../limits.ts';
import { projectAt, readPin, readSigner } from '../project.ts';
import {
  type About,
  aboutSchema,
  type Creation,
  creationStep,
  retirementStep,
  suspensionStep,
} from '../tenant-step.ts';

export interface TenantFlags {
  /** For the cluster's name: its trust document. */
  readonly project: string;
  readonly agent: string;
  /** PEM file of the authority of the agent's certificate. */
  readonly ca?: string;
  readonly key: string;
}

export interface CreateFlags extends TenantFlags {
  readonly template: string;
  readonly home?: string;
  readonly host: readonly string[];
}

export function createTenant(id: string, flags: CreateFlags): Promise<Outcome> {
  const { template, home, host: hosts } = flags;
  const wish: Creation = { template, hosts, ...(home === undefined ? {} : { home }) };
  return provision(id, flags, (about, opId) => creationStep(id, wish, about, opId));
}

export function suspendTenant(id: string, flags: TenantFlags): Promise<Outcome> {
  return provision(id, flags, (about, opId) => suspensionStep(id, about, opId));
}

export function retireTenant(id: string, flags: TenantFlags): Promise<Outcome> {
  return provision(id, flags, (about, opId) => retirementStep(id, about, opId));
}

async function provision(
  id: string,
  { project, agent, key, ca }: TenantFlags,
  write: (about: About, opId: string) => Step,
): Promise<Outcome> {
  if (!/^https?:$/.test(URL.parse(agent)?.protocol ?? '')) {
    throw new CliError('usage', `--agent ${agent}: not an http(s) URL`);
  }
  if (!idSchema.safeParse(id).success) {
    throw new CliError('usage', `${id}: lower-case letters, digits, hyphens`);
  }
  const signer = await readSigner(key);
  const loose = await looseMode(key);
  const { cluster } = await readPin(projectAt(project));
  const authority = ca === undefined ? null : await readText(ca, SMALL_FILE_BYTES_MAX);
  const access = { cluster, signer, ca: authority };
  const about = await askAbout(id, agent, access);
  const opId = randomUUID();
  const step = await signJws(stepKind.typ, write(about, opId), [signer]);
  const version = await untilLanded(step, opId, agent, access);
  const warnings = loose === null ? [] : [loose];
  return {
    exit: EXIT.fine,
    data: { tenant: id, opId, state: 'landed', version, warnings },
    text: `tenant ${id}: landed, version ${version}`,
    notes: warnings,
  };
}

async function askAbout(id: string, agent: string, access: AgentAccess): Promise<About> {
  const { status, value } = await exchange(agent, `${PROVISIONING_PATH}/${id}`, access);
  const parsed = aboutSchema.safeParse(value);
  if (status === 200 && parsed.success) return parsed.data;
  const why = parsed.success ? '' : `: ${firstIssue(parsed.error)}`;
  throw new CliError('failure', `${agent} answered ${status}${why}`);
}

const answerSchema = z.object({
  state: z.optional(z.string()),
  version: z.optional(counterSchema),
  code: z.optional(z.string()),
  detail: z.optional(z.string()),
});

/** The version that has the step. Rejects with CliError: the agent's refusal, unreachable. */
async function untilLanded(
  step: Jws,
  opId: string,
  agent: string,
  access: AgentAccess,
): Promise<bigint> {
  const deadlineMs = performance.now() + STEP_ANSWER_MS;
  for (;;) {
    const answer = await exchange(agent, TENANTS_PATH, access, JSON.stringify(step)).catch(
      (error: unknown) => {
        if (error instanceof CliError && performance.now() < deadlineMs) return null;
        throw error;
      },
    );
    const said = answerSchema.safeParse(answer?.value);
    if (said.success && said.data.version !== undefined) return said.data.version;
    if (said.success && said.data.code !== undefined && answer?.status !== 503) {
      throw refused(said.data.code, said.data.detail ?? '', opId);
    }
    if (performance.now() >= deadlineMs) {
      const message = `the step ${opId} has not landed yet; it still may`;
      const lines = [`ask: ${new URL(`${TENANTS_PATH}/${opId}`, agent).href}`];
      throw new CliError('unreachable', message, { details: { opId }, lines });
    }
    await delay(STEP_ASK_MS);
  }
}

/** A code that this release does not know is a failure; its name is shown all the same. */
function refused(code: string, detail: string, opId: string): CliError {
  const known = Object.keys(exitOf).find((each) => each === code) as
    | keyof typeof exitOf
    | undefined;
  if (known === undefined) return new CliError('failure', `${code}: ${detail}`);
  return new CliError(known, detail, { details: { opId } });
}

async function exchange(
  agent: string,
  target: string,
  access: AgentAccess,
  body?: string,
): Promise<{ readonly status: number; readonly value: unknown }> {
  const asked =
    body === undefined ? ({ method: 'GET' } as const) : { method: 'POST' as const, body };
  try {
    return await askAgent(agent, { ...asked, target, timeoutMs: STEP_TIMEOUT_MS }, access);
  } catch (error) {
    throw new CliError('unreachable', `${agent}: ${reasonOf(error)}`, { cause: error });
  }
}
