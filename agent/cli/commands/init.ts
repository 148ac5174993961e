// `init`: which configuration the new project begins with, and what to tell about it.

import { parse } from 'yaml';
import { idSchema } from '../../../shared/schema.ts';
import { type ReadConfig, readConfig } from '../config.ts';
import { configSchema } from '../config-schema.ts';
import { CliError, EXIT, type Outcome } from '../exit.ts';
import { initProject } from '../init.ts';
import { exampleConfig } from '../init-texts.ts';
import { count } from '../words.ts';

export interface InitFlags {
  readonly cluster?: string;
  readonly config?: string;
  readonly agents: number;
}

/** `portolan init [DIR]` */
export async function init(folder: string, flags: InitFlags): Promise<Outcome> {
  const { config, text } = await chosenConfig(flags);
  const options = { agentsPerSite: flags.agents, ...(text === null ? {} : { text }) };
  const { paths, trust, keys, agents } = await initProject(folder, config, options);
  const data = { cluster: config.cluster, trust: trust.digest, paths, keys, agents };
  const done = `${paths.folder}: cluster ${config.cluster}, ${count(agents.length, 'agent')}`;
  return {
    exit: EXIT.fine,
    data,
    text: `${done}\ntrust ${trust.digest}`,
    notes: [`Read ${paths.checklist} next: the root keys should leave this machine first.`],
  };
}

async function chosenConfig({ cluster, config }: InitFlags): Promise<ReadConfig> {
  if (cluster !== undefined && !idSchema.safeParse(cluster).success) {
    throw new CliError('usage', `--cluster ${cluster}: lower-case letters, digits, hyphens`);
  }
  if (config === undefined) {
    if (cluster === undefined) throw new CliError('usage', 'name the cluster: --cluster NAME');
    const text = exampleConfig(cluster);
    return { config: configSchema.parse(parse(text)), text };
  }
  const read = await readConfig(config, null);
  if (cluster !== undefined && cluster !== read.config.cluster) {
    throw new CliError('usage', `${config} is of cluster ${read.config.cluster}, not ${cluster}`);
  }
  return read;
}
