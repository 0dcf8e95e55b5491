/**
 * A process that writes a log and says on stdout what is durable, for tests that end it from outside.
 *
 * `WRITER` (JSON): directory, batches in all, batches under way at once, entries a batch, segmentBytes, failpointModule.
 * Lines: `open <first> <last>`, then `ack <index>` per durable batch, `fatal <code>`, `done`. Entry data follow from the index.
 */
import { sayLine as say } from '@quorate/testing/say';
import { openWal, type Wal } from '../src/index.ts';
import { entryData, type WriterTask } from './writer-task.ts';

const task = JSON.parse(process.env.WRITER ?? '{}') as WriterTask;

try {
  const { wal } = await openWal({
    directory: task.directory,
    metadata: Buffer.from('writer'),
    segmentBytes: task.segmentBytes,
    ...(task.failpointModule === undefined ? {} : { failpointModule: task.failpointModule }),
    onFatal: (error) => {
      const cause = error.cause as { code?: string } | undefined;
      say(`fatal ${cause?.code ?? error.message}`);
      process.exitCode = 3;
    },
  });
  say(`open ${wal.firstIndex()} ${wal.lastIndex()}`);
  await write(wal);
  await wal.close();
  if (wal.failure === null) say('done');
} catch (error) {
  say(`refused ${(error as { code?: string }).code ?? error}`);
  process.exitCode = 4;
}

function write(wal: Wal): Promise<void> {
  let next = wal.lastIndex() + 1;
  let started = 0;
  let ended = 0;
  return new Promise((resolve) => {
    const start = (): void => {
      const entries = [];
      for (let i = 0; i < task.entriesPerBatch; i++) {
        entries.push({ index: next, term: 1, type: 0 as const, data: entryData(next) });
        next++;
      }
      const last = next - 1;
      started++;
      const hardState = { term: 1, vote: 1n, commit: last - 1 };
      // One batch at a time: this process has nothing else to do.
      const mayBlock = task.underWay === 1;
      wal.append({ entries, hardState, mustSync: true, mayBlock }, (error) => {
        ended++;
        if (error === null) say(`ack ${last}`);
        if (error !== null || ended === task.batches) return resolve();
        if (task.releaseBehind > 0 && ended % 50 === 0) wal.release(last - task.releaseBehind);
        if (started < task.batches) start();
      });
    };
    for (let i = 0; i < Math.min(task.underWay, task.batches); i++) start();
  });
}
