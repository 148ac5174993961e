// The month of attestations, before traffic, in dollars, by Cloudflare's list prices.
//
// Workers: developers.cloudflare.com/workers/platform/pricing. Durable Objects:
// developers.cloudflare.com/durable-objects/platform/pricing. Looked up on 23 November 2026 in
// stored copies, which may be some months older. Prices are before tax and discount.

/** Dollars a million, and what the plan's five dollars include in a month. */
const PRICES = {
  plan: 5,
  workerRequests: { each: 0.3, included: 10e6 },
  workerCpuMs: { each: 0.02, included: 30e6 },
  objectRequests: { each: 0.15, included: 1e6 },
  objectGbS: { each: 12.5, included: 400e3 },
} as const;

/** What an object is billed for while it is active, however much it uses. */
const OBJECT_GB = 0.128;
const DAYS = 30;
const DAY_S = 86_400;

export type Usage = {
  readonly stores: number;
  readonly ingestsADay: number;
  readonly cpuMsAnIngest: number;
  /** One of each store's, and one of a location that looks at the head after it. */
  readonly callsAnIngest: number;
};

export type Item = { readonly name: string; readonly amount: number; readonly dollars: number };

export type Month = {
  readonly items: readonly Item[];
  /** What this adds to a bill whose allowances other things have used up; without the plan. */
  readonly marginal: number;
  /** What it is on a bill of its own, with the plan. */
  readonly alone: number;
};

/** Objects are active throughout: a word every two thirds of a second lets none hibernate. */
export function monthOf({ stores, ingestsADay, cpuMsAnIngest, callsAnIngest }: Usage): Month {
  const ingests = ingestsADay * DAYS;
  const priced = [
    ['Worker requests', ingests, PRICES.workerRequests],
    ['Worker CPU, ms', ingests * cpuMsAnIngest, PRICES.workerCpuMs],
    ['object requests', ingests * callsAnIngest, PRICES.objectRequests],
    ['object duration, GB-s', stores * OBJECT_GB * DAYS * DAY_S, PRICES.objectGbS],
  ] as const;
  const items = priced.map(([name, amount, { each }]) => {
    return { name, amount, dollars: (amount / 1e6) * each };
  });
  const beyond = priced.map(([, amount, { each, included }]) => {
    return (Math.max(0, amount - included) / 1e6) * each;
  });
  const sum = (values: readonly number[]) => values.reduce((all, one) => all + one, 0);
  const marginal = sum(items.map(({ dollars }) => dollars));
  return { items, marginal, alone: PRICES.plan + sum(beyond) };
}
