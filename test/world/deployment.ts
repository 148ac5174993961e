// The world's deployment is made as an operator makes one: `init`, then `plan` and `apply`, by the
// very functions of the CLI, in a folder of its own.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { applyPlan } from '../../agent/cli/apply.ts';
import { type ConfigInput, configSchema } from '../../agent/cli/config-schema.ts';
import { initProject, type Project } from '../../agent/cli/init.ts';
import { makePlan } from '../../agent/cli/plan.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { readState } from '../../agent/cli/state.ts';
import type { Trust } from '../../shared/control/trust.ts';

export class Deployment {
  readonly project: Project;
  readonly control: ControlDirectory;

  private constructor(project: Project) {
    this.project = project;
    this.control = new ControlDirectory(project.paths.control);
  }

  static async create(folder: string, config: ConfigInput): Promise<Deployment> {
    return new Deployment(await initProject(folder, configSchema.parse(config)));
  }

  get trust(): Trust {
    return this.project.trust;
  }

  get operatorKey(): string {
    return this.project.keys.operator;
  }

  /** Path of the private key of a site's agent. */
  agentKey(site: string): string {
    const agent = this.project.agents.find((one) => one.site === site);
    if (agent === undefined) throw new Error(`no agent of ${site}`);
    return agent.key;
  }

  /** Path of the operator's join for a site's agent. */
  joinOf(site: string): string {
    return join(this.project.paths.control, 'joins', `${site}-1.json`);
  }

  /** Plans `config` against the head and commits the difference. */
  async apply(config: ConfigInput, reason: string): Promise<void> {
    const { paths, keys, trust } = this.project;
    const state = await readState(paths, trust);
    const planned = makePlan(state, configSchema.parse(config), false);
    if (planned.kind === 'refused') throw new Error(JSON.stringify(planned.refusal));
    const { plan } = planned;
    const signer = await readSigner(keys.operator);
    await applyPlan(paths, plan, { signer, reason, opId: randomUUID });
  }
}
