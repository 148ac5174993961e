// Plans: what is changed, whom it touches, what is kept, what is refused.

import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import type { Planned } from '../../agent/cli/plan.ts';
import { summaryText } from '../../agent/cli/plan-text.ts';
import { readState } from '../../agent/cli/state.ts';
import { entryOf } from '../../shared/control/state.ts';
import {
  addTenants,
  commit,
  type Edit,
  land,
  newProject,
  operationsIn,
  planned,
  planOf,
} from './project-kit.ts';

/** `+ key`, `~ key`, `- key`, `= key`. */
function changesIn(outcome: Planned): readonly string[] {
  const signs = { create: '+', update: '~', delete: '-', keep: '=' };
  return outcome.summary?.changes.map(({ kind, key }) => `${signs[kind]} ${key}`) ?? [];
}

function codeOf(outcome: Planned): string {
  return outcome.kind === 'refused' ? outcome.refusal.code : outcome.kind;
}

function detailOf(outcome: Planned): string {
  return outcome.kind === 'refused' ? outcome.refusal.detail : '';
}

describe('the first plan', () => {
  test('creates everything in one commit, what others stand on first', async () => {
    const plan = await planOf(await newProject());
    expect(plan.base).toEqual({ generation: 1n, version: 0n, envelope: null, trust: 1n });
    expect(plan.commits).toHaveLength(1);
    expect(operationsIn(plan)).toEqual([
      'put global/sites/eu1',
      'put global/sites/us1',
      'put global/sites/w1',
      'put global/scopes/atlantic',
      'put global/scopes/eu',
      'put global/policies/std',
      'put tenants/acme/tenant',
      'put tenants/acme/placement',
      'put tenants/globex/tenant',
      'put tenants/globex/placement',
    ]);
  });

  test('writes records as they are stored: sorted, defaults in, locations lower-case', async () => {
    const plan = await planOf(await newProject(), (config) => {
      config.latency = { FRA: { us1: 88, eu1: 1 } };
      config.stores = { otherwise: ['weur', 'enam'] };
    });
    const values = new Map(
      plan.commits[0]?.operations.map((o) => [o.key, o.op === 'put' ? o.value : null]),
    );
    expect(values.get('global/sites/eu1')).toMatchObject({ capacity: 100, zones: ['a', 'b'] });
    expect(values.get('global/sites/us1')).toMatchObject({ region: true, zones: ['a'] });
    expect(values.get('global/scopes/atlantic')).toEqual({
      regions: ['eu1', 'us1'],
      ingress: { countries: ['DE', 'FR'] },
    });
    expect(values.get('tenants/acme/tenant')).toMatchObject({
      hosts: ['*.acme.example', 'acme.example'],
    });
    expect(values.get('tenants/globex/placement')).toEqual({
      home: 'us1',
      epoch: '2',
      state: 'ACTIVE',
    });
    expect(values.get('global/latency/fra')).toEqual({ us1: 88, eu1: 1 });
    expect(values.get('global/stores/otherwise')).toEqual(['weur', 'enam']);
  });
});

describe('the next plan', () => {
  test('is empty when the configuration says the same in other words', async () => {
    const project = await newProject();
    await commit(project);
    const outcome = await planned(project, (config) => {
      config.tenants['acme']?.hosts.reverse();
      config.scopes['atlantic']?.regions.reverse();
    });
    expect(changesIn(outcome)).toEqual([]);
    expect(outcome).toMatchObject({ kind: 'planned', plan: { commits: [] } });
  });

  test('names the fields that change and the tenants they touch', async () => {
    const project = await newProject();
    await commit(project);
    const outcome = await planned(project, (config) => {
      config.policies['std'] = { ...config.policies['std'], slowStartS: 30 } as never;
      config.tenants['acme']?.hosts.push('shop.acme.example');
    });
    expect(changesIn(outcome)).toEqual(['~ global/policies/std', '~ tenants/acme/tenant']);
    const text = outcome.summary === null ? '' : summaryText(outcome.summary);
    expect(text).toContain('slowStartS   60 -> 30');
    expect(text).toContain('hosts        ["*.acme.example","acme.example"] -> ["*.acme.example",');
    expect(text).toContain('Affected: 2 tenants: acme, globex');
  });

  test('says what a narrowed scope loses, and it is of class normal', async () => {
    const project = await newProject();
    await commit(project, (config) => {
      config.scopes['atlantic'] = { regions: ['eu1', 'us1'], ingress: 'any' };
    });
    const outcome = await planned(project, (config) => {
      config.scopes['atlantic'] = { regions: ['us1'], ingress: { countries: ['US'] } };
    });
    expect(outcome).toMatchObject({
      kind: 'planned',
      plan: { commits: [{ class: 'normal' }] },
      summary: {
        blastRadius: {
          tenants: { total: 1, shown: ['globex'] },
          scopes: {
            shown: [{ id: 'atlantic', gained: [], lost: ['eu1'], widens: false, tenants: 1 }],
          },
        },
      },
    });
    const text = outcome.summary === null ? '' : summaryText(outcome.summary);
    expect(text).toContain(
      'scope atlantic loses eu1; ingress any -> {"countries":["US"]}; 1 tenant',
    );
  });

  test('summarises what it touches beyond fifty', async () => {
    const project = await newProject();
    await commit(project, addTenants(60));
    const outcome = await planned(project, (config) => {
      addTenants(60)(config);
      config.policies['std'] = { ...config.policies['std'], slowStartS: 30 } as never;
    });
    expect(outcome.summary?.blastRadius.tenants).toMatchObject({ total: 62 });
    expect(outcome.summary?.blastRadius.tenants.shown).toHaveLength(50);
    const text = outcome.summary === null ? '' : summaryText(outcome.summary);
    expect(text).toContain('62 tenants: acme');
    expect(text).toContain('and 12 more');
  });
});

