// Newest words for an edge whose own are old, in a header of an answer that goes there anyway (E3):
// an edge cut off from every store goes on as long as it reaches one gateway. Whoever wrote the
// header is not believed: each attestation is verified like any other.

import { decodeBase64url, encodeBase64url } from '../base64url.ts';
import { canonical, parseCanonical, utf8 } from '../canonical.ts';
import { ATTESTATIONS_HEADER_CHARS_MAX } from '../limits.ts';
import type { AttestationBook, HeldAttestation } from './attestation.ts';

/** Of a request to a gateway, by the edge alone: the age of what it decided on, ms. */
export const ageHeader = 'portolan-age-ms';

/** Of a gateway's answer, for the edge alone: base64url of a JSON list of attestations. */
export const attestationsHeader = 'portolan-attestations';

/** A header's value takes no more digits than this; no age does. */
const AGE = /^(?:0|[1-9][0-9]{0,14})$/;

/** The age that an edge reports, or null for what is none. */
export function readAge(value: unknown): number | null {
  return typeof value === 'string' && AGE.test(value) ? Number(value) : null;
}

/**
 * The header's value: valid words of `book`, as many as fit, or null when there are none. The
 * newest of every site go first, because only sites count (C10).
 */
export function writeAttestations(book: AttestationBook, nowMs: number): string | null {
  const newestFirst = [...book.latest.values()]
    .filter(({ validUntilMs }) => validUntilMs > nowMs)
    .sort((a, b) => b.signed.value.issuedAt - a.signed.value.issuedAt);
  const texts: string[] = [];
  // Brackets, and what follows is counted with its comma.
  let chars = 2;
  for (const { signed } of sitesFirst(newestFirst)) {
    const text = canonical(signed.jws);
    // Three characters of text take four of the header; a JWS is ASCII throughout.
    if (Math.ceil(((chars + text.length + 1) * 4) / 3) > ATTESTATIONS_HEADER_CHARS_MAX) continue;
    chars += text.length + 1;
    texts.push(text);
  }
  return texts.length === 0 ? null : encodeBase64url(utf8(`[${texts.join()}]`));
}

/** The attestations in a header, unverified; null when it is none, or too long. */
export function readAttestations(value: string): readonly unknown[] | null {
  if (value.length > ATTESTATIONS_HEADER_CHARS_MAX) return null;
  const bytes = decodeBase64url(value);
  if (bytes === null) return null;
  const list = parseCanonical(bytes)?.value;
  return Array.isArray(list) ? list : null;
}

function sitesFirst(newestFirst: readonly HeldAttestation[]): readonly HeldAttestation[] {
  const sites = new Set<string>();
  const firsts = newestFirst.filter(({ signed: { value } }) => {
    const isFirst = !sites.has(value.site);
    sites.add(value.site);
    return isFirst;
  });
  return [...firsts, ...newestFirst.filter((held) => !firsts.includes(held))];
}
