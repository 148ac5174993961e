// Which way to control state: the agents that were named (--agent, PORTOLAN_AGENTS, `agents.json`
// of the project, the first of these), else the project's own directory.

import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import * as z from 'zod/mini';
import { parseJson } from '../../shared/canonical.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Signer } from '../../shared/crypto.ts';
import { firstIssue } from '../../shared/schema.ts';
import type { AgentAccess } from './agent-http.ts';
import { AgentsControl } from './agents-control.ts';
import type { Control } from './control.ts';
import { DirectoryControl } from './directory-control.ts';
import { CliError } from './exit.ts';
import { readText } from './files.ts';
import { AGENTS_ASKED_MAX, SMALL_FILE_BYTES_MAX } from './limits.ts';
import { type ProjectPaths, readSigner } from './project.ts';

export interface AgentFlags {
  /** URLs. */
  readonly agent?: readonly string[];
  /** PEM file of the authority of the agents' certificates. */
  readonly ca?: string;
  /** The operator's key that signs requests; by default that of the project's keys folder. */
  readonly key?: string;
}

export const AGENTS_VARIABLE = 'PORTOLAN_AGENTS';

const agentsSchema = z.strictObject({
  agents: z.array(z.string()).check(z.minLength(1)),
  /** Relative to the file. */
  ca: z.exactOptional(z.string()),
});

interface Named {
  readonly urls: readonly string[];
  readonly ca: string | null;
}

/** `signer`: when the key was read already. Rejects with CliError: usage, input. */
export async function controlOf(
  paths: ProjectPaths,
  trust: Trust,
  flags: AgentFlags,
  signer: Signer | null = null,
): Promise<Control> {
  const named = await namedAgents(paths, flags);
  if (named === null) return new DirectoryControl(paths.control);
  const access = await accessOf(paths, trust, signer ?? flags.key ?? null, named.ca);
  return new AgentsControl(named.urls, access);
}

/** null: no agent is named anywhere. */
export async function namedAgents(paths: ProjectPaths, flags: AgentFlags): Promise<Named | null> {
  const ca = flags.ca ?? null;
  if (flags.agent !== undefined) return checked({ urls: flags.agent, ca }, '--agent');
  const listed = (process.env[AGENTS_VARIABLE] ?? '').split(/[\s,]+/).filter((url) => url !== '');
  if (listed.length > 0) return checked({ urls: listed, ca }, AGENTS_VARIABLE);
  const file = join(paths.folder, 'agents.json');
  if (!existsSync(file)) return null;
  const parsed = agentsSchema.safeParse(
    parseJson(await readText(file, SMALL_FILE_BYTES_MAX))?.value,
  );
  if (!parsed.success) throw new CliError('input', `${file}: ${firstIssue(parsed.error)}`);
  const { agents: urls, ca: own } = parsed.data;
  return checked(
    { urls, ca: ca ?? (own === undefined ? null : resolve(dirname(file), own)) },
    file,
  );
}

function checked({ urls, ca }: Named, origin: string): Named {
  for (const url of urls) {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
      throw new CliError('usage', `${origin} ${url}: not an http(s) URL`);
    }
  }
  const distinct = [...new Set(urls)];
  if (distinct.length > AGENTS_ASKED_MAX) {
    throw new CliError('usage', `${origin}: at most ${AGENTS_ASKED_MAX} agents`);
  }
  return { urls: distinct, ca };
}

export async function accessOf(
  paths: ProjectPaths,
  { cluster }: Trust,
  key: Signer | string | null,
  ca: string | null,
): Promise<AgentAccess> {
  const own = join(paths.keys, 'operator.jwk');
  if (key === null && !existsSync(own)) {
    const lines = ['name the key with --key; agents answer operators only'];
    throw new CliError('input', `${own}: there is no operator's key to sign requests`, { lines });
  }
  const signer = typeof key === 'object' && key !== null ? key : await readSigner(key ?? own);
  return { cluster, signer, ca: ca === null ? null : await readText(ca, SMALL_FILE_BYTES_MAX) };
}
