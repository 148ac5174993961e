// Bounds of what the command line reads, each with its reason. Files here are the operator's own,
// so the bounds stop mistakes (the wrong file, a runaway generator) and bombs in what was copied.

/** One YAML file: 100,000 tenants take about 12 MB. */
export const CONFIG_FILE_BYTES_MAX = 32 * 1024 * 1024;

/** All files of a configuration folder: a parsed file takes some fifty times its size. */
export const CONFIG_FOLDER_BYTES_MAX = 64 * 1024 * 1024;

export const CONFIG_FILES_MAX = 1_000;

/** Resolved aliases: some shared blocks, not nested ones that make gigabytes of a kilobyte. */
export const CONFIG_ALIASES_MAX = 100;

/** Faults that are listed; the number of the others is said. */
export const FAULTS_SHOWN_MAX = 1_000;

/** A key, a trust document or a decision record takes some kilobytes. */
export const SMALL_FILE_BYTES_MAX = 1024 * 1024;

/** A saved plan repeats what the configuration says, in JSON. */
export const PLAN_BYTES_MAX = 128 * 1024 * 1024;

/** Names that one line of a summary spells out; a plan names every record anyway. */
export const NAMES_SHOWN_MAX = 50;

/** An agent on the same network answers in milliseconds; a person waits. */
export const STATUS_TIMEOUT_MS = 3_000;

/** Status lists edges, stores and peers: some kilobytes each. */
export const STATUS_BYTES_MAX = 4 * 1024 * 1024;

/** A step that found no way by then is signed anew: at ten commits a second, after some minutes. */
export const STEP_LIFE_VERSIONS = 4_096n;

/** An agent answers a step within 4 s (PROVISION_ANSWER_MS), also that it waits. */
export const STEP_TIMEOUT_MS = 6_000;

/** How long a person is kept waiting for a step to land, asking this often. */
export const STEP_ANSWER_MS = 20_000;
export const STEP_ASK_MS = 250;

/** Envelope around the operations: digests, and a reason of 500 characters in the worst escapes. */
export const ENVELOPE_ROOM_BYTES = 8 * 1024;

/** Cloudflare takes 5 KB for one variable or secret of a Worker. */
export const WORKER_SECRET_BYTES_MAX = 5 * 1024;

/** A page of commits is 4 MiB at most; whoever is slower than this is asked no more. */
export const AGENT_TIMEOUT_MS = 10_000;

/** An answer of an agent: a page of commits, and what stands around it. */
export const AGENT_ANSWER_BYTES_MAX = 8 * 1024 * 1024;

/** Agents of one project that are asked at once: two or more a site. */
export const AGENTS_ASKED_MAX = 64;

/** Tenants of a plan that are listed one by one; `--full` lists all. */
export const PLAN_TENANTS_SHOWN_MAX = 50;

/** Keys of a commit that somebody else landed, in the message about it. */
export const KEYS_SHOWN_MAX = 10;