describe('what the configuration does not name', () => {
  const without: Edit = (config) => {
    delete config.tenants['globex'];
    delete config.scopes['atlantic'];
  };

  test('is kept, and said to be', async () => {
    const project = await newProject();
    await commit(project);
    const outcome = await planned(project, without);
    expect(changesIn(outcome)).toEqual(['= global/scopes/atlantic', '= tenants/globex/tenant']);
    expect(outcome).toMatchObject({ plan: { commits: [] } });
    const text = outcome.summary === null ? '' : summaryText(outcome.summary);
    expect(text).toContain('= tenants/globex/tenant is not in the configuration and is kept');
  });

  test('is deleted when asked for: tenants before what they stand on', async () => {
    const project = await newProject();
    await commit(project);
    const plan = await planOf(project, without, true);
    expect(operationsIn(plan)).toEqual([
      'delete tenants/globex/tenant',
      'delete global/scopes/atlantic',
    ]);
    await land(project, plan);
    const { holder, pieces } = await readState(project.paths, project.trust);
    const entry = entryOf(holder.state, 'globex', pieces.nodes, nodeCrypto);
    expect(entry).toEqual({ placement: { home: 'us1', epoch: 2n, state: 'ACTIVE' } });
  });

  test('a kept tenant keeps its hosts', async () => {
    const project = await newProject();
    await commit(project);
    const outcome = await planned(project, (config) => {
      without(config);
      config.tenants['acme']?.hosts.push('globex.example');
    });
    expect(codeOf(outcome)).toBe('host-taken');
  });
});

describe('what is refused', () => {
  const table: readonly (readonly [string, Edit, string, string])[] = [
    [
      'another home',
      ({ tenants }) => {
        tenants['globex'] = { ...tenants['globex'], home: 'eu1' } as never;
      },
      'tenant-home',
      'globex (us1 -> eu1): a home moves by a handover, not by a commit',
    ],
    [
      'a wider scope',
      ({ scopes }) => {
        scopes['eu'] = { regions: ['eu1', 'us1'], ingress: 'any' };
      },
      'safety',
      'the change is of class safety and needs approvals (scope eu widens)',
    ],
    [
      'a wider ingress',
      ({ scopes }) => {
        scopes['atlantic'] = { regions: ['eu1', 'us1'], ingress: 'any' };
      },
      'safety',
      'the change is of class safety and needs approvals (scope atlantic widens)',
    ],
    [
      'a tenant in a wider scope',
      ({ tenants, scopes }) => {
        scopes['world'] = { regions: ['eu1', 'us1'], ingress: 'any' };
        tenants['acme'] = { ...tenants['acme'], scope: 'world' } as never;
      },
      'safety',
      'the change is of class safety and needs approvals (tenant acme may go further)',
    ],
    [
      'another slot',
      ({ sites }) => {
        sites['us1'] = { ...sites['us1'], slot: 9 } as never;
      },
      'placement',
      'us1',
    ],
  ];
  test.each(table)('%s', async (_, edit, code, detail) => {
    const project = await newProject();
    await commit(project);
    const outcome = await planned(project, edit);
    expect(codeOf(outcome)).toBe(code);
    expect(detailOf(outcome)).toContain(detail);
  });

  test('a retired tenant that comes back', async () => {
    const project = await newProject();
    await commit(project);
    const retire: Edit = ({ tenants }) => {
      delete tenants['globex'];
    };
    await land(project, await planOf(project, retire, true));
    const outcome = await planned(project);
    expect(codeOf(outcome)).toBe('safety');
    expect(detailOf(outcome)).toContain('tenant globex was retired and comes back');
  });

  test('a scope that leaves a kept tenant without its home', async () => {
    const project = await newProject();
    await commit(project);
    const outcome = await planned(project, ({ tenants, scopes }) => {
      delete tenants['globex'];
      scopes['atlantic'] = { regions: ['eu1'], ingress: { countries: ['DE', 'FR'] } };
    });
    expect(codeOf(outcome)).toBe('legal-home');
    expect(changesIn(outcome)).toEqual(['~ global/scopes/atlantic', '= tenants/globex/tenant']);
  });

  test('nothing of it in the first commit', async () => {
    const plan = await planOf(await newProject(), ({ scopes }) => {
      scopes['eu'] = { regions: ['eu1', 'us1'], ingress: 'any' };
    });
    expect(plan.commits).toHaveLength(1);
  });
});
