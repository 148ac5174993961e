// Bounds and paces of what only agents do, each with its reason: how they follow etcd, what their
// API takes, what they keep. Those that edges share are in `shared/limits.ts`; the same rules hold.

/** Stores whose receipts an agent holds: nine location hints and room. */
export const STORES_HEARD_MAX = 16;

/** How long an agent gathers steps before it makes a batch: a tenant is served within 5 s. */
export const BATCH_WAIT_MS = 200;

/** Steps that wait at one agent: ten full batches, some seconds of work; more are told to wait. */
export const PROVISION_QUEUE_MAX = 1_000;

/** Steps whose end is remembered for those who ask again; what landed is told by the state. */
export const PROVISION_RESULTS_MAX = 10_000;

/** What a request that brings a step waits to see it land, at most: inside the 5 s promised. */
export const PROVISION_ANSWER_MS = 4_000;

/** Time a peer gets to co-sign a batch: it verifies 100 signatures and folds nothing. */
export const COSIGN_TIMEOUT_MS = 1_500;

/** After a conflict, or too few co-signatures: wait, and a jitter so that two agents part. */
export const PROVISION_RETRY_MS = { base: 100, jitter: 400 } as const;

/** A step that found no threshold for this long is given up; who sent it may send it again. */
export const PROVISION_PATIENCE_MS = 60_000;

/** How often an agent reads its source without being told of a change. */
export const SOURCE_POLL_MS = 500;

/**
 * Commits that one read of a source returns; the next read goes on from there. Half of the chain,
 * so that what is copied to disk behind it may lag by the other half.
 */
export const COMMITS_PER_READ_MAX = 512;

/**
 * One call to an etcd member: a few round trips between regions. A turn of an agent waits for it,
 * so it stays under the attestation interval.
 */
export const ETCD_CALL_TIMEOUT_MS = 1_500;

/** etcd answers pings that come more often than every 5 s with a goodbye. */
export const ETCD_KEEPALIVE_MS = 10_000;
export const ETCD_KEEPALIVE_TIMEOUT_MS = 3_000;

/** One answer of etcd: a page of the largest commits. gRPC's own 4 MiB loses a longer replay. */
export const ETCD_RECEIVE_BYTES_MAX = 64 * 1024 * 1024;

/** What etcd takes in one request (`--max-request-bytes`); the rest is its own framing. */
export const ETCD_REQUEST_BYTES_MAX = 1536 * 1024;

/**
 * Keys of one page: 64 of the largest commits stay under ETCD_RECEIVE_BYTES_MAX. Where others wrote
 * larger values, it is halved.
 */
export const ETCD_PAGE_KEYS_MAX = 64;

/**
 * Texts that one read of commits, or one sweep, takes in before it ends: what others wrote must
 * neither fill the memory nor hold a turn. One page more may come.
 */
export const ETCD_READ_BYTES_MAX = 32 * 1024 * 1024;

/** Waits between attempts to watch again: the first, and the most. */
export const WATCH_RETRY_MS = { first: 100, most: 1_000 } as const;

/** A watch that has not told of a write by then is taken down: its connection may be half open. */
export const WATCH_LAG_MS = 1_000;

/** Pace of the sweep that compares etcd with the fold, a page at a time. */
export const SWEEP_INTERVAL_MS = 30_000;

/** Keys of one sweep: 32 MiB of the largest records. */
export const SWEEP_KEYS_MAX = 1_024;

/** Keys of the fold that a sweep looks at in one go: a few ms, then requests have their turn. */
export const SWEEP_STRETCH_KEYS = 4_096;

/** Keys known to be changed and not judged yet; beyond it the sweep finds them. */
export const TOUCHED_KEYS_MAX = 4_096;

/** Longer values are read again when they are judged: 4,096 of these are 16 MiB. */
export const TOUCHED_VALUE_CHARS_MAX = 4 * 1024;

