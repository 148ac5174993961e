// Configurations for tests: one that is fine, changes to it by line, and what reading them says.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readConfig } from '../../agent/cli/config.ts';
import type { TrustDocument } from '../../shared/control/trust.ts';
import { failureOf, newFolder } from './project-kit.ts';

export const FINE = `cluster: demo
sites:
  eu1: {slot: 1, at: [50.11, 8.68], gateway: "https://gw.eu1.example"}
  us1: {slot: 2, at: [39.04, -77.49], gateway: "https://gw.us1.example"}
  w1: {region: false}
threshold: 2
scopes:
  eu: {regions: [eu1], ingress: any}
policies:
  std: {}
tenants:
  acme: {hosts: [acme.example], scope: eu, home: eu1, policy: std}
`;

/** Lines of `FINE` replaced, from 1. */
export function withLines(lines: Readonly<Record<number, string>>): string {
  const all = FINE.split('\n');
  for (const [line, text] of Object.entries(lines)) all[Number(line) - 1] = text;
  return all.join('\n');
}

/** The faults that reading `text` ends with, of a file called `c.yaml`. */
export async function faultsOf(text: string, trust: TrustDocument | null = null) {
  const path = join(await newFolder(), 'c.yaml');
  await writeFile(path, text);
  const { code, exit, lines } = await failureOf(readConfig(path, trust));
  expect([code, exit]).toEqual(['config', 2]);
  return lines.map((line) => line.replaceAll(path, 'c.yaml'));
}

/** A folder with these files in it. */
export async function filesIn(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(await newFolder(), 'conf');
  await mkdir(folder);
  const writes = Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text));
  await Promise.all(writes);
  return folder;
}
