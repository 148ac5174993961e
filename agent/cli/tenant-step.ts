// The steps that a provisioner signs, written from what an agent says of the state. Nothing of that
// is believed: a step that does not fit the signed state is refused by everybody.

import * as z from 'zod/mini';
import {
  placementSchema,
  type Template,
  templateSchema,
  tenantSchema,
} from '../../shared/control/record.ts';
import type { Step } from '../../shared/control/step.ts';
import { digestOf } from '../../shared/digest.ts';
import { nextEpoch } from '../../shared/placement/epoch.ts';
import { counterSchema, idSchema } from '../../shared/schema.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { CliError } from './exit.ts';
import { STEP_LIFE_VERSIONS } from './limits.ts';
import { hint } from './nearest.ts';

/** What `GET /v1/provisioning/<tenant>` says. */
export const aboutSchema = z.object({
  cluster: idSchema,
  generation: counterSchema,
  version: counterSchema,
  templates: z.record(idSchema, templateSchema),
  /** Slots of the regions. */
  slots: z.record(idSchema, z.int()),
  record: z.nullable(tenantSchema),
  placement: z.nullable(placementSchema),
});

export type About = z.infer<typeof aboutSchema>;

export interface Creation {
  readonly template: string;
  /** The template's only one by default. */
  readonly home?: string;
  readonly hosts: readonly string[];
}

/** Throws CliError: template, tenant-exists. */
export function creationStep(id: string, wish: Creation, about: About, opId: string): Step {
  if (about.placement !== null) throw new CliError('tenant-exists', `${id} is there, or was`);
  const template = about.templates[wish.template];
  if (template === undefined) {
    const names = Object.keys(about.templates);
    const message = `no template ${wish.template}${hint(wish.template, names)}`;
    throw new CliError('template', message);
  }
  const { scope, policy, priority } = template;
  const home = homeOf(wish, template);
  const hosts = [...new Set(wish.hosts)].sort();
  const tenant = { hosts, scope, policy, priority, template: wish.template, step: opId };
  const epoch = nextEpoch(0n, about.slots[home] ?? 0);
  const placement = { home, epoch, state: 'ACTIVE' };
  return stepOf(about, opId, {
    operations: [
      { op: 'put', key: `tenants/${id}/tenant`, value: tenant },
      { op: 'put', key: `tenants/${id}/placement`, value: placement },
    ],
    reads: {
      [`tenants/${id}/placement`]: null,
      [`global/templates/${wish.template}`]: digestOf(template, nodeCrypto),
    },
  });
}

/** Throws CliError: tenant-unknown. */
export function suspensionStep(id: string, about: About, opId: string): Step {
  const { record, reads } = read(id, about);
  const value = { ...record, suspended: true, step: opId };
  const operations: Step['operations'] = [{ op: 'put', key: `tenants/${id}/tenant`, value }];
  return stepOf(about, opId, { operations, reads });
}

/** Throws CliError: tenant-unknown. */
export function retirementStep(id: string, about: About, opId: string): Step {
  const operations: Step['operations'] = [{ op: 'delete', key: `tenants/${id}/tenant` }];
  return stepOf(about, opId, { operations, reads: read(id, about).reads });
}

function homeOf({ home, template: name }: Creation, { homes }: Template): string {
  const [only, ...others] = homes;
  if (home === undefined && only !== undefined && others.length === 0) return only;
  if (home !== undefined && homes.includes(home)) return home;
  const said = home === undefined ? 'name the home' : `${home} is no home of ${name}`;
  throw new CliError('template', `${said}: ${homes.join(', ')}`);
}

function read(id: string, { record }: About): Pick<Step, 'reads'> & { record: object } {
  if (record === null) throw new CliError('tenant-unknown', `there is no tenant ${id}`);
  return { record, reads: { [`tenants/${id}/tenant`]: digestOf(record, nodeCrypto) } };
}

function stepOf(
  { cluster, generation, version }: About,
  opId: string,
  rest: Pick<Step, 'operations' | 'reads'>,
): Step {
  const notAfterVersion = version + STEP_LIFE_VERSIONS;
  return { kind: 'step', cluster, generation, opId, class: 'normal', ...rest, notAfterVersion };
}
