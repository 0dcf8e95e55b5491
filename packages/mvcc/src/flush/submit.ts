import type { WriterJob, WriterResult } from '../writer/jobs.ts';

export type Done = (error: Error | null) => void;

/** Gives the writer a job. `done` is called when it is on disk; not at all after a failure, or once another state has taken this one's place. */
export type Submit = (job: WriterJob, done: (result: WriterResult) => void) => void;
