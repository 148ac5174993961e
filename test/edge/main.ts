// The two Workers of the edge as one, because a Durable Object under test must belong to the Worker
// around the tests.

export { EdgeStore } from '../../edge/store/worker.ts';
export { default } from '../../edge/worker.ts';
