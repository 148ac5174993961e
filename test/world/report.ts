// The report of a scenario (INTERFACES): checks against literal limits, and a timeline. A missed
// rule fails the scenario; a missed goal is printed as missed and does not.

export interface Check {
  readonly name: string;
  readonly kind: 'rule' | 'goal';
  readonly op: '<=' | '>=' | '==';
  readonly value: number | string;
  readonly limit: number | string;
  readonly unit: string;
  readonly ok: boolean;
}

export interface ScenarioReport {
  readonly scenario: string;
  readonly ok: boolean;
  /** 1: ages are those of production; 0.1: a tenth of them. */
  readonly timeScale: number;
  readonly checks: readonly Check[];
  /** `t` in ms since the scenario began. */
  readonly timeline: readonly { readonly t: number; readonly event: string }[];
}

export class Report {
  readonly #scenario: string;
  readonly #say: (line: string) => void;
  readonly #timeScale: number;
  readonly #began = performance.now();
  readonly #checks: Check[] = [];
  readonly #timeline: { readonly t: number; readonly event: string }[] = [];

  constructor(scenario: string, say: (line: string) => void, timeScale = 1) {
    this.#scenario = scenario;
    this.#say = say;
    this.#timeScale = timeScale;
  }

  event(event: string): void {
    const t = Math.round(performance.now() - this.#began);
    this.#timeline.push({ t, event });
    this.#say(`${(t / 1000).toFixed(1)} s  ${event}`);
  }

  /** What must be exactly so. */
  equal(name: string, value: number | string, limit: number | string, unit = ''): void {
    this.#add({ name, kind: 'rule', op: '==', value, limit, unit, ok: value === limit });
  }

  atLeast(name: string, value: number, limit: number, unit: string): void {
    this.#add({ name, kind: 'rule', op: '>=', value, limit, unit, ok: value >= limit });
  }

  atMost(name: string, value: number, limit: number, unit: string): void {
    this.#add({ name, kind: 'rule', op: '<=', value, limit, unit, ok: value <= limit });
  }

  goalAtLeast(name: string, value: number, limit: number, unit: string): void {
    this.#add({ name, kind: 'goal', op: '>=', value, limit, unit, ok: value >= limit });
  }

  /** What is aimed at and printed, met or missed. */
  goalAtMost(name: string, value: number, limit: number, unit: string): void {
    this.#add({ name, kind: 'goal', op: '<=', value, limit, unit, ok: value <= limit });
  }

  finish(): ScenarioReport {
    const ok = this.#checks.length > 0 && this.#checks.every((c) => c.ok || c.kind === 'goal');
    return {
      scenario: this.#scenario,
      ok,
      timeScale: this.#timeScale,
      checks: this.#checks,
      timeline: this.#timeline,
    };
  }

  #add(check: Check): void {
    this.#checks.push(check);
    const { name, op, value, limit, unit, ok, kind } = check;
    const verdict = ok ? 'ok  ' : kind === 'goal' ? 'goal' : 'FAIL';
    this.#say(`${verdict} ${name}: ${value} ${op} ${limit} ${unit}`.trimEnd());
  }
}

/** What so large a share of `values` does not exceed (nearest rank), rounded; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
}
