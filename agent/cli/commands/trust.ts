// `trust`: who is trusted, changed by those who hold the root keys (C5). Draft the next document,
// have each root key's owner sign it where that key is, publish it when enough did. Nothing is
// changed before it is published; from then on everybody adopts it, and nobody can take it back.

import { decodeJws, type Jws, signJws } from '../../../shared/control/jws.ts';
import { refuse } from '../../../shared/control/refusal.ts';
import {
  keyringOf,
  type Trust,
  type TrustDoc,
  trustAt,
  trustKind,
} from '../../../shared/control/trust.ts';
import { adoptTrust } from '../../../shared/control/trust-chain.ts';
import { TRUST_PER_DELTA_MAX } from '../../../shared/limits.ts';
import { nodeCrypto } from '../../adapters/crypto.ts';
import { createFile, replaceFile } from '../../adapters/durable-file.ts';
import { type AgentFlags, controlOf } from '../agents.ts';
import { CliError, cliError, EXIT, type Outcome, taken } from '../exit.ts';
import { looseMode, readText } from '../files.ts';
import { SMALL_FILE_BYTES_MAX } from '../limits.ts';
import { projectAt, readPin, readSigner } from '../project.ts';
import { readState, trustHere, trustOf } from '../state.ts';
import { changesOf, type Draft, draftAfter, readDraft, type TrustEdits } from '../trust-draft.ts';
import { table } from '../words.ts';
import { keysOf, keysText } from './keys.ts';

interface ProjectFlags {
  readonly project: string;
}

const DRAFT_MODE = 0o644;

/** `portolan trust show`: the documents, and the keys of the newest. */
export async function showTrust({ project }: ProjectFlags): Promise<Outcome> {
  const paths = projectAt(project);
  const trust = await trustHere(paths);
  const { cluster, document } = trust;
  const committed = await readState(paths, trust).then(
    ({ holder }) => holder.state.manifest.trust,
    () => null,
  );
  const documents = [...trust.held.values()].map(({ document: each, digest }) => {
    const { version, threshold, sites } = each;
    return { version, digest, threshold, sites: Object.keys(sites).length };
  });
  const rows = documents.map(({ version, digest, threshold, sites }) => {
    return { cells: [`${version}`, `${threshold} of ${sites} sites`, digest] };
  });
  const open = committed !== null && committed < document.version;
  return {
    exit: EXIT.fine,
    data: { cluster, version: document.version, committed, documents, keys: keysOf(trust) },
    text: `${table(['VERSION', 'THRESHOLD', 'DIGEST'], rows)}\n\n${keysText(trust)}`,
    notes: open ? [completion(document.version)] : [],
  };
}

export interface DraftFlags extends ProjectFlags, TrustEdits {
  readonly out: string;
}

/** `portolan trust draft` */
export async function draftTrust({ project, out, ...edits }: DraftFlags): Promise<Outcome> {
  const trust = await trustHere(projectAt(project));
  const { read, jws } = await draftAfter(trust, edits, nodeCrypto);
  if ((await createFile(out, `${JSON.stringify(jws)}\n`)) === 'exists') {
    throw new CliError('exists', `${out}: is there already`);
  }
  const changes = changesOf(trust, read);
  const { version } = read.document;
  return {
    exit: EXIT.fine,
    data: { out, version, digest: read.digest, changes, missing: missingOf(trust, read, []) },
    text: [`trust ${version} ${read.digest}`, ...changes].join('\n'),
    notes: [`Next: portolan trust sign ${out} --key ROOT-KEY, by each root key’s owner.`],
  };
}

