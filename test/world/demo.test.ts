import { expect, test } from 'vitest';
import { configSchema } from '../../agent/cli/config-schema.ts';
import { demoConfig } from './demo.ts';
import { Report } from './report.ts';

const GATEWAYS = { eu1: 'https://eu1.invalid', us1: 'https://us1.invalid' };

function agesOf(timeScale?: number) {
  const { policies } = configSchema.parse(demoConfig(GATEWAYS, timeScale));
  return Object.values(policies).map(({ hardAgeS }) => hardAgeS);
}

test('hard ages are those of production, or a tenth of them where a scenario asks', () => {
  const usual = { write: 60, read: 300, revocation: 60 };
  const tenth = { write: 6, read: 30, revocation: 6 };
  expect(agesOf()).toEqual([usual, usual]);
  expect(agesOf(0.1)).toEqual([tenth, tenth]);
});

test('a report says by what the ages were scaled', () => {
  const quiet = () => {};
  expect(new Report('steady', quiet).finish().timeScale).toBe(1);
  expect(new Report('edge-cut-off', quiet, 0.1).finish().timeScale).toBe(0.1);
});
