// The configuration's faults: all at once, each at the place where it was written.

import { describe, expect, test } from 'vitest';
import { faultsOf, withLines } from './config-kit.ts';

describe('a fault is shown where it was written', () => {
  const table: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'a value of the wrong kind',
      withLines({ 6: 'threshold: two' }),
      ['c.yaml:6:12: threshold: expected a number, found "two"'],
    ],
    [
      'a name that is none',
      withLines({ 1: 'cluster: Demo' }),
      ['c.yaml:1:10: cluster: expected lower-case letters, digits, hyphens; at most 63'],
    ],
    [
      'a key that is no name',
      withLines({ 12: '  Acme: {hosts: [acme.example], scope: eu, home: eu1, policy: std}' }),
      ['c.yaml:12:3: tenants.Acme: expected lower-case letters, digits, hyphens; at most 63'],
    ],
    [
      'a missing field, at what it is missing from',
      withLines({ 12: '  acme: {hosts: [acme.example], scope: eu, policy: std}' }),
      ['c.yaml:12:3: tenants.acme.home: is missing'],
    ],
    [
      'a missing field of a block, at its name',
      withLines({ 12: '  acme:\n    hosts: [acme.example]\n    scope: eu\n    policy: std' }),
      ['c.yaml:12:3: tenants.acme.home: is missing'],
    ],
    [
      'a missing collection, at the top',
      withLines({ 9: '', 10: '' }),
      [
        'c.yaml:1:1: policies: is missing',
        'c.yaml:12:63: tenants.acme.policy: there is no policy std',
      ],
    ],
    [
      'a misspelt field',
      withLines({ 10: '  std: {replicaRead: true}' }),
      [
        'c.yaml:10:9: policies.std.replicaRead: ' +
          'there is no such field; did you mean "replicaReads"?',
      ],
    ],
    [
      'a misspelt collection',
      withLines({ 11: 'tenant:' }),
      ['c.yaml:11:1: tenant: there is no such field; did you mean "tenants"?'],
    ],
    [
      'an item of a list',
      withLines({ 8: '  eu: {regions: [eu1], ingress: {countries: [DE, fr]}}' }),
      ['c.yaml:8:50: scopes.eu.ingress.countries.1: expected two capital letters, like DE'],
    ],
    [
      'a value that is one of few',
      withLines({ 8: '  eu: {regions: [eu1], ingress: some}' }),
      ['c.yaml:8:33: scopes.eu.ingress: expected any, or {countries: [DE, …]}'],
    ],
    [
      'a number beyond its bound',
      withLines({ 10: '  std: {hardAgeS: {read: 3601}}' }),
      ['c.yaml:10:26: policies.std.hardAgeS.read: Too big: expected number to be <=3600'],
    ],
    [
      'an empty record',
      withLines({ 10: '  std:' }),
      ['c.yaml:10:7: policies.std: expected a map, found nothing'],
    ],
    [
      'a gateway with a path, a host named twice',
      withLines({
        4: '  us1: {slot: 2, at: [39.04, -77.49], gateway: "https://gw.us1.example/x"}',
        12: '  acme: {hosts: [a.example, a.example], scope: eu, home: eu1, policy: std}',
      }),
      [
        'c.yaml:4:48: sites.us1.gateway: not valid: https://host[:port], no path',
        'c.yaml:12:17: tenants.acme.hosts: not valid: named twice',
      ],
    ],
    [
      'an unknown store',
      withLines({ 11: 'stores: {FRA: [weru]}\ntenants:' }),
      [
        'c.yaml:11:16: stores.FRA.0: ' +
          'expected one of wnam, enam, sam, weur, eeur, apac, oc, afr, me; did you mean "weur"?',
      ],
    ],
    [
      'a region that is no boolean',
      withLines({ 5: '  w1: {region: no}' }),
      ['c.yaml:5:16: sites.w1.region: expected true or false'],
    ],
  ];
  test.each(table)('%s', async (_, text, lines) => {
    expect(await faultsOf(text)).toEqual(lines);
  });
});

describe('what the schema cannot see is shown too', () => {
  const table: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'a scope of a region that is not there',
      withLines({ 8: '  eu: {regions: [eu1, eu2], ingress: any}' }),
      ['c.yaml:8:23: scopes.eu.regions.1: there is no region eu2; did you mean "eu1"?'],
    ],
    [
      'a scope of a witness',
      withLines({ 8: '  eu: {regions: [eu1, w1], ingress: any}' }),
      ['c.yaml:8:23: scopes.eu.regions.1: w1 is a witness, not a region'],
    ],
    [
      'a misspelt scope and a misspelt policy',
      withLines({ 12: '  acme: {hosts: [acme.example], scope: ue, home: eu1, policy: sdt}' }),
      [
        'c.yaml:12:40: tenants.acme.scope: there is no scope ue; did you mean "eu"?',
        'c.yaml:12:63: tenants.acme.policy: there is no policy sdt; did you mean "std"?',
      ],
    ],
    [
      'a home outside its scope',
      withLines({ 12: '  acme: {hosts: [acme.example], scope: eu, home: us1, policy: std}' }),
      ['c.yaml:12:50: tenants.acme.home: us1 is outside scope eu (eu1)'],
    ],
    [
      'a host of two tenants',
      withLines({
        13: '  b: {hosts: [b.example, acme.example], scope: eu, home: eu1, policy: std}\n',
      }),
      ['c.yaml:13:26: tenants.b.hosts.1: acme.example is a host of acme'],
    ],
    [
      'a slot of two regions',
      withLines({ 4: '  us1: {slot: 1, at: [39.04, -77.49], gateway: "https://gw.us1.example"}' }),
      ['c.yaml:4:15: sites.us1.slot: slot 1 is that of eu1'],
    ],
    [
      'a threshold that is no majority',
      withLines({ 6: 'threshold: 1' }),
      ['c.yaml:6:12: threshold: 1 is not a majority of 3 sites'],
    ],
    [
      'a latency to nowhere',
      withLines({ 11: 'latency: {FRA: {eu1: 3, eu11: 4}}\ntenants:' }),
      ['c.yaml:11:25: latency.FRA.eu11: there is no region eu11; did you mean "eu1"?'],
    ],
  ];
  test.each(table)('%s', async (_, text, lines) => {
    expect(await faultsOf(text)).toEqual(lines);
  });

  test('a record with one broken field is still checked in the others', async () => {
    const line = '  acme: {hosts: [Acme.example], scope: ue, home: eu1, policy: std, priority: 11}';
    expect(await faultsOf(withLines({ 12: line }))).toEqual([
      'c.yaml:12:18: tenants.acme.hosts.0: expected a host name, or *. and a host name',
      'c.yaml:12:40: tenants.acme.scope: there is no scope ue; did you mean "eu"?',
      'c.yaml:12:78: tenants.acme.priority: Too big: expected number to be <=9',
    ]);
  });
});