/** `portolan trust sign FILE`: adds one signature, and says what is being signed. */
export async function signTrust(
  file: string,
  { project, key }: ProjectFlags & { readonly key: string },
): Promise<Outcome> {
  const trust = await trustHere(projectAt(project));
  const { read, jws } = await draftOn(trust, file);
  const signer = await readSigner(key);
  const { kid } = signer;
  if (keyringOf(trust, 'root')(kid) === null && keyringOf(read, 'root')(kid) === null) {
    throw cliError(refuse('role', `${kid} is a root key of neither document`));
  }
  const added = await signJws(trustKind.typ, read.document, [signer]);
  const others = jws.signatures.filter((each) => each.protected !== added.signatures[0]?.protected);
  const signed: Jws = { payload: jws.payload, signatures: [...others, ...added.signatures] };
  const { signatures } = taken(decoded(signed));
  await replaceFile(file, `${JSON.stringify(signed)}\n`, DRAFT_MODE);
  const kids = signatures.map((each) => each.kid);
  const missing = missingOf(trust, read, kids);
  const loose = await looseMode(key);
  const changes = changesOf(trust, read);
  const next = missing.old + missing.new === 0 ? `Next: portolan trust publish ${file}` : '';
  return {
    exit: EXIT.fine,
    data: { version: read.document.version, digest: read.digest, kid, changes, missing },
    text: [`signed trust ${read.document.version} ${read.digest}`, ...changes].join('\n'),
    notes: [...(loose === null ? [] : [loose]), next === '' ? missingText(missing) : next],
  };
}

/** `portolan trust publish FILE`: verified as every receiver will, then put in place for good. */
export async function publishTrust(
  file: string,
  flags: ProjectFlags & AgentFlags,
): Promise<Outcome> {
  const paths = projectAt(flags.project);
  const pin = await readPin(paths);
  const control = await controlOf(paths, pin, flags);
  const trust = await trustOf(control, pin);
  const { read, jws } = await draftOn(trust, file);
  const { version } = read.document;
  const { refused } = await adoptTrust(trust, [jws], nodeCrypto);
  const [fault] = refused;
  if (fault !== undefined) throw cliError({ ...fault, detail: `${file}: ${fault.detail}` });
  const late = new CliError('exists', `trust ${version} is there already`, { lines: [AGAIN] });
  if ((await control.publishTrust(version, jws)) === 'exists') throw late;
  return {
    exit: EXIT.fine,
    data: { version, digest: read.digest, changes: changesOf(trust, read) },
    text: `trust ${version} ${read.digest} is published`,
    notes: [
      completion(version),
      `Renew the pins (trust.json, TRUST of the Workers) within ${TRUST_PER_DELTA_MAX} rotations.`,
    ],
  };
}

const AGAIN = 'somebody else was first: draft and sign again';

/** Rejects with CliError: `input`, and stale where another document has come since. */
async function draftOn(trust: Trust, file: string): Promise<Draft> {
  const draft = readDraft(await readText(file, SMALL_FILE_BYTES_MAX), nodeCrypto);
  const { version, previous, cluster } = draft.read.document;
  if (cluster !== trust.cluster) throw cliError(refuse('cluster', cluster));
  if (trustAt(trust, version)?.digest === draft.read.digest) {
    throw new CliError('exists', `trust ${version} is published already`);
  }
  if (version !== trust.document.version + 1n || previous !== trust.digest) {
    const detail = `${file} does not follow trust ${trust.document.version}`;
    throw cliError(refuse('stale', detail), { lines: [AGAIN] });
  }
  return draft;
}

function decoded(jws: Jws) {
  return decodeJws(jws, trustKind, nodeCrypto);
}

interface Missing {
  /** Signatures of the newest document's root keys that are still needed. */
  readonly old: number;
  readonly new: number;
}

function missingOf(before: TrustDoc, after: TrustDoc, kids: readonly string[]): Missing {
  const lacking = (document: TrustDoc) => {
    const root = keyringOf(document, 'root');
    const has = kids.filter((kid) => root(kid) !== null).length;
    return Math.max(0, document.document.root.threshold - has);
  };
  return { old: lacking(before), new: lacking(after) };
}

function missingText({ old, new: own }: Missing): string {
  return `Still needed: ${old} of the root keys as they are, ${own} of those as they will be.`;
}

function completion(version: bigint): string {
  const why = 'keys that it takes out can still author commits';
  return `The next commit stands on trust ${version}; until it lands, ${why}: portolan apply.`;
}
