// Templates and provisioned tenants in the configuration: what a plan does with them, and above all
// what it leaves alone.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { readConfig } from '../../agent/cli/config.ts';
import type { Project } from '../../agent/cli/init.ts';
import { readState } from '../../agent/cli/state.ts';
import type { Tenant } from '../../shared/control/record.ts';
import { entryOf } from '../../shared/control/state.ts';
import {
  BASE,
  commit,
  type Edit,
  failureOf,
  newFolder,
  newProject,
  operationsIn,
  planned,
  planOf,
} from './project-kit.ts';

const template: Edit = ({ templates }) => {
  templates['basic'] = {
    ...{ scope: 'atlantic', policy: 'std', priority: 1, homes: ['us1', 'eu1'] },
    ...{ hostSuffixes: ['b.example', 'a.example'], customHosts: false, wildcards: false },
  };
};

/** With a tenant that stands there as a provisioner's step would have made it. */
const withShop =
  (more: object = {}): Edit =>
  (config) => {
    template(config);
    config.tenants['shop'] = {
      ...{ hosts: ['shop.a.example'], scope: 'atlantic', home: 'us1', policy: 'std', priority: 1 },
      ...{ template: 'basic', ...more },
    };
  };

async function tenantIn({ paths, trust }: Project, id: string): Promise<Tenant | null> {
  const { holder, pieces } = await readState(paths, trust);
  return entryOf(holder.state, id, pieces.nodes, nodeCrypto)?.tenant ?? null;
}

test('a template is planned in the form in which it is stored, once', async () => {
  const project = await newProject();
  await commit(project);
  const plan = await planOf(project, template);
  expect(operationsIn(plan)).toEqual(['put global/templates/basic']);
  expect(plan.commits[0]?.operations[0]).toMatchObject({
    value: { homes: ['eu1', 'us1'], hostSuffixes: ['a.example', 'b.example'] },
  });
  await commit(project, template);
  expect((await planOf(project, template)).commits).toEqual([]);
});

describe('a provisioned tenant that the configuration does not name', () => {
  test('is neither listed nor deleted, with --prune either', async () => {
    const project = await newProject();
    await commit(project, withShop());
    for (const prune of [false, true]) {
      const outcome = await planned(project, template, prune);
      expect(outcome.summary?.changes).toEqual([]);
    }
    const others = await planned(
      project,
      (config) => {
        template(config);
        delete config.tenants['globex'];
      },
      true,
    );
    expect(others.summary?.changes.map(({ key }) => key)).toEqual(['tenants/globex/tenant']);
  });
});

describe('a tenant that the configuration names', () => {
  test('is suspended, stays so while nothing is said, and is resumed', async () => {
    const project = await newProject();
    await commit(project, withShop({ suspended: true }));
    expect(await tenantIn(project, 'shop')).toMatchObject({ suspended: true });
    expect((await planOf(project, withShop())).commits).toEqual([]);
    await commit(project, withShop({ suspended: false }));
    expect(await tenantIn(project, 'shop')).not.toHaveProperty('suspended');
    expect((await planOf(project, withShop({ suspended: false }))).commits).toEqual([]);
  });

  test('of no template is suspended and resumed too', async () => {
    const project = await newProject();
    const acme =
      (suspended: boolean): Edit =>
      (config) => {
        const { acme: tenant } = config.tenants;
        if (tenant !== undefined) tenant.suspended = suspended;
      };
    await commit(project, acme(true));
    expect(await tenantIn(project, 'acme')).toMatchObject({ suspended: true });
    await commit(project, acme(false));
    expect(await tenantIn(project, 'acme')).not.toHaveProperty('suspended');
  });

  test('without its template is taken from the provisioners', async () => {
    const project = await newProject();
    await commit(project, withShop());
    await commit(project, (config) => {
      withShop()(config);
      delete config.tenants['shop']?.template;
    });
    expect(await tenantIn(project, 'shop')).not.toHaveProperty('template');
  });
});

describe('faults', () => {
  const faultsOf = async (fields: object) => {
    const basic = {
      scope: 'atlantic',
      policy: 'std',
      homes: ['us1'],
      hostSuffixes: ['a.example'],
      ...fields,
    };
    const path = join(await newFolder(), 'portolan.yaml');
    await writeFile(path, stringify({ ...BASE, templates: { basic } }));
    const { details } = await failureOf(readConfig(path, null));
    return (details as { faults: { path: string }[] }).faults.map((fault) => fault.path);
  };
  test.each<readonly [string, object, string]>([
    ['a scope that is not there', { scope: 'mars' }, 'templates.basic.scope'],
    ['a policy that is not there', { policy: 'lax' }, 'templates.basic.policy'],
    ['a home outside the scope', { scope: 'eu' }, 'templates.basic.homes.0'],
    ['a witness for a home', { homes: ['w1'] }, 'templates.basic.homes.0'],
    ['no hosts at all', { hostSuffixes: [], customHosts: false }, 'templates.basic.hostSuffixes'],
    [
      'a wildcard for a suffix',
      { hostSuffixes: ['*.a.example'] },
      'templates.basic.hostSuffixes.0',
    ],
    ['a field that is none', { wildcard: true }, 'templates.basic.wildcard'],
  ])('%s', async (_name, fields, path) => {
    expect(await faultsOf(fields)).toEqual([path]);
  });
});
