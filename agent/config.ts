// An agent's own configuration: one YAML file, secrets by path. It says who the agent is and where
// things are; what it may decide comes from signed control state alone.

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod/mini';
import { observationSchema } from '../shared/control/attestation.ts';
import { firstIssue, idSchema } from '../shared/schema.ts';

const pathSchema = z.string().check(z.minLength(1));
const urlSchema = z.string().check(z.refine(isHttpUrl, 'an http(s) URL'));
const originSchema = z
  .string()
  .check(z.refine((url) => isHttpUrl(url) && new URL(url).pathname === '/', 'an origin, no path'));

function isHttpUrl(url: string): boolean {
  return /^https?:\/\/[^\s]+$/.test(url) && URL.canParse(url);
}

const listenSchema = z.strictObject({
  /** Loopback only, until the gateway's calls are signed (P1). */
  host: z.enum(['127.0.0.1', '::1', 'localhost']),
  /** 0 takes a free one. */
  port: z.int().check(z.gte(0), z.lte(65_535)),
});

export const agentConfigSchema = z.strictObject({
  site: idSchema,
  agent: idSchema,
  /** Private JWK of this agent. */
  key: pathSchema,
  /** The key that comes next: used from the moment that trust names it and no longer `key`. */
  nextKey: z.exactOptional(pathSchema),
  /** A trust document, as signed: the pin. Later and earlier ones are verified from it. */
  trust: pathSchema,
  /** `control: file`: the directory of signed commits. */
  control: z.strictObject({ file: pathSchema }),
  /** What this agent must not forget. */
  keep: pathSchema,
  /** Edges' ingest URLs. */
  ingest: z.array(urlSchema),
  /** Other agents' delta URLs. */
  peers: z.array(urlSchema),
  api: listenSchema,
  /** Absent at a witness. */
  gateway: z.exactOptional(
    z.strictObject({
      listen: listenSchema,
      tls: z.strictObject({ cert: pathSchema, key: pathSchema }),
      /** Origin of the region's service. */
      service: originSchema,
    }),
  ),
  /** What is attested of every region until there are probes. */
  assume: z._default(observationSchema, 'up'),
});

export type AgentConfig = z.infer<typeof agentConfigSchema>;

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'config';
}

/** Reads a configuration; its relative paths are relative to the file. Rejects with ConfigError. */
export async function readAgentConfig(path: string): Promise<AgentConfig> {
  let value: unknown;
  try {
    value = parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(`${path}: ${String(error)}`, { cause: error });
  }
  const parsed = agentConfigSchema.safeParse(value);
  if (!parsed.success) throw new ConfigError(`${path}: ${firstIssue(parsed.error)}`);
  return absolute(parsed.data, dirname(path));
}

function absolute(config: AgentConfig, folder: string): AgentConfig {
  const at = (path: string) => resolve(folder, path);
  const { key, nextKey, trust, control, keep, gateway } = config;
  const own = {
    key: at(key),
    ...(nextKey === undefined ? {} : { nextKey: at(nextKey) }),
    trust: at(trust),
    control: { file: at(control.file) },
    keep: at(keep),
  };
  if (gateway === undefined) return { ...config, ...own };
  const tls = { cert: at(gateway.tls.cert), key: at(gateway.tls.key) };
  return { ...config, ...own, gateway: { ...gateway, tls } };
}
