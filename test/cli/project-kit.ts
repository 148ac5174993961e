// What tests of the command line share: projects in folders of their own, and changes to them by
// the functions that the commands call.

import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { applyPlan, type Landed } from '../../agent/cli/apply.ts';
import { type Config, type ConfigInput, configSchema } from '../../agent/cli/config-schema.ts';
import { CliError } from '../../agent/cli/exit.ts';
import { initProject, type Project } from '../../agent/cli/init.ts';
import { makePlan, type Plan, type Planned } from '../../agent/cli/plan.ts';
import { projectAt, readSigner } from '../../agent/cli/project.ts';
import { readState } from '../../agent/cli/state.ts';
import type { Signer } from '../../shared/crypto.ts';

/** Two regions, a witness, two tenants; every test starts from it. */
export const BASE = {
  cluster: 'demo',
  sites: {
    eu1: { slot: 1, at: [50.11, 8.68], gateway: 'https://gw.eu1.example', zones: ['b', 'a'] },
    us1: { slot: 2, at: [39.04, -77.49], gateway: 'https://gw.us1.example' },
    w1: { region: false },
  },
  threshold: 2,
  scopes: {
    eu: { regions: ['eu1'], ingress: 'any' },
    atlantic: { regions: ['us1', 'eu1'], ingress: { countries: ['FR', 'DE'] } },
  },
  policies: { std: { replicaReads: true, sessionPaths: ['/cart'] } },
  tenants: {
    acme: { hosts: ['acme.example', '*.acme.example'], scope: 'eu', home: 'eu1', policy: 'std' },
    globex: { hosts: ['globex.example'], scope: 'atlantic', home: 'us1', policy: 'std' },
  },
} satisfies ConfigInput;

export type Edit = (config: Config) => void;

export const slower: Edit = ({ policies }) => {
  const { std } = policies;
  if (std !== undefined) std.slowStartS = 30;
};

export const narrower: Edit = ({ scopes }) => {
  scopes['atlantic'] = { regions: ['us1'], ingress: { countries: ['DE'] } };
};

/** Of class safety once `BASE` has landed. */
export const wider: Edit = ({ scopes }) => {
  scopes['eu'] = { regions: ['eu1', 'us1'], ingress: 'any' };
};

/** `BASE` after an edit, with every default written out. */
export function configOf(edit: Edit = () => {}): Config {
  const config = configSchema.parse(structuredClone(BASE));
  edit(config);
  return configSchema.parse(config);
}

/** A new folder that goes when the test is over. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portolan-cli-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

let template: Promise<Project> | null = null;

/** A project of `BASE`. All of one test file have the same keys: making them is mostly waiting. */
export async function newProject(): Promise<Project> {
  template ??= mkdtemp(join(tmpdir(), 'portolan-cli-')).then((folder) => {
    return initProject(folder, configOf());
  });
  const made = await template;
  const folder = await newFolder();
  await cp(made.paths.folder, folder, { recursive: true });
  return movedTo(folder, made);
}

afterAll(async () => {
  if (template !== null) await rm((await template).paths.folder, { recursive: true });
});

function movedTo(folder: string, { paths, keys, agents, ...rest }: Project): Project {
  const move = (path: string) => path.replace(paths.folder, folder);
  return {
    ...rest,
    paths: projectAt(folder),
    keys: {
      roots: keys.roots.map(move),
      operator: move(keys.operator),
      approvers: keys.approvers.map(move),
      provisioner: move(keys.provisioner),
      recovery: move(keys.recovery),
      edge: move(keys.edge),
    },
    agents: agents.map((agent) => {
      return { ...agent, key: move(agent.key), config: move(agent.config) };
    }),
  };
}

export async function planned(
  { paths, trust }: Project,
  edit?: Edit,
  prune = false,
): Promise<Planned> {
  return makePlan(await readState(paths, trust), configOf(edit), prune);
}

/** Throws where the plan is refused. */
export async function planOf(project: Project, edit?: Edit, prune = false): Promise<Plan> {
  const outcome = await planned(project, edit, prune);
  if (outcome.kind === 'planned') return outcome.plan;
  throw new Error(`${outcome.refusal.code}: ${outcome.refusal.detail}`);
}

export async function land(project: Project, plan: Plan, by?: Signer): Promise<readonly Landed[]> {
  const signer = by ?? (await readSigner(project.keys.operator));
  return applyPlan(project.paths, plan, { signer, reason: 'test', opId: randomUUID });
}

/** Plans and applies. */
export async function commit(project: Project, edit?: Edit): Promise<readonly Landed[]> {
  return land(project, await planOf(project, edit));
}

export async function writeConfig({ paths }: Project, edit?: Edit): Promise<void> {
  await writeFile(paths.config, stringify(configOf(edit)));
}

/** Path of a commit's file. */
export function commitPath({ paths }: Project, version: number): string {
  return join(paths.control, 'commits', `${String(version).padStart(16, '0')}.json`);
}

/** How a promise was rejected: `code exit`, and the error. */
export async function failureOf(work: Promise<unknown>): Promise<CliError> {
  const outcome = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (outcome instanceof CliError) return outcome;
  throw new Error(`not refused: ${String(outcome)}`);
}

/** Arguments of a command in a project. */
export function within({ paths }: Project, ...args: readonly string[]): readonly string[] {
  return [...args, '--project', paths.folder];
}

export function applying(project: Project, ...args: readonly string[]): readonly string[] {
  return within(project, 'apply', ...args, '--key', project.keys.operator, '--reason', 'why');
}

/** `op key` of every operation, in order. */
export function operationsIn({ commits }: Plan): readonly string[] {
  return commits.flatMap(({ operations }) => operations.map(({ op, key }) => `${op} ${key}`));
}

/** `t0000` and so on, each with one host of its name, or with many long ones. */
export function addTenants(many: number, hostsEach = 1): Edit {
  return (config) => {
    for (let i = 0; i < many; i++) {
      const name = `t${String(i).padStart(4, '0')}`;
      const long = 'x'.repeat(60);
      const hosts = Array.from({ length: hostsEach }, (_, h) =>
        hostsEach === 1 ? `${name}.example` : `h${h}.${long}.${long}.${long}.${name}.example`,
      );
      config.tenants[name] = { hosts, scope: 'eu', home: 'eu1', policy: 'std', priority: 1 };
    }
  };
}
