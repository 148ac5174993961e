// A new project. Everything that must be secret, signed or pinned on the first day, in one folder,
// by one straight function that overwrites nothing: a second `init` over a living project would
// replace the keys that its agents and edges believe.
//
// What a crash leaves behind: a folder without `trust.json`, which is written last. No command
// takes such a folder for a project; delete it and begin again.

import { chmod, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '../../shared/canonical.ts';
import { openTrust, type Trust } from '../../shared/control/trust.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { ControlDirectory } from '../adapters/directory.ts';
import { codeOf, createFile } from '../adapters/durable-file.ts';
import { type Config, configJsonSchema } from './config-schema.ts';
import { CliError, taken } from './exit.ts';
import { writeSecret } from './files.ts';
import {
  type AgentKey,
  allKeys,
  type KeySet,
  newKeySet,
  signedJoin,
  signedTrust,
} from './init-keys.ts';
import { agentConfig, checklist, configText, SCHEMA_LINE } from './init-texts.ts';
import { WORKER_SECRET_BYTES_MAX } from './limits.ts';
import { type ProjectPaths, projectAt } from './project.ts';

export interface InitOptions {
  /** The configuration as its author wrote it; else it is written from the value. */
  readonly text?: string;
  /** Two or more in production; one by default. */
  readonly agentsPerSite?: number;
}

export interface ProjectAgent {
  readonly site: string;
  readonly agent: string;
  /** Path of its private JWK. */
  readonly key: string;
  /** Path of its own configuration, with placeholders. */
  readonly config: string;
}

/** Paths of private JWKs. */
export interface ProjectKeys {
  readonly roots: readonly string[];
  readonly operator: string;
  readonly approvers: readonly string[];
  readonly provisioner: string;
  readonly recovery: string;
  readonly edge: string;
}

export interface Project {
  readonly paths: ProjectPaths;
  readonly trust: Trust;
  /** What the Worker's `TRUST` is: the text of `trust.json`. */
  readonly trustText: string;
  readonly keys: ProjectKeys;
  /** In the order of the configuration's sites. */
  readonly agents: readonly ProjectAgent[];
}

/** Rejects with CliError `exists` when any file of a project is there; then nothing was written. */
export async function initProject(
  folder: string,
  config: Config,
  options: InitOptions = {},
): Promise<Project> {
  const paths = projectAt(folder);
  await refuseToOverwrite(paths);
  const keys = newKeySet(config, options.agentsPerSite ?? 1);
  const trustText = JSON.stringify(await signedTrust(config, keys));
  const trust = taken(await openTrust(parseJson(trustText)?.value, nodeCrypto));
  await mkdir(paths.folder, { recursive: true });
  await claim(paths.keys);
  for (const { file, jwk } of allKeys(keys)) {
    await writeSecret(join(paths.keys, file), `${JSON.stringify(jwk)}\n`);
  }
  const secrets = { TRUST: trustText, EDGE_KEY: JSON.stringify(keys.edge.jwk) };
  await writeSecret(paths.edgeSecrets, `${JSON.stringify(secrets, null, 2)}\n`);
  // Stores sign receipts with the edge's key (C11).
  await writeSecret(paths.storeSecrets, `${JSON.stringify(secrets, null, 2)}\n`);
  await writeControl(paths, config, keys, trust);
  await writeTexts(paths, config, keys, options.text, trustText);
  await write(paths.trust, `${trustText}\n`);
  return { paths, trust, trustText, ...pathsOf(paths, keys) };
}

function pathsOf(paths: ProjectPaths, keys: KeySet): Pick<Project, 'keys' | 'agents'> {
  const at = ({ file }: { readonly file: string }) => join(paths.keys, file);
  return {
    keys: {
      roots: keys.roots.map(at),
      operator: at(keys.operator),
      approvers: keys.approvers.map(at),
      provisioner: at(keys.provisioner),
      recovery: at(keys.recovery),
      edge: at(keys.edge),
    },
    agents: keys.agents.map((key) => {
      const { site, agent } = key;
      return { site, agent, key: at(key), config: agentPath(paths, key) };
    }),
  };
}

function agentPath({ agents }: ProjectPaths, { agent }: AgentKey): string {
  return join(agents, `${agent}.yaml`);
}

async function refuseToOverwrite(paths: ProjectPaths): Promise<void> {
  const { folder: _folder, ...files } = paths;
  for (const path of Object.values(files)) {
    try {
      await stat(path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') continue;
      throw new CliError('input', `${path}: ${codeOf(error)}`, { cause: error });
    }
    throw new CliError('exists', `${path}: is there already; nothing was written`);
  }
}

/** mkdir(2) is the compare-and-swap between two `init` at once. */
async function claim(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    throw new CliError('exists', `${folder}: is there already; nothing was written`);
  }
  await chmod(folder, 0o700);
}

async function writeControl(
  { control }: ProjectPaths,
  config: Config,
  { agents, operator }: KeySet,
  trust: Trust,
): Promise<void> {
  const directory = new ControlDirectory(control);
  await mkdir(join(control, 'commits'), { recursive: true });
  await directory.writeTrust(trust.document.version, trust.jws);
  for (const key of agents) {
    await directory.writeJoin(key.agent, await signedJoin(config, key, operator));
  }
}

async function writeTexts(
  paths: ProjectPaths,
  config: Config,
  { agents }: KeySet,
  text: string | undefined,
  trustText: string,
): Promise<void> {
  await write(paths.schema, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  await write(paths.config, text === undefined ? configText(config) : withSchemaLine(text));
  for (const key of agents) await write(agentPath(paths, key), agentConfig(key, agents, config));
  const trustTooLarge = Buffer.byteLength(trustText) > WORKER_SECRET_BYTES_MAX;
  const { cluster } = config;
  await write(paths.checklist, checklist({ cluster, agents, trustTooLarge }));
}

function withSchemaLine(text: string): string {
  return text.startsWith('# yaml-language-server:') ? text : `${SCHEMA_LINE}${text}`;
}

async function write(path: string, text: string): Promise<void> {
  if ((await createFile(path, text)) === 'created') return;
  throw new CliError('exists', `${path}: is there already`);
}
