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

const loopbackSchema = z.enum(['127.0.0.1', '::1', 'localhost']);

/** 0 takes a free one. */
const portSchema = z.int().check(z.gte(0), z.lte(65_535));

/** Loopback only, until the gateway's calls are signed (P1). */
const listenSchema = z.strictObject({ host: loopbackSchema, port: portSchema });

/** Without TLS whoever is on the wire reads along and answers for us: loopback only. */
const apiSchema = z
  .strictObject({
    host: z.string().check(z.regex(/^[A-Za-z0-9.:-]{1,253}$/, 'an address or a name')),
    port: portSchema,
    tls: z.exactOptional(
      z.strictObject({
        cert: pathSchema,
        key: pathSchema,
        /** Whoever holds a certificate of this authority may read. */
        clientCa: z.exactOptional(pathSchema),
      }),
    ),
  })
  .check(
    z.refine(({ host, tls }) => tls !== undefined || loopbackSchema.safeParse(host).success, {
      error: 'without tls only 127.0.0.1, ::1 or localhost',
      path: ['host'],
    }),
  );

/** gRPC gives TLS the host as server name, and an address is none. */
const memberSchema = originSchema.check(
  z.refine(
    (url) => url.startsWith('http://') || !/^[\d.]+$|:/.test(new URL(url).hostname),
    'the name of a member, not its address: TLS checks names',
  ),
);

const etcdSchema = z.strictObject({
  /** The members, the nearest first. */
  endpoints: z.array(memberSchema).check(z.minLength(1)),
  /** PEM files; without them only members on loopback are spoken to. */
  tls: z.exactOptional(z.strictObject({ ca: pathSchema, cert: pathSchema, key: pathSchema })),
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
  control: z.union([
    /** `control: file`: the directory of signed commits. */
    z.strictObject({ file: pathSchema }),
    z.strictObject({ etcd: etcdSchema }),
  ]),
  /** What this agent must not forget. */
  keep: pathSchema,
  /** A folder for a copy of the commits, so that a start needs neither etcd nor a peer (E6). */
  copy: z.exactOptional(pathSchema),
  /** An operator's signed join, for a new agent; else the source is asked for it. */
  join: z.exactOptional(pathSchema),
  /** Edges' ingest URLs. */
  ingest: z.array(urlSchema),
  /** Other agents' delta URLs. */
  peers: z.array(urlSchema),
  api: apiSchema,
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
  const { key, nextKey, trust, control, keep, copy, join, api, gateway } = config;
  const own = {
    key: at(key),
    ...(nextKey === undefined ? {} : { nextKey: at(nextKey) }),
    trust: at(trust),
    control: absoluteControl(control, at),
    keep: at(keep),
    ...(copy === undefined ? {} : { copy: at(copy) }),
    ...(join === undefined ? {} : { join: at(join) }),
    api: api.tls === undefined ? api : { ...api, tls: absoluteTls(api.tls, at) },
  };
  if (gateway === undefined) return { ...config, ...own };
  const tls = { cert: at(gateway.tls.cert), key: at(gateway.tls.key) };
  return { ...config, ...own, gateway: { ...gateway, tls } };
}

function absoluteControl(
  control: AgentConfig['control'],
  at: (path: string) => string,
): AgentConfig['control'] {
  if ('file' in control) return { file: at(control.file) };
  const { endpoints, tls } = control.etcd;
  if (tls === undefined) return control;
  return { etcd: { endpoints, tls: { ca: at(tls.ca), cert: at(tls.cert), key: at(tls.key) } } };
}

type ApiFiles = NonNullable<AgentConfig['api']['tls']>;

function absoluteTls({ cert, key, clientCa }: ApiFiles, at: (path: string) => string): ApiFiles {
  const own = { cert: at(cert), key: at(key) };
  return clientCa === undefined ? own : { ...own, clientCa: at(clientCa) };
}
