// One question to one agent over HTTP: signed, bounded in bytes and time, no redirect, no retry.

import { Agent as HttpAgent, request } from 'undici';
import { parseJson, utf8 } from '../../shared/canonical.ts';
import { signRequest } from '../../shared/control/request.ts';
import type { Signer } from '../../shared/crypto.ts';
import { CLOCK_SKEW_MS } from '../../shared/limits.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { codeOf } from '../adapters/durable-file.ts';
import { AGENT_ANSWER_BYTES_MAX, AGENT_TIMEOUT_MS } from './limits.ts';

/** By whose word, and over which authority's TLS, agents are asked. */
export interface AgentAccess {
  readonly cluster: string;
  readonly signer: Signer;
  /** PEM of the authority of the agents' certificates; null takes the system's. */
  readonly ca: string | null;
}

export interface Question {
  readonly method: 'GET' | 'POST';
  /** Path and query. */
  readonly target: string;
  readonly body?: string;
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
}

export interface AgentAnswer {
  readonly status: number;
  /** The JSON of the body, or null. */
  readonly value: unknown;
}

/** Rejects with an Error whose message says why there is no answer. */
export async function askAgent(
  url: string,
  { method, target, body = '', timeoutMs, maxBytes }: Question,
  { cluster, signer, ca }: AgentAccess,
): Promise<AgentAnswer> {
  const atMs = Date.now();
  const seen = { method, target, body: utf8(body) };
  const authorization = await signRequest(seen, { cluster, atMs }, signer, nodeCrypto);
  const dispatcher = new HttpAgent(ca === null ? {} : { connect: { ca } });
  try {
    const answer = await request(new URL(target, url), {
      method,
      headers: { authorization, ...(body === '' ? {} : { 'content-type': 'application/json' }) },
      ...(body === '' ? {} : { body }),
      dispatcher,
      signal: AbortSignal.timeout(timeoutMs ?? AGENT_TIMEOUT_MS),
    });
    const { statusCode: status, headers } = answer;
    const text = await boundedText(answer.body, maxBytes ?? AGENT_ANSWER_BYTES_MAX);
    if (status === 401) throw new Error(`answered 401${clockText(String(headers['date']), atMs)}`);
    if (status >= 300 && status < 400) throw new Error(`answered ${status}, a redirect`);
    return { status, value: parseJson(text)?.value ?? null };
  } finally {
    // What hangs is not waited for.
    void dispatcher.destroy();
  }
}

async function boundedText(body: AsyncIterable<unknown>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) throw new Error('the answer is too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** An agent never says why; a clock that is off is the one reason that can be seen from here. */
function clockText(date: string, atMs: number): string {
  const offMs = Date.parse(date) - atMs;
  if (!(Math.abs(offMs) > CLOCK_SKEW_MS)) return ': it does not take this key';
  return `: the clocks differ by ${Math.round(offMs / 1000)} s`;
}

/** Why there was no answer, in a few words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  return code.startsWith('E') ? code : error.message;
}

const NEVER_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT)/;

/** Was the connection never made, so that nothing can have been written by it? */
export function wasNeverSent(error: unknown): boolean {
  return NEVER_SENT.test(codeOf(error));
}
