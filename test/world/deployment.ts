// The world's deployment is made as an operator makes one: `init`, then `plan` and `apply`, by the
// very functions of the CLI, in a folder of its own.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { replaceFile } from '../../agent/adapters/durable-file.ts';
import { controlOf } from '../../agent/cli/agents.ts';
import { applyPlan, type Landed } from '../../agent/cli/apply.ts';
import { type ConfigInput, configSchema } from '../../agent/cli/config-schema.ts';
import type { Control } from '../../agent/cli/control.ts';
import { DirectoryControl } from '../../agent/cli/directory-control.ts';
import { initProject, type Project } from '../../agent/cli/init.ts';
import { configText } from '../../agent/cli/init-texts.ts';
import { makePlan } from '../../agent/cli/plan.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { readState } from '../../agent/cli/state.ts';
import type { Trust } from '../../shared/control/trust.ts';

export class Deployment {
  readonly project: Project;
  readonly control: ControlDirectory;
  #way: () => Promise<Control>;
  #config: ConfigInput;

  private constructor(project: Project, config: ConfigInput) {
    this.project = project;
    this.#config = config;
    this.control = new ControlDirectory(project.paths.control);
    this.#way = async () => new DirectoryControl(project.paths.control);
  }

  static async create(folder: string, config: ConfigInput): Promise<Deployment> {
    return new Deployment(await initProject(folder, configSchema.parse(config)), config);
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

  /** What was applied last. */
  get config(): ConfigInput {
    return this.#config;
  }

  /** From now on as an operator does who reaches agents alone. */
  through(agents: readonly string[]): void {
    const { paths, trust, keys } = this.project;
    this.#way = () => controlOf(paths, trust, { agent: agents, key: keys.operator });
  }

  /** Control state as an operator reaches it. */
  open(): Promise<Control> {
    return this.#way();
  }

  /** Plans `config` against the head and commits the difference. */
  async apply(config: ConfigInput, reason: string): Promise<readonly Landed[]> {
    const { paths, keys, trust } = this.project;
    const control = await this.open();
    const state = await readState(paths, trust, null, control);
    const planned = makePlan(state, configSchema.parse(config), false);
    if (planned.kind === 'refused') throw new Error(JSON.stringify(planned.refusal));
    const { plan } = planned;
    const signer = await readSigner(keys.operator);
    const landed = await applyPlan(paths, plan, { signer, reason, opId: randomUUID }, control);
    this.#config = config;
    await replaceFile(paths.config, configText(configSchema.parse(config)));
    return landed;
  }
}