/** Findings put right in one turn, and time for them: a flood must not stop the attestations. */
export const REPAIRS_PER_TURN_MAX = 32;
export const REPAIRS_TURN_MS = 1_000;

/** Lines of the log about what strangers send: one a code for this long; each is counted. */
export const STRANGERS_SAID_MS = 60_000;

/** History kept behind the commit that a threshold of sites stands on, in revisions. */
export const COMPACTION_MARGIN = 10_000n;
export const COMPACTION_INTERVAL_MS = 300_000;

/**
 * Commits that an agent without a source takes from a peer, and what they may take in memory until
 * they have led to what others attest: 4 KiB each. Farther behind, it waits for etcd.
 */
export const CATCH_UP_COMMITS_MAX = 16_384;
export const CATCH_UP_BYTES_MAX = 64 * 1024 * 1024;

/**
 * What one peer gets to bring them all: 64 pages between regions. No turn waits for it, but the
 * next peer does.
 */
export const CATCH_UP_PEER_MS = 30_000;

/** Commits written to an agent's own copy in one turn: each is synced to disk. */
export const COPIES_PER_TURN_MAX = 64;

/** Body of a proposed commit: base64 and JSON around it take a third more. */
export const COMMIT_BODY_BYTES_MAX = 1_536 * 1024;

/** Body of a question to `explain`: a path of 8 KiB and some words. */
export const EXPLAIN_BODY_BYTES_MAX = 16 * 1024;

/** Commits of one answer; the next one goes on from there. */
export const COMMITS_PER_ANSWER_MAX = 256;

/** Bytes of commits in one answer: some of the largest, or all 256 of a usual size. */
export const COMMITS_ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** Trust documents of one answer: 64 KiB each. */
export const TRUSTS_PER_ANSWER_MAX = 16;

/** Commits that one answer of `history` tells of: each is parsed for it. */
export const HISTORY_ENTRIES_MAX = 200;

/** Connections of the agents' listener: peers, operators, and what hangs. */
export const API_CONNECTIONS_MAX = 512;

/** Bodies that an agent holds at once: the deltas of some dozens of peers. */
export const API_BODIES_BYTES_MAX = 128 * 1024 * 1024;

/** Header lines of one request to an agent: the signed request is the largest. */
export const API_HEADER_BYTES_MAX = 16 * 1024;

/**
 * What a client of the agents' listener gets for its headers, for the whole request (4 MiB over a
 * slow line) and for taking the answer. A listener that waits for ever is held by who never ends.
 */
export const API_HEADERS_TIMEOUT_MS = 5_000;
export const API_REQUEST_TIMEOUT_MS = 15_000;
export const API_ANSWER_TIMEOUT_MS = 30_000;

/** Body of a published trust document: base64 and JSON around it take a third more. */
export const TRUST_BODY_BYTES_MAX = 96 * 1024;

/** Body of a step: one tenant with all its hosts, in base64. */
export const STEP_BODY_BYTES_MAX = 96 * 1024;

/** Receipts of one store kept in etcd, by number: at one a commit, some days as usual. */
export const RECEIPTS_KEPT = 4_096;

/** Receipts under one number: as many as a store lost its storage, and few more. */
export const RECEIPTS_PER_NUMBER_MAX = 16;

/** Receipts of older numbers that go when one comes; with that one they fit a transaction. */
export const RECEIPTS_PRUNED_MAX = 64;

/** Receipts written to the source in one turn, and those that wait for one at most. */
export const RECEIPTS_PER_COLLECTION_MAX = 8;
export const RECEIPTS_WAITING_MAX = 1_024;

/** One page of commits from a peer: 4 MiB between regions. */
export const PEER_COMMITS_TIMEOUT_MS = 5_000;

/**
 * How long an agent keeps superseded pieces, in commits behind the active one: an edge that loses
 * its stores goes on by gateways from the version it stands on. 25 KB each at 100,000 tenants.
 */
export const PIECES_RETENTION_VERSIONS = 64n;
