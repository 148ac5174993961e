// What `npm test` runs once set-up is done: types, lint, tests, in this order and all of them,
// because one run should show everything that is wrong. The closing line counts the two checks as
// tests.
//
// `npm test -- ARGUMENTS` hands the arguments to vitest: `npm test -- --project edge admission`.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const BUDGET_S = 360;

const root = dirname(import.meta.dirname);
const bin = join(root, 'node_modules', '.bin');
const cache = join(root, 'node_modules', '.cache', 'portolan');
const vitestReport = join(cache, 'vitest-report.json');
const inCi = process.env.CI === 'true';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Step extends Counts {
  readonly name: string;
  readonly durationMs: number;
}

process.exitCode = main(process.argv.slice(2));

function main(vitestArguments: readonly string[]): number {
  mkdirSync(cache, { recursive: true });
  rmSync(vitestReport, { force: true });
  const colors = process.stdout.isTTY ? [] : ['--colors=off'];
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${vitestReport}`];
  const steps = [
    step('types', 'tsc', ['-b'], asOneCheck),
    step('lint', 'biome', ['ci', '--error-on-warnings', ...colors, '.'], asOneCheck),
    step('tests', 'vitest', ['run', ...reporters, ...vitestArguments], countsOfVitest),
  ];
  const total = { passed: sum(steps, 'passed'), failed: sum(steps, 'failed') };
  const report = { ...total, skipped: sum(steps, 'skipped'), steps };
  writeFileSync(join(cache, 'test-report.json'), `${JSON.stringify(report, null, 2)}\n`);
  summarize(report);
  return report.failed === 0 ? 0 : 1;
}

function step(
  name: string,
  tool: string,
  toolArguments: readonly string[],
  count: (exitCode: number) => Counts,
): Step {
  console.log(`\n== ${name}`);
  const startedMs = performance.now();
  const run = spawnSync(process.execPath, [join(bin, tool), ...toolArguments], {
    cwd: root,
    env: {
      ...process.env,
      PATH: [bin, dirname(process.execPath), process.env.PATH].join(delimiter),
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
      WRANGLER_SEND_METRICS: 'false',
      ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (run.error !== undefined) console.log(`${tool} could not be started: ${run.error.message}`);
  const durationMs = Math.round(performance.now() - startedMs);
  const counts = count(run.status ?? 1);
  console.log(`== ${name}: ${counts.failed === 0 ? 'ok' : 'FAILED'} (${seconds(durationMs)})`);
  return { name, durationMs, ...counts };
}

function asOneCheck(exitCode: number): Counts {
  return exitCode === 0
    ? { passed: 1, failed: 0, skipped: 0 }
    : { passed: 0, failed: 1, skipped: 0 };
}

/**
 * A run that failed without a failed test (a file that does not load, no test at all) is one
 * failure.
 */
function countsOfVitest(exitCode: number): Counts {
  const { passed, failed, skipped } = readVitestReport();
  if (passed + failed === 0) console.log('No test was run: that is a failure.');
  if (skipped > 0 && inCi) console.log(`${skipped} skipped: in CI that is a failure.`);
  const broken = failed === 0 && (exitCode !== 0 || passed === 0) ? 1 : 0;
  return inCi
    ? { passed, failed: failed + broken + skipped, skipped: 0 }
    : { passed, failed: failed + broken, skipped };
}

function readVitestReport(): Counts {
  try {
    const report = JSON.parse(readFileSync(vitestReport, 'utf8'));
    return {
      passed: Number(report.numPassedTests),
      failed: Number(report.numFailedTests),
      skipped: Number(report.numPendingTests) + Number(report.numTodoTests),
    };
  } catch (error) {
    console.log(`vitest left no report: ${error instanceof Error ? error.message : error}`);
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

function summarize(report: Counts & { readonly steps: readonly Step[] }): void {
  const totalMs = report.steps.reduce((ms, { durationMs }) => ms + durationMs, 0);
  console.log('');
  for (const { name, durationMs, failed } of report.steps) {
    console.log(
      `${name.padEnd(6)} ${seconds(durationMs).padStart(8)} ${failed === 0 ? 'ok' : 'FAILED'}`,
    );
  }
  const over = totalMs > BUDGET_S * 1000 ? ', OVER BUDGET' : '';
  console.log(`total  ${seconds(totalMs).padStart(8)} of ${BUDGET_S} s${over}\n`);
  const skipped = report.skipped > 0 ? `, ${report.skipped} skipped` : '';
  console.log(`${report.passed} passed, ${report.failed} failed${skipped}`);
}

function sum(steps: readonly Step[], what: keyof Counts): number {
  return steps.reduce((total, counts) => total + counts[what], 0);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
