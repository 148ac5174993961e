// `validate`: the configuration and nothing else, offline. It works without a project too, so that
// a pipeline can check a pull request where no trust document lies.

import { existsSync } from 'node:fs';
import { readConfig } from '../config.ts';
import { EXIT, type Outcome } from '../exit.ts';
import { projectAt } from '../project.ts';
import { trustHere } from '../state.ts';
import { count } from '../words.ts';

export interface ConfigFlags {
  readonly project: string;
  readonly config?: string;
}

export function configPath({ project, config }: ConfigFlags): string {
  return config ?? projectAt(project).config;
}

/** `portolan validate`: offline, and without a project too. */
export async function validate(flags: ConfigFlags): Promise<Outcome> {
  const path = configPath(flags);
  const paths = projectAt(flags.project);
  // Missing is fine; one that cannot be read, or does not verify, is not.
  const trust = existsSync(paths.trust) ? await trustHere(paths) : null;
  const { config } = await readConfig(path, trust?.document ?? null);
  const counts = {
    sites: Object.keys(config.sites).length,
    scopes: Object.keys(config.scopes).length,
    policies: Object.keys(config.policies).length,
    tenants: Object.keys(config.tenants).length,
  };
  const { sites, scopes, policies, tenants } = counts;
  const words = [
    count(sites, 'site'),
    count(scopes, 'scope'),
    count(policies, 'policy', 'policies'),
    count(tenants, 'tenant'),
  ];
  return {
    exit: EXIT.fine,
    data: { cluster: config.cluster, ...counts, pinned: trust !== null },
    text: `${path}: valid (${words.join(', ')})`,
    notes: trust === null ? ['There is no trust.json here: not compared with it.'] : [],
  };
}
