// One small change after the other, as an operator makes them: the priority of acme, in the
// configuration of the demonstration, through whatever way to control state the world has.

import type { ConfigInput } from '../../agent/cli/config-schema.ts';
import { CliError } from '../../agent/cli/exit.ts';
import type { World } from './world.ts';

/** `landed 3`, or the code of the refusal. */
export async function change(world: World, priority: number): Promise<string> {
  return apply(world, (config) => {
    const acme = config.tenants?.['acme'];
    if (acme !== undefined) acme.priority = priority;
  });
}

/** The same with any edit of the configuration that is in force. */
export async function apply(world: World, edit: (config: Mutable) => void): Promise<string> {
  const config = structuredClone(world.deployment.config) as Mutable;
  edit(config);
  try {
    const landed = await world.deployment.apply(config as ConfigInput, 'a scenario');
    return `landed ${landed.at(-1)?.version ?? 'nothing'}`;
  } catch (error) {
    if (error instanceof CliError) return error.code;
    throw error;
  }
}

/** The configuration as an operator edits it. */
export type Mutable = {
  tenants?: Record<
    string,
    { priority?: number; suspended?: boolean; scope: string; hosts: string[] }
  >;
  scopes?: Record<string, { regions: string[] }>;
  sites?: Record<string, { gateway?: string }>;
};
